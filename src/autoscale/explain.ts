import type { Autoscaling } from '../config/config.ts';
import type { Why } from './decide.ts';
import type { HistoryRecord } from './history.ts';
import type { ScaleReport } from './scaler.ts';

/** At most three digits behind the point, none that say nothing. */
const short = (value: number): string => String(Math.round(value * 1000) / 1000);
const seconds = (ms: number): string => `${short(Math.round(ms / 100) / 10)} s`;
const requests = (count: number): string => `${short(count)} ${count === 1 ? 'request' : 'requests'}`;

/** The rule in one line: what `plan` and `status --why` say of it. */
export function ruleText({ min, max, target, sleepMs, toZero }: Autoscaling): string {
  const origin = target.source === 'config' ? 'target_ongoing_requests' : '0.7 of what the engine works on at once';
  const sleep = sleepMs === undefined ? '' : `; asleep after ${seconds(sleepMs)} without a request, stopped after ${seconds(toZero.ms)}`;
  return `${min} to ${max} replicas by load, ${short(target.ongoing)} requests at each (${origin})${sleep}`;
}

function formula({ target, min, max }: Autoscaling, { input, terms }: Why): string {
  if (terms === undefined) return 'none: no replica serves, so what waits decides';
  const { errorRatio, factor, smoothedRatio, unbounded, desired } = terms;
  const ratio = `${short(input.ongoing)} / (${short(target.ongoing)} · ${input.running}) = ${short(errorRatio)}`;
  const smoothed = `1 + (${short(errorRatio)} − 1) · ${short(factor)} = ${short(smoothedRatio)}`;
  return `${ratio}; ${smoothed}; ceil(${input.running} · ${short(smoothedRatio)}) = ${unbounded}; within ${min} and ${max}: ${desired}`;
}

/** What was decided, in words. */
export function decisionText({ reason, delay, input, from, terms }: Why): string {
  const time = delay === undefined ? '' : `${seconds(Math.min(delay.elapsedMs, delay.neededMs))} of ${seconds(delay.neededMs)}`;
  const desired = terms?.desired ?? from;
  switch (reason) {
    case 'steady':
      return `${from}: the load is what they are for`;
    case 'up-delayed':
      return `${from} for now: ${desired} are wanted since ${time}`;
    case 'down-delayed':
      return `${from} for now: ${Math.max(1, desired)} would do since ${time}`;
    case 'to-zero-delayed':
      return `${from} for now: no request for ${time}, then none`;
    case 'up':
    case 'down':
      return `${from} → ${reason === 'down' ? Math.max(1, desired) : desired}: the load wanted it for ${time}`;
    case 'to-zero':
      return `${from} → 0: no request for ${time}`;
    case 'asleep':
      return '0: nobody asks for it; the first request starts one';
    case 'cold-start':
      return `${from} → 1 or more: ${requests(input.ongoingNow)} came while none was there`;
    case 'sleeping':
      return `${from} asleep: no request for ${time}, then none`;
    case 'withdrawn':
      return `${from} → 0: the last request left before a GPU was free`;
    case 'starting':
      return `${from}: none of them serves yet`;
  }
}

/** What keeps the number from what the load needs, each in a line. */
export function blocks({ why, rule, lacksGpus }: Pick<ScaleReport, 'why' | 'rule' | 'lacksGpus'>): readonly string[] {
  const found: string[] = [];
  const wanted = why?.bound?.wanted ?? 0;
  if (why?.bound?.kind === 'max') found.push(`max_replicas ${rule.max}: the load would take ${wanted}`);
  if (why?.bound?.kind === 'min') found.push(`min_replicas ${rule.min}: the load would take ${wanted}`);
  if (lacksGpus !== undefined) found.push(`no free GPU: ${lacksGpus}`);
  if (why?.delay !== undefined && why.delay.elapsedMs < why.delay.neededMs) {
    const name = { 'up-delayed': 'upscale delay', 'down-delayed': 'downscale delay' }[why.reason as string] ?? 'delay to zero';
    found.push(`${name} ${seconds(why.delay.elapsedMs)} of ${seconds(why.delay.neededMs)}`);
  }
  return found;
}

/** What the decision was made by: where nothing serves, what is there now. */
const loadOf = ({ running, ongoing, ongoingNow }: Why['input']): number => (running === 0 ? ongoingNow : ongoing);

function recordText(record: HistoryRecord): string {
  const from = record.kind === 'decision' ? record.state.target : record.from;
  const reason = record.kind === 'decision' ? record.reason : record.because;
  const change = from === record.replicas ? `${from}` : `${from} → ${record.replicas}`;
  const load = record.kind === 'decision' ? `, ${requests(loadOf(record.input))}, ${record.input.running} serve` : '';
  return `${new Date(record.at).toISOString().slice(11, 19)}  ${change}  ${reason}${load}`;
}

const recent = 12;
const line = (label: string, text: string): string => `  ${label.padEnd(9)} ${text}`;

/** All that led to the present number of one model's replicas, in lines. */
export function explanation(report: ScaleReport): readonly string[] {
  const { model, rule, target, running, asleep, why, history } = report;
  const [held = 'nothing', ...alsoHeld] = blocks(report);
  const load =
    why === undefined
      ? []
      : [
          line(
            'load',
            `${requests(why.input.ongoing)} (${rule.aggregation} of ${seconds(rule.lookBackMs)}), ${short(why.input.ongoingNow)} now`,
          ),
          line('formula', formula(rule, why)),
          line('decision', decisionText(why)),
        ];
  return [
    `${model}: ${running} of ${target} wanted ${target === 1 ? 'replica serves' : 'replicas serve'}${asleep === 0 ? '' : `, ${asleep} asleep`}`,
    line('rule', ruleText(rule)),
    ...load,
    line('held by', held),
    ...alsoHeld.map((text) => line('', text)),
    line('history', history.length === 0 ? 'none yet' : '(UTC)'),
    ...history.slice(-recent).map((record) => line('', recordText(record))),
  ];
}
