import type { ModelTraits, OptionProblem } from '../engine-plugin.ts';
import type { ReadKwargs } from '../kwargs.ts';
import { sleepRoutes } from '../sleep-routes.ts';

/**
 * Level 1: the weights go to the machine's memory, the cache of keys and values is dropped; the CUDA context stays on the card. The routes
 * are there with `VLLM_SERVER_DEV_MODE=1` only, and answer once it is done; `/health` says 200 while it sleeps (all seen on 0.26.0).
 */
export const support = sleepRoutes('/sleep?level=1');

/** What `gateway.idle.sleep_s` and `enable_sleep_mode` come to together. */
export interface SleepPlan {
  /** Whether the gateway lets it sleep. */
  readonly used: boolean;
  readonly added: ReadonlyMap<string, unknown>;
  readonly notes: readonly OptionProblem[];
  readonly problems: readonly OptionProblem[];
}

const name = 'enable_sleep_mode';

export function planSleep({ values, writtenAs }: ReadKwargs, { sleeps }: ModelTraits): SleepPlan {
  const given = values.get(name);
  const path = [writtenAs.get(name) ?? name];
  const none = { used: false, added: new Map(), notes: [], problems: [] };
  if (sleeps === undefined) {
    if (given !== true) return none;
    return { ...none, notes: [{ path, message: 'no effect: without gateway.idle.sleep_s it never sleeps' }] };
  }
  if (given === false)
    return { ...none, problems: [{ path, message: 'got false, but there is gateway.idle.sleep_s; expected true, or no sleep_s' }] };
  const message =
    "vLLM has the routes for sleep among its development routes, which ask for no key: any user of this machine can call them, and read the engine's environment";
  return { used: true, added: new Map([[name, true]]), notes: [{ path, message }], problems: [] };
}
