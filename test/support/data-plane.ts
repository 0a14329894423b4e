import type { AdapterDemand, GatewaySettings } from '../../src/core/messages.ts';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import pino from 'pino';
import { type Access, openToAll } from '../../src/core/access.ts';
import { defaultInputLimits, type InputPolicy } from '../../src/core/input-limits.ts';
import { LoadBoard } from '../../src/core/board.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { RateBoard } from '../../src/core/rate-board.ts';
import { adapterName, modelName, replicaId, slot } from '../../src/core/ids.ts';
import type { ModelEntry, ModelLimits, RoutingPolicy, ReplicaView, RoutingTable, UnsupportedParams } from '../../src/core/table.ts';
import { Gate } from '../../src/gateway/auth/gate.ts';
import { guessMemory, Guesses } from '../../src/gateway/auth/guesses.ts';
import { AdapterNames } from '../../src/gateway/adapter-names.ts';
import { Limiter } from '../../src/gateway/auth/limiter.ts';
import { Seats } from '../../src/gateway/auth/seats.ts';
import type { Exchange } from '../../src/gateway/exchange.ts';
import { CandidateLists } from '../../src/gateway/candidates.ts';
import { LiveSet } from '../../src/gateway/live-set.ts';
import { MediaDesk } from '../../src/gateway/media/desk.ts';
import type { ResolveHost } from '../../src/gateway/media/resolve.ts';
import { GatewayMetrics } from '../../src/gateway/metrics.ts';
import { ReplicaMemory } from '../../src/gateway/replica-memory.ts';
import { RetryBudget } from '../../src/gateway/retry-budget.ts';
import { buildServer } from '../../src/gateway/server.ts';
import { Upstreams } from '../../src/gateway/upstreams.ts';
import { WaitingRoom } from '../../src/gateway/waiting-room.ts';
import { engines } from '../../src/plugins/registry.ts';

/** An engine's HTTP side, scripted by the test, on a real socket of its own. */
export interface ScriptedEngine {
  readonly url: string;
  /** Bodies received so far, in order. */
  readonly bodies: string[];
  /** Resolves when the connection of the n-th request (from 0) has closed before its reply ended. */
  aborted(index: number): Promise<void>;
  /** Requests whose reply has neither ended nor been abandoned. */
  open(): number;
  close(): Promise<void>;
}

export async function scriptedEngine(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<ScriptedEngine> {
  const bodies: string[] = [];
  const aborts: PromiseWithResolvers<void>[] = [];
  const abortAt = (index: number): PromiseWithResolvers<void> => (aborts[index] ??= Promise.withResolvers<void>());
  let open = 0;
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const index = bodies.push(Buffer.concat(chunks).toString()) - 1;
      open += 1;
      response.on('close', () => {
        open -= 1;
        if (!response.writableFinished) abortAt(index).resolve();
      });
      answer(request, response, bodies[index] ?? '');
    });
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  t.after(close);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    aborted: (index) => abortAt(index).promise,
    open: () => open,
    close,
  };
}

/** Writes one server-sent event. */
export const event = (data: unknown): string => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

const defaultMedia: GatewaySettings['media'] = {
  fetch: 'public',
  allowedHosts: [],
  maxImages: 16,
  maxImageBytes: 20_971_520,
  maxTotalBytes: 104_857_600,
  timeoutMs: 15_000,
};

const limits: ModelLimits = { maxWaiting: 10, queueTimeoutMs: 60_000, firstByteTimeoutMs: 60_000, idleTimeoutMs: 60_000 };

export interface Replica {
  readonly url: string;
  /** Name → handle of adapters it has loaded. The n-th counts on slot 40 + n. */
  readonly adapters?: Readonly<Record<string, string>>;
  readonly maxInFlight?: number;
}

export interface DataPlaneUnderTest {
  readonly url: string;
  readonly port: number;
  readonly board: LoadBoard;
  readonly metrics: GatewayMetrics;
  readonly room: WaitingRoom;
  readonly live: LiveSet<Exchange>;
  readonly adapterNames: AdapterNames;
  /** What the worker said of those who wait for adapters. */
  readonly demands: readonly AdapterDemand[];
  /** Requests in flight on the n-th replica. */
  inFlight(index: number): number;
  waiting(): number;
  /** Replaces the replicas, as a new table does. */
  setReplicas(replicas: readonly Replica[], status?: ModelEntry['status']): void;
  /** Replaces the models by others, which have no replica. */
  serve(names: readonly string[]): void;
  drain(): void;
  /** Replaces the keys, as a reload does. */
  allow(access: Access): void;
  post(body: unknown, signal?: AbortSignal, path?: string): Promise<Response>;
}

export const model = 'test/model:1';
export const chat = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  model,
  messages: [{ role: 'user', content: 'hi' }],
  ...more,
});

