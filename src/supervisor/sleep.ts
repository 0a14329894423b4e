import { messageOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { EngineCall, SleepSupport } from '../plugins/engine-plugin.ts';
import type { CallEngine, CallReply, EngineAddress } from './engine-call.ts';

/** What came of a call: undefined, or why it was not done. */
type Refusal = string | undefined;

const refusalOf = ({ method, path }: EngineCall, { status, body }: CallReply): Refusal =>
  status >= 200 && status < 300 ? undefined : `${method} ${path}: ${status} ${body.slice(0, 200)}`.trimEnd();

/** Rejects only with `signal.reason`. */
async function told(call: CallEngine, address: EngineAddress, made: EngineCall, signal: AbortSignal): Promise<CallReply | string> {
  try {
    return await call(address, made, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    return `${made.method} ${made.path}: ${messageOf(thrown) || 'connection failed'}`;
  }
}

async function orderOf(call: CallEngine, address: EngineAddress, made: EngineCall, signal: AbortSignal): Promise<Refusal> {
  const reply = await told(call, address, made, signal);
  return typeof reply === 'string' ? reply : refusalOf(made, reply);
}

/** Whether the engine says that it sleeps; a text: why that is not known. Rejects only with `signal.reason`. */
export async function readAsleep(
  call: CallEngine,
  address: EngineAddress,
  sleep: SleepSupport,
  signal: AbortSignal,
): Promise<boolean | string> {
  const { state } = sleep;
  const reply = await told(call, address, state, signal);
  if (typeof reply === 'string') return reply;
  const asleep = reply.status === 200 ? sleep.readAsleep(parseJson(reply.body)) : undefined;
  return asleep ?? refusalOf(state, reply) ?? `${state.method} ${state.path}: 200, but not whether it sleeps`;
}

/** Puts an idle engine to sleep, and asks whether it does. It has no deadline of its own; rejects only with `signal.reason`. */
export async function putToSleep(call: CallEngine, address: EngineAddress, sleep: SleepSupport, signal: AbortSignal): Promise<Refusal> {
  const refusal = await orderOf(call, address, sleep.sleep, signal);
  if (refusal !== undefined) return refusal;
  const asleep = await readAsleep(call, address, sleep, signal);
  if (asleep === true) return undefined;
  return asleep === false ? 'it took the call, and does not sleep' : asleep;
}

/** Wakes an engine; whether it serves is for the caller to see. It has no deadline of its own; rejects only with `signal.reason`. */
export async function wakeUp(call: CallEngine, address: EngineAddress, sleep: SleepSupport, signal: AbortSignal): Promise<Refusal> {
  return await orderOf(call, address, sleep.wake, signal);
}
