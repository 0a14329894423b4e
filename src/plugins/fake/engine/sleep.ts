import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { errorBody } from './openai.ts';
import { sendJson, sendText } from './respond.ts';
import type { EngineState } from './state.ts';

export type SleepRoute = 'POST /sleep' | 'POST /wake_up' | 'GET /is_sleeping';

/** As vLLM has them, and like there only where the engine was started so that it can sleep. */
export function isSleepRoute({ faults }: EngineState, route: string): route is SleepRoute {
  return faults.settings.enable_sleep_mode && ['POST /sleep', 'POST /wake_up', 'GET /is_sleeping'].includes(route);
}

const never = (request: IncomingMessage): Promise<void> => new Promise((resolve) => request.socket.once('close', () => resolve()));

/** Sleeps, wakes, or says whether it sleeps. */
export async function answerSleep(
  state: EngineState,
  route: SleepRoute,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { settings } = state.faults;
  if (route === 'GET /is_sleeping') return sendJson(response, 200, { is_sleeping: state.asleep });
  const how = route === 'POST /sleep' ? settings.sleep : settings.wake;
  if (how === 'hang') return await never(request);
  if (how === 'die') return state.crash();
  if (how === 'refuse') return sendJson(response, 500, errorBody(`cannot do ${route}`, 'server_error'));
  if (route === 'POST /wake_up') await setTimeout(settings.wake_s * 1000);
  // `lie`: it says that it is awake, and is not.
  if (how === 'ok') {
    const asleep = route === 'POST /sleep';
    if (asleep !== state.asleep) state.journal[asleep ? 'sleeps' : 'wakes'] += 1;
    state.asleep = asleep;
  }
  sendText(response, 200, 'text/plain', '');
}
