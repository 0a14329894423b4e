import { adapterName } from '../core/ids.ts';
import type { Adapters } from './config.ts';
import type { ResolveContext } from './context.ts';
import { existingPath } from './local-path.ts';
import type { ConfigPath } from './problems.ts';
import { milliseconds } from './resolve-gateway.ts';
import type { ModelEntry } from './schema.ts';

/** Where a model's LoRA adapters come from; undefined without `lora_config`. */
export function resolveAdapters({ lora_config: lora }: ModelEntry, path: ConfigPath, context: ResolveContext): Adapters | undefined {
  if (lora === undefined) return undefined;
  const here = [...path, 'lora_config'];
  const root = lora.dynamic_lora_loading_path ?? undefined;
  if (root === undefined && lora.adapters.length === 0) {
    const message = 'the engine is made ready for adapters, but there are none: expected dynamic_lora_loading_path, or adapters';
    context.warning(here, message);
  }
  return {
    root: root === undefined ? undefined : placeOf(root, [...here, 'dynamic_lora_loading_path'], context),
    listed: resolveListed(lora.adapters, [...here, 'adapters'], context),
    maxPerReplica: lora.max_num_adapters_per_replica,
    refreshMs: milliseconds(lora.refresh_s),
  };
}

type Listed = NonNullable<ModelEntry['lora_config']>['adapters'];

function resolveListed(adapters: Listed, path: ConfigPath, context: ResolveContext): Adapters['listed'] {
  const seen = new Set<string>();
  return adapters.flatMap(({ name, source }, at) => {
    if (seen.has(name)) context.problem([...path, at, 'name'], `the adapter ${JSON.stringify(name)} is listed twice; expected each once`);
    seen.add(name);
    const place = placeOf(source, [...path, at, 'source'], context);
    return place === undefined ? [] : [{ name: adapterName(name), path: place }];
  });
}

/** A path on this machine; undefined where it is elsewhere, which has been told. */
function placeOf(text: string, path: ConfigPath, context: ResolveContext): string | undefined {
  const local = existingPath(text, path, context);
  if (local === undefined) {
    const message = `adapters that are not on this machine (./…, ~/… or /…) are not loaded in this version; got ${JSON.stringify(text)}`;
    context.warning(path, `accepted, no effect yet: ${message}`);
  }
  return local;
}
