import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { accents } from './accent.ts';
import { adapterCall, changeAdapters } from './adapters.ts';
import { abortByName, complete } from './completion.ts';
import { applyControl, readState } from './control.ts';
import { errorBody } from './openai.ts';
import { answerOther, isOtherRoute } from './other-routes.ts';
import { readBody, sendJson, sendText } from './respond.ts';
import { answerSleep, isSleepRoute } from './sleep.ts';
import type { EngineState } from './state.ts';

/** The engine's HTTP server, not yet listening. `onDefect` gets what should never be thrown. */
export function createEngineServer(state: EngineState, onDefect: (error: unknown) => void): Server {
  const { keep_alive_ms: keepAliveTimeout, no_keep_alive_hint: noHint } = state.faults.settings;
  const reused = new ReusedConnections();
  return createServer({ keepAliveTimeout, ...(noHint ? { keepAliveTimeoutBuffer: 0 } : {}) }, (request, response) => {
    if (reused.isClosed(request, state.faults.settings.close_reused)) {
      request.socket.destroy();
      return;
    }
    // Node writes the hint beside this header when it writes both itself.
    if (noHint && request.headers.connection !== 'close') response.setHeader('connection', 'keep-alive');
    handle(state, request, response).catch((error: unknown) => {
      // A client that leaves while its request is read or answered is no defect.
      if (!request.destroyed && !response.destroyed) onDefect(error);
      response.destroy();
    });
  });
}

/** Counts requests on connections that have served one. */
class ReusedConnections {
  readonly #used = new WeakSet<Socket>();
  #count = 0;

  /** Whether this request, the `every`-th of its kind, is to find its connection closed. 0: never. */
  isClosed({ socket }: IncomingMessage, every: number): boolean {
    if (!this.#used.has(socket)) {
      this.#used.add(socket);
      return false;
    }
    this.#count += 1;
    return every > 0 && this.#count % every === 0;
  }
}

async function handle(state: EngineState, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').replace(/\?.*$/u, '');
  const route = `${request.method ?? 'GET'} ${path}`;
  if (route === 'GET /health') return health(state, response);
  if (!authorised(state, request)) {
    return sendJson(response, 401, accents[state.faults.settings.dialect].unauthorised);
  }
  if (route === 'GET /fake/state') return sendJson(response, 200, readState(state));
  if (route === 'POST /fake/control') return applyControl(state, await readBody(request), response);
  if (!state.ready) return sendJson(response, 503, errorBody('Loading model', 'unavailable_error', undefined, 'loading'));
  if (isSleepRoute(state, route)) return answerSleep(state, route, request, response);
  const call = adapterCall(state, route);
  if (call !== undefined) return changeAdapters(state, call, request, response);
  if (isOtherRoute(request.method, path)) return answerOther(state, path, request, response);
  switch (route) {
    case 'GET /v1/models':
      return sendJson(response, 200, modelList(state));
    case 'GET /version':
      return sendJson(response, 200, { version: state.faults.settings.version });
    case 'GET /metrics':
      return sendText(response, 200, 'text/plain; version=0.0.4', metricsPage(state));
    case 'POST /v1/chat/completions':
      return complete(state, 'chat', path, request, response);
    case 'POST /v1/completions':
      return complete(state, 'completions', path, request, response);
    case 'POST /abort_request':
      if (accents[state.faults.settings.dialect].abortsByName) return abortByName(state, await readBody(request), response);
      return noRoute(response, route);
    default:
      return noRoute(response, route);
  }
}

function noRoute(response: ServerResponse, route: string): void {
  sendJson(response, 404, errorBody(`no route ${route}`, 'not_found_error', undefined, 'not_found'));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Compares digests, so that the time taken tells nothing of the key. */
function authorised({ apiKey }: EngineState, request: IncomingMessage): boolean {
  if (apiKey === undefined) return true;
  return timingSafeEqual(digest(`Bearer ${apiKey}`), digest(request.headers.authorization ?? ''));
}

async function health(state: EngineState, response: ServerResponse): Promise<void> {
  state.journal.probes += 1;
  const [mode, amount = '0'] = state.faults.settings.health.split(':');
  if (!state.ready || mode === 'fail' || (mode === 'flap' && state.random() < Number(amount))) {
    return sendJson(response, 503, errorBody(state.ready ? 'Unhealthy' : 'Loading model', 'unavailable_error'));
  }
  const left = new AbortController();
  response.once('close', () => left.abort());
  try {
    if (mode === 'hang') await new Promise((resolve) => left.signal.addEventListener('abort', resolve, { once: true }));
    if (mode === 'slow') await setTimeout(Number(amount), undefined, { signal: left.signal });
    if (mode !== 'lie') await state.faults.pass(left.signal);
  } catch (error) {
    // The prober gave up: nobody is left to answer.
    if (left.signal.aborted) return;
    throw error;
  }
  if (!left.signal.aborted) sendJson(response, 200, { status: 'ok' });
}

function modelList({ servedName, faults, adapters }: EngineState): object {
  const id = faults.settings.models_id || servedName;
  const head = { object: 'model', created: 0, owned_by: 'fake' };
  const { max_model_len: length } = faults.settings;
  const loaded = [...adapters.held].map(([handle, root]) => ({ id: handle, ...head, root, parent: id }));
  return { object: 'list', data: [{ id, ...head, ...(length > 0 ? { max_model_len: length } : {}) }, ...loaded] };
}

function metricsPage({ slots, journal }: EngineState): string {
  const rows: readonly [string, string, number][] = [
    ['requests_running', 'gauge', slots.running],
    ['requests_waiting', 'gauge', slots.waiting],
    ['tokens_total', 'counter', journal.tokens],
    ['steps_total', 'counter', journal.steps],
    ['requests_total', 'counter', journal.requests],
    ['requests_completed_total', 'counter', journal.completed],
    ['requests_aborted_total', 'counter', journal.aborted],
  ];
  return rows.map(([name, type, value]) => `# TYPE fake:${name} ${type}\nfake:${name} ${value}\n`).join('');
}
