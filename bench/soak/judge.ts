import type { End, Outcome } from './client.ts';
import { models } from './schedule.ts';

/** The gateway's own word, once all requests have ended. */
export interface Counters {
  /** Requests by outcome, as `roundhouse_requests_total` counts them; refused before routing: `rejected`. */
  readonly byOutcome: ReadonlyMap<string, number>;
  readonly inFlight: number;
  readonly waiting: number;
  readonly retries: number;
  readonly resumed: number;
}

export interface MemorySample {
  readonly atMs: number;
  readonly mib: number;
}

export interface Evidence {
  readonly durationMs: number;
  readonly outcomes: readonly Outcome[];
  readonly counters: Counters;
  /** Engines killed, and kills whose replica was not up at that moment. */
  readonly kills: number;
  readonly killsMissed: number;
  /** Replicas ready at the end, and wanted. */
  readonly ready: number;
  readonly wanted: number;
  /** Resident memory of the gateway, in order. */
  readonly memory: readonly MemorySample[];
  /** What the gateway ended with, and engines of its that were left. */
  readonly exitCode: number | null;
  readonly enginesLeft: number;
  /** Lines of level error and above that it logged. */
  readonly errorsLogged: number;
}

export interface Finding {
  readonly what: string;
  readonly value: string;
  /** Undefined: only reported. */
  readonly holds?: boolean;
}

/** V8 takes this long to find its heap's size; what is resident before says nothing of what is lost. */
export const settlingMs = 120_000;
/** Shorter runs than this show noise only. */
const slopeNeedsMs = 240_000;
/** Growth a minute below which memory counts as flat: 2 MiB would take hours to matter, and days to hurt. */
const flatMibPerMin = 2;

const none = (what: string, count: number): Finding => ({ what, value: String(count), holds: count === 0 });
const within = (count: number, low: number, slack: number): boolean => count >= low && count <= low + slack;
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

export function judge(evidence: Evidence): readonly Finding[] {
  const { outcomes, counters, kills, killsMissed, ready, wanted, exitCode, enginesLeft, errorsLogged } = evidence;
  const number = (end: End, of: (outcome: Outcome) => boolean = () => true): number =>
    outcomes.filter((outcome) => outcome.end === end && of(outcome)).length;
  const resumes = new Set(models.filter((model) => model.resumes).map(({ id }) => id));
  const mayResume = ({ ask }: Outcome): boolean => resumes.has(ask.model) && ask.manner.kind !== 'whole';
  return [
    { what: 'requests', value: String(outcomes.length), holds: outcomes.length > 0 },
    { what: 'engines killed (not up when their turn came)', value: `${kills} (${killsMissed})`, holds: kills > 0 },
    none('lost without a byte', number('lost')),
    none(
      'refused with 5xx',
      number('refused', ({ status }) => status >= 500),
    ),
    none(
      'refused otherwise',
      number('refused', ({ status }) => status < 500),
    ),
    none('wrong text', number('wrong')),
    none(
      'streams cut without an error event',
      number('cut', ({ ask }) => ask.manner.kind !== 'whole'),
    ),
    none('streams broken that should have been resumed', number('broken', mayResume)),
    { what: 'streams broken with an error event, as their engine died', value: String(number('broken', (each) => !mayResume(each))) },
    { what: 'whole replies cut, as their engine died', value: String(number('cut', ({ ask }) => ask.manner.kind === 'whole')) },
    { what: 'complete, left', value: `${number('complete')}, ${number('left')}` },
    { what: 'retries, resumed streams', value: `${counters.retries}, ${counters.resumed}` },
    ...counted(outcomes, counters),
    {
      what: 'in flight and waiting at the end',
      value: `${counters.inFlight}, ${counters.waiting}`,
      holds: counters.inFlight + counters.waiting === 0,
    },
    { what: 'replicas ready at the end', value: `${ready} of ${wanted}`, holds: ready === wanted },
    memoryFinding(evidence),
    none('errors in its log', errorsLogged),
    { what: 'exit code, engines left', value: `${exitCode}, ${enginesLeft}`, holds: exitCode === 0 && enginesLeft === 0 },
  ];
}

/** One outcome a request, and the same at both ends: but what a client left may have been complete on the gateway's side, or broken. */
function counted(outcomes: readonly Outcome[], { byOutcome }: Counters): readonly Finding[] {
  const total = [...byOutcome.values()].reduce((sum, count) => sum + count, 0);
  const ok = byOutcome.get('ok') ?? 0;
  const seen = (ends: readonly End[]): number => outcomes.filter(({ end }) => ends.includes(end)).length;
  const complete = seen(['complete', 'wrong']);
  const left = seen(['left']);
  const closed = byOutcome.get('client_closed') ?? 0;
  const failed = total - ok - closed;
  const failures = seen(['broken', 'refused', 'cut']);
  return [
    { what: 'counted by the gateway', value: String(total), holds: total === outcomes.length },
    {
      what: 'of them ok, left, failed',
      value: `${ok}, ${closed}, ${failed}`,
      holds:
        within(ok, complete, left) &&
        closed <= left &&
        within(failed, failures, left) &&
        ok + closed + failed === complete + left + failures,
    },
  ];
}

function memoryFinding({ memory, durationMs }: Evidence): Finding {
  const settled = memory.filter(({ atMs }) => atMs >= settlingMs);
  const sizes = (settled.length > 0 ? settled : memory).map(({ mib }) => mib);
  const range = `${Math.min(...sizes).toFixed(0)}–${Math.max(...sizes).toFixed(0)} MiB`;
  if (durationMs < slopeNeedsMs) return { what: 'gateway RSS', value: `${range}; too short a run for its slope` };
  const slope = slopePerMs(settled) * 60_000;
  return { what: 'gateway RSS after two minutes', value: `${range}, ${slope.toFixed(2)} MiB/min`, holds: slope < flatMibPerMin };
}

/** Of the line with the least squares. */
export function slopePerMs(samples: readonly MemorySample[]): number {
  const atMs = mean(samples.map((sample) => sample.atMs));
  const mib = mean(samples.map((sample) => sample.mib));
  const spread = samples.reduce((sum, sample) => sum + (sample.atMs - atMs) ** 2, 0);
  return samples.reduce((sum, sample) => sum + (sample.atMs - atMs) * (sample.mib - mib), 0) / spread;
}
