import { isMapping } from '../core/json.ts';
import type { SleepSupport } from './engine-plugin.ts';

/** The routes for sleep that vLLM has. @param sleep path and query that put it to sleep */
export function sleepRoutes(sleep: string): SleepSupport {
  return {
    sleep: { method: 'POST', path: sleep },
    wake: { method: 'POST', path: '/wake_up' },
    state: { method: 'GET', path: '/is_sleeping' },
    readAsleep: (body) => (isMapping(body) && typeof body['is_sleeping'] === 'boolean' ? body['is_sleeping'] : undefined),
  };
}
