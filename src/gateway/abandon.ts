import type { Dispatcher } from 'undici';
import type { EngineRequest } from '../plugins/engine-plugin.ts';
import type { Attempt } from './attempt.ts';
import { type EngineCall, engineHeaders } from './engine-call.ts';
import type { Upstreams } from './upstreams.ts';

/** Time an engine has to take note that a generation is wanted no more. */
const abortTimeoutMs = 5000;

/** How a generation that nobody waits for was ended: the connection was closed, or the engine was also told, and took it or did not. */
export type Abandoned = 'closed' | 'asked' | 'failed';

/**
 * Nobody waits for the reply any more: the engine is to stop working on it.
 * @param done called once where an engine may have been working, with how it went
 */
export function abandon(
  attempt: Attempt,
  { call, requestId, upstreams, reason }: { call: EngineCall | undefined; requestId: string; upstreams: Upstreams; reason: Error },
  done: (how: Abandoned) => void,
): void {
  const isWorking = attempt.working;
  attempt.abort(reason);
  if (!isWorking) return;
  if (call?.abort === undefined) {
    done('closed');
    return;
  }
  const headers = engineHeaders(attempt.replica, requestId);
  tellEngine(upstreams.poolOf(attempt.replica), call.abort, headers, (taken) => done(taken ? 'asked' : 'failed'));
}

/** Sends a request of which only the status matters. `done` is called once: whether the engine took it. */
function tellEngine(pool: Dispatcher, request: EngineRequest, headers: string[], done: (taken: boolean) => void): void {
  let status = 0;
  const { path, body } = request;
  pool.dispatch(
    { method: 'POST', path, headers, body, headersTimeout: abortTimeoutMs, bodyTimeout: abortTimeoutMs },
    {
      onRequestStart: () => undefined,
      onResponseStart: (_controller, code) => {
        status = code;
      },
      onResponseData: () => undefined,
      onResponseEnd: () => done(status < 300),
      onResponseError: () => done(false),
    },
  );
}
