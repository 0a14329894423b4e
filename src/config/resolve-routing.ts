import type { RoutingPolicy } from '../core/table.ts';
import type { ResolveContext } from './context.ts';
import type { ConfigPath } from './problems.ts';
import type { ModelEntry } from './schema.ts';

/** Headers that tell sessions apart, after those of the config: Ray's own, and those of clients and proxies that send one by themselves. */
const sessionHeaders: readonly string[] = ['x-session-id', 'x-claude-code-session-id', 'x-litellm-session-id'];

/** `gateway.routing`, else what Ray's router class stands for. @param path of the entry */
export function resolveRouting(entry: ModelEntry, path: ConfigPath, context: ResolveContext): RoutingPolicy {
  const { routing } = entry.gateway;
  const router = entry.deployment_config.request_router_config?.request_router_class;
  if (routing !== undefined) {
    if (routing.headers !== undefined && routing.policy !== 'sticky') {
      context.problem([...path, 'gateway', 'routing', 'headers'], `headers beside the policy ${routing.policy}; expected sticky`, 'key');
    }
    return policy(routing.policy, routing.headers);
  }
  if (router === undefined || router.endsWith('PowerOfTwoChoicesRequestRouter')) return policy('least-in-flight');
  // Newer Ray also names this one by its alias without the last word.
  if (/PrefixCacheAffinityRouter$|PrefixAwarePow2ReplicaScheduler$/.test(router)) return policy('prefix');
  if (router.endsWith('ConsistentHashRouter')) return policy('sticky');
  if (router.endsWith('KVAwareRouter')) {
    context.warning(
      [...path, 'deployment_config', 'request_router_config', 'request_router_class'],
      'taken as gateway.routing.policy prefix: by the beginning of the prompt; what engines have cached is not asked',
    );
    return policy('prefix');
  }
  const message = `accepted, no effect here: ${JSON.stringify(router)} is code, which is not run; set gateway.routing of the model`;
  context.warning([...path, 'deployment_config', 'request_router_config', 'request_router_class'], message);
  return policy('least-in-flight');
}

function policy(kind: RoutingPolicy['kind'], headers: readonly string[] = []): RoutingPolicy {
  if (kind !== 'sticky') return { kind };
  // As the gateway looks them up, with either.
  const configured = headers.map((name) => name.toLowerCase().replaceAll('_', '-'));
  return { kind, headers: [...new Set([...configured, ...sessionHeaders])] };
}
