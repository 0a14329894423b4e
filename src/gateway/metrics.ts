import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '../core/errors.ts';
import type { ModelName } from '../core/ids.ts';
import { lagMetric, type Lag } from '../core/event-loop-lag.ts';
import { droppedLinesMetric } from '../core/log-destination.ts';
import type { Operation } from '../core/request.ts';
import { LabelledHistogram, PlainHistogram } from './histograms.ts';
import type { WaitPhase } from './receipt.ts';

const latencyBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const overheadBuckets = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05];

/** How a request ended: one word a label can carry. */
export type Outcome = 'ok' | 'engine_error' | ErrorCode;

/** Requests of one model that ended alike. */
interface Ended {
  readonly operation: Operation;
  readonly status: number;
  readonly outcome: Outcome;
  count: number;
}

/** What one worker counts. The control plane adds up the workers' answers. */
export class GatewayMetrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: 'roundhouse_requests_total',
    help: 'Requests ended, by how: ok, engine_error (the engine refused), client_closed, or an error code. status is the HTTP status sent; 499: the client left.',
    labelNames: ['model', 'operation', 'status', 'outcome'],
    registers: [this.#registry],
  });
  readonly #rejected = new Counter({
    name: 'roundhouse_rejected_requests_total',
    help: 'Requests answered with an error before they were routed, by error code.',
    labelNames: ['code'],
    registers: [this.#registry],
  });
  readonly #keyRequests = new Counter({
    name: 'roundhouse_key_requests_total',
    help: 'Requests ended, by the name of their key and how, refused ones included (gateway.metrics.by_key).',
    labelNames: ['key', 'outcome'],
    registers: [this.#registry],
  });
  readonly #keyTokens = new Counter({
    name: 'roundhouse_key_tokens_total',
    help: 'Tokens of prompts and replies by the name of their key, as its limits would count them (gateway.metrics.by_key).',
    labelNames: ['key'],
    registers: [this.#registry],
  });
  readonly #retries = new Counter({
    name: 'roundhouse_retries_total',
    help: 'Requests sent again because a replica failed before the first byte.',
    labelNames: ['model'],
    registers: [this.#registry],
  });
  readonly #adapterRequests = new Counter({
    name: 'roundhouse_adapter_requests_total',
    help: 'Requests for a LoRA adapter, by whether a replica had it loaded when they came: hit or miss.',
    labelNames: ['model', 'result'],
    registers: [this.#registry],
  });
  readonly #resumed = new Counter({
    name: 'roundhouse_resumed_streams_total',
    help: 'Streams whose replica died and that another one went on with (gateway.resume_streams).',
    labelNames: ['model'],
    registers: [this.#registry],
  });
  readonly #abandoned = new Counter({
    name: 'roundhouse_abandoned_generations_total',
    help: 'Generations given up while an engine worked on them (the client left, a timeout). abort: closed (the connection; enough for this engine), asked (the engine was also told to stop), failed (it was, and did not answer).',
    labelNames: ['model', 'abort'],
    registers: [this.#registry],
  });
  /** Of requests that ended: by model, then by what else is counted; added to `#requests` when that is asked for. */
  readonly #ended = new Map<ModelName, Ended[]>();
  readonly #duration = new LabelledHistogram(
    {
      name: 'roundhouse_request_duration_seconds',
      help: 'Time from acceptance to the last byte.',
      buckets: latencyBuckets,
    },
    'model',
  );
  readonly #firstByte = new LabelledHistogram(
    {
      name: 'roundhouse_time_to_first_token_seconds',
      help: 'Time from acceptance to the first byte of the reply (of a stream: its first event).',
      buckets: latencyBuckets,
    },
    'model',
  );

  readonly #wait = new Histogram({
    name: 'roundhouse_wait_seconds',
    help: 'Time that requests waited before a replica got them, of those that did. phase, as in Server-Timing: queue (for a free place), cold (for a model without a replica), retry (on replicas that failed them).',
    labelNames: ['model', 'phase'],
    buckets: latencyBuckets,
    registers: [this.#registry],
  });

  readonly #overhead = new PlainHistogram({
    name: 'roundhouse_gateway_overhead_seconds',
    help: "The gateway's own work on a request before it is sent to a replica: no waiting, no failed tries.",
    buckets: overheadBuckets,
  });

  readonly #droppedLines = new Counter({ ...droppedLinesMetric, registers: [this.#registry] });

  readonly #lag = new Gauge({ ...lagMetric, registers: [this.#registry] });

  /** How late this worker is. */
  late(lag: Lag): void {
    for (const [quantile, seconds] of Object.entries(lag)) this.#lag.set({ plane: 'data', quantile }, seconds);
  }

  /** A line of this worker's log could not be written. */
  logLineDropped(): void {
    this.#droppedLines.inc();
  }

  finished(model: ModelName, operation: Operation, status: number, outcome: Outcome, durationMs: number): void {
    let ended = this.#ended.get(model);
    if (ended === undefined) {
      ended = [];
      this.#ended.set(model, ended);
    }
    const alike = ended.find((each) => each.outcome === outcome && each.operation === operation && each.status === status);
    if (alike === undefined) ended.push({ operation, status, outcome, count: 1 });
    else alike.count += 1;
    this.#duration.observe(model, durationMs / 1000);
  }

  /** A request with a key has ended. */
  requestOfKey(key: string, outcome: Outcome): void {
    this.#keyRequests.inc({ key, outcome });
  }

  tokensOfKey(key: string, tokens: number): void {
    this.#keyTokens.inc({ key }, tokens);
  }

  firstByte(model: ModelName, afterMs: number): void {
    this.#firstByte.observe(model, afterMs / 1000);
  }

  overhead(ms: number): void {
    this.#overhead.observe(ms / 1000);
  }

  waited(model: ModelName, phase: WaitPhase, ms: number): void {
    this.#wait.observe({ model, phase }, ms / 1000);
  }

  retried(model: ModelName): void {
    this.#retries.inc({ model });
  }

  /** @param loaded whether a replica had the adapter when the request came. */
  adapterAsked(model: ModelName, loaded: boolean): void {
    this.#adapterRequests.inc({ model, result: loaded ? 'hit' : 'miss' });
  }

  resumed(model: ModelName): void {
    this.#resumed.inc({ model });
  }

  abandoned(model: ModelName, abort: 'closed' | 'asked' | 'failed'): void {
    this.#abandoned.inc({ model, abort });
  }

  rejected(code: ErrorCode): void {
    this.#rejected.inc({ code });
  }

  /** For prom-client's `AggregatorRegistry.aggregate`. */
  async snapshot(): Promise<unknown> {
    for (const [model, ended] of this.#ended)
      for (const { operation, status, outcome, count } of ended) this.#requests.inc({ model, operation, status, outcome }, count);
    this.#ended.clear();
    return [
      ...(await this.#registry.getMetricsAsJSON()),
      ...[this.#duration, this.#firstByte, this.#overhead].map((each) => each.toJson()),
    ];
  }
}