/** The data plane of one worker in this process: real server, real board and connections, tables set by hand. */
export async function dataPlane(
  t: TestContext,
  replicas: readonly Replica[],
  options: {
    clock?: Clock;
    limits?: Partial<ModelLimits>;
    maxBodyBytes?: number;
    engine?: string;
    routing?: RoutingPolicy;
    debugHeaders?: boolean;
    metricsByKey?: boolean;
    client?: Partial<GatewaySettings['client']>;
    unsupportedParams?: UnsupportedParams;
    input?: InputPolicy;
    resumeStreams?: boolean;
    lora?: boolean;
    aliases?: readonly string[];
    access?: Access;
    wallClock?: () => number;
    /** The clock of the keys' rates. */
    nanoseconds?: () => bigint;
    /** What the engines ask for. */
    engineKey?: string;
    failedAuthPerMinute?: number;
    allowedOrigins?: readonly string[];
    media?: Partial<GatewaySettings['media']>;
    /** Looks hosts up; without it no host is found. */
    resolve?: ResolveHost;
  } = {},
): Promise<DataPlaneUnderTest> {
  const clock = options.clock ?? systemClock;
  const board = LoadBoard.create(1, 64);
  const demands: AdapterDemand[] = [];
  const room = new WaitingRoom(clock, (name, adapter, waits) => demands.push({ model: name, adapter, waiting: waits }));
  const upstreams = new Upstreams();
  const metrics = new GatewayMetrics();
  const live = new LiveSet<Exchange>();
  const memory = new ReplicaMemory();
  const adapterNames = new AdapterNames();
  const waitingSlot = slot(0);
  let turn = 0;
  let draining = false;
  const wallClock = options.wallClock ?? ((): number => Date.now());
  const perMinute = options.failedAuthPerMinute;
  const rates = RateBoard.create(1, options.nanoseconds);
  const seats = new Seats(rates);
  const media = { ...defaultMedia, ...options.media };
  const gateOf = (access: Access): Gate => new Gate(seats.assign(access), wallClock);
  let gate = gateOf(options.access ?? openToAll);
  const view = (replica: Replica, index: number): ReplicaView => ({
    id: replicaId(`r${index}@${replica.url}`),
    slot: slot(index + 1),
    index,
    upstream: replica.url,
    apiKey: options.engineKey ?? `key-${index}`,
    maxInFlight: replica.maxInFlight ?? 8,
    adapters: new Map(
      Object.entries(replica.adapters ?? {}).map(([name, handle], at) => [adapterName(name), { handle, slot: slot(40 + at) }]),
    ),
  });
  let served: RoutingTable['apps'] | undefined;
  const tableOf = (version: number, views: readonly ReplicaView[], status: ModelEntry['status']): RoutingTable => ({
    version,
    models: new Map([
      [
        modelName(model),
        {
          engine: options.engine ?? 'fake',
          waiting: waitingSlot,
          created: 1_700_000_000,
          status,
          limits: { ...limits, ...options.limits },
          routing: options.routing ?? { kind: 'least-in-flight' },
          unsupportedParams: options.unsupportedParams ?? 'warn',
          input: options.input ?? { limits: defaultInputLimits, allowed: [] },
          resumeStreams: options.resumeStreams ?? false,
          lora: options.lora ?? false,
          replicas: views,
        },
      ],
    ]),
    apps: served ?? new Map([['', new Map([model, ...(options.aliases ?? [])].map((id) => [id, modelName(model)]))]]),
  });
  let table = tableOf(1, replicas.map(view), { phase: 'ready' });
  let tableSince = clock.now();
  memory.retain(table, clock.now());
  const app = buildServer({
    worker: 0,
    table: () => table,
    tableSince: () => tableSince,
    board,
    room,
    upstreams,
    dialects: new Map([...engines].map(([name, { dialect }]) => [name, dialect])),
    metrics,
    clock,
    demand: () => undefined,
    nextTieBreak: () => (turn += 1),
    live,
    retries: new RetryBudget(),
    memory,
    candidates: new CandidateLists(board),
    settings: {
      limits: {
        maxBodyBytes: options.maxBodyBytes ?? 1024 * 1024,
        maxMediaBodyBytes: 4 * 1024 * 1024,
        headersTimeoutMs: 60_000,
        requestTimeoutMs: 60_000,
        maxConnections: 10_000,
        failedAuthPerMinute: perMinute,
      },
      media,
      cors: { allowedOrigins: options.allowedOrigins, maxAgeS: 600 },
      client: { heartbeatMs: 10_000, writeStallMs: 60_000, keepAliveMs: 30_000, ...options.client },
      metricsByKey: options.metricsByKey ?? false,
      debugHeaders: options.debugHeaders ?? false,
      access: openToAll,
    },
    gate: () => gate,
    media: new MediaDesk({ settings: media, clock, resolve: options.resolve ?? (async () => []) }),
    adapterNames,
    limiter: new Limiter(rates, 0, options.metricsByKey === true ? (key, tokens) => metrics.tokensOfKey(key.name, tokens) : undefined),
    guesses: perMinute === undefined ? undefined : new Guesses(guessMemory('salt'), perMinute, options.nanoseconds),
    log: pino({ level: 'silent' }),
    ending: () => false,
    draining: () => draining,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    app.server.closeAllConnections();
    await app.close();
    await upstreams.destroy();
  });
  const port = (app.server.address() as AddressInfo).port;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    board,
    metrics,
    room,
    adapterNames,
    live,
    demands,
    inFlight: (index) => board.read(slot(index + 1)),
    waiting: () => board.read(waitingSlot),
    setReplicas(next, status = { phase: 'ready' }) {
      table = tableOf(table.version + 1, next.map(view), status);
      tableSince = clock.now();
      upstreams.retain(table);
      memory.retain(table, clock.now());
      room.wakeAll();
    },
    allow: (access) => {
      gate = gateOf(access);
    },
    serve: (names) => {
      served = new Map([['', new Map(names.map((name) => [name, modelName(name)]))]]);
      table = tableOf(table.version + 1, [], { phase: 'ready' });
    },
    drain: () => {
      draining = true;
    },
    post: (body, signal, path = '/v1/chat/completions') =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      }),
  };
}

/** Resolves when `condition` holds, looked at each turn of the event loop. @throws Error after `turns` turns. */
export async function eventually(condition: () => boolean, what: string, turns = 20_000): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`did not happen: ${what}`);
}
