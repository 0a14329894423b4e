import { keptTick } from './tick-shape.ts';
import { parentPort, workerData } from 'node:worker_threads';
import pino from 'pino';
import type { AccessKey } from '../core/access.ts';
import { LoadBoard } from '../core/board.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import { EventLoopLag } from '../core/event-loop-lag.ts';
import { openLogDestination } from '../core/log-destination.ts';
import type { GatewaySettings, ToControl, ToWorker } from '../core/messages.ts';
import { RateBoard } from '../core/rate-board.ts';
import type { RoutingTable } from '../core/table.ts';
import { withEngines } from '../plugins/outside.ts';
import { dialects as builtIn } from '../plugins/dialects.ts';
import { AdapterNames } from './adapter-names.ts';
import { Gate } from './auth/gate.ts';
import { type GuessMemory, Guesses } from './auth/guesses.ts';
import { Limiter } from './auth/limiter.ts';
import type { Exchange } from './exchange.ts';
import { CandidateLists } from './candidates.ts';
import { LiveSet } from './live-set.ts';
import { MediaDesk } from './media/desk.ts';
import { resolveHost } from './media/resolve.ts';
import { GatewayMetrics } from './metrics.ts';
import { ReplicaMemory } from './replica-memory.ts';
import { RetryBudget } from './retry-budget.ts';
import { buildServer } from './server.ts';
import { Upstreams } from './upstreams.ts';
import { WaitingRoom } from './waiting-room.ts';

/** What a worker thread is started with. */
export interface WorkerStart {
  readonly index: number;
  readonly workers: number;
  readonly slots: number;
  readonly board: SharedArrayBuffer;
  readonly table: RoutingTable;
  /** The rate board's. */
  readonly rates: SharedArrayBuffer;
  readonly guesses: GuessMemory;
  readonly host: string;
  readonly port: number;
  /** False where the system cannot share a port between sockets; then there is one worker. */
  readonly reusePort: boolean;
  /** `file:` URLs of the modules with engines from outside: the same that the control plane has. */
  readonly plugins: readonly string[];
  readonly settings: GatewaySettings;
  readonly log: { readonly level: string; readonly file: string | undefined };
}

const deadlineCheckMs = 1000;
/** How often connections that became idle are closed while draining: a client's keep-alive would hold the server open. */
const idleSweepMs = 100;

const start = workerData as WorkerStart;
const control = parentPort;
if (control === null) throw new Error('worker.ts runs only as a worker thread');
const send = (message: ToControl): void => control.postMessage(message);
await keptTick;

const board = new LoadBoard(start.board, start.workers, start.slots);
const clock = systemClock;
const room = new WaitingRoom(clock, (model, adapter, waiting) => send({ kind: 'adapter-demand', model, adapter, waiting }));
const upstreams = new Upstreams();
const metrics = new GatewayMetrics();
const lag = new EventLoopLag(clock);
const adapterNames = new AdapterNames();
const live = new LiveSet<Exchange>();
const memory = new ReplicaMemory();
const candidates = new CandidateLists(board);
const fromOutside = await withEngines(new Map(), start.plugins).catch((error: unknown) => {
  send({ kind: 'fatal', code: 'config_invalid', message: `gateway.plugins: ${messageOf(error)}` });
  // Ended by whoever gets the message.
  return new Promise<never>(() => undefined);
});
const dialects = new Map([...builtIn, ...[...fromOutside].map(([name, { dialect }]) => [name, dialect] as const)]);
const log = pino(
  { level: start.log.level, base: { worker: start.index } },
  openLogDestination(start.log.file ?? 2, () => metrics.logLineDropped()),
);
const tokensUsed = start.settings.metricsByKey
  ? (key: AccessKey, tokens: number): void => metrics.tokensOfKey(key.name, tokens)
  : undefined;
const { failedAuthPerMinute } = start.settings.limits;
const wallClock = (): number => Date.now();
let gate = new Gate(start.settings.access, wallClock);
let table: RoutingTable = start.table;
let tableSince = clock.now();
let ending = false;
let draining = false;
let sequence = 0;

const app = buildServer({
  worker: start.index,
  table: () => table,
  tableSince: () => tableSince,
  board,
  room,
  upstreams,
  dialects,
  metrics,
  clock,
  demand: (model) => send({ kind: 'demand', model }),
  nextTieBreak: () => (sequence += 1),
  live,
  retries: new RetryBudget(),
  memory,
  candidates,
  settings: start.settings,
  gate: () => gate,
  guesses: failedAuthPerMinute === undefined ? undefined : new Guesses(start.guesses, failedAuthPerMinute),
  adapterNames,
  media: new MediaDesk({ settings: start.settings.media, clock, resolve: resolveHost }),
  limiter: new Limiter(new RateBoard(start.rates, start.workers), start.index, tokensUsed),
  log,
  ending: () => ending,
  draining: () => draining,
});

function applyTable(next: RoutingTable): void {
  table = next;
  tableSince = clock.now();
  upstreams.retain(next);
  memory.retain(next, clock.now());
  candidates.forget();
  room.wakeAll();
  send({ kind: 'applied', version: next.version });
}

/** Takes nothing new, lets what runs end within `graceMs`, then ends it with an error. */
async function drain(graceMs: number): Promise<void> {
  draining = true;
  const sweep = setInterval(() => app.server.closeIdleConnections(), idleSweepMs);
  const deadline = clock.after(graceMs, () => {
    for (const exchange of live.snapshot())
      exchange.fail(new GatewayError('shutting_down', 'The gateway shut down before the reply was complete.', { retryAfterS: 5 }));
    // What still holds a connection open now is a client that does not read.
    clock.after(idleSweepMs, () => app.server.closeAllConnections());
  });
  await app.close();
  deadline();
  clearInterval(sweep);
  await upstreams.destroy();
  send({ kind: 'drained' });
  control?.close();
}

function receive(message: ToWorker): void {
  switch (message.kind) {
    case 'table':
      applyTable(message.table);
      return;
    case 'access':
      gate = new Gate(message.access, wallClock);
      return;
    case 'adapters':
      adapterNames.set(message.model, message.names);
      return;
    case 'refuse':
      room.refuse(message.model, message.adapter, new GatewayError(message.code, message.message, { param: 'model' }));
      return;
    case 'scrape':
      metrics.late(lag.read());
      void metrics.snapshot().then((snapshot) => send({ kind: 'metrics', id: message.id, metrics: snapshot }));
      return;
    case 'announce-end':
      ending = true;
      return;
    case 'drain':
      drain(message.graceMs).catch((error: unknown) =>
        send({ kind: 'fatal', code: 'internal_error', message: `draining failed: ${messageOf(error)}` }),
      );
      return;
  }
}

async function watchFreedPlaces(): Promise<never> {
  let seen = board.epoch();
  for (;;) {
    seen = await board.epochAfter(seen);
    room.wakeAll();
  }
}

control.on('message', receive);
setInterval(() => {
  const now = clock.now();
  for (const exchange of live.snapshot()) exchange.check(now);
}, deadlineCheckMs).unref();
void watchFreedPlaces();

try {
  await app.listen({ host: start.host, port: start.port, ...(start.reusePort ? { reusePort: true } : {}) });
  const address = app.server.address();
  send({ kind: 'listening', port: typeof address === 'object' && address !== null ? address.port : start.port });
} catch (error) {
  send({ kind: 'fatal', code: 'port_in_use', message: `cannot listen on ${start.host}:${start.port}: ${messageOf(error)}` });
}
