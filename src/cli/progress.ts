import type { ModelReport, ReplicaReport } from '../supervisor/report.ts';
import { waitingToStart } from '../supervisor/table.ts';
import { timeLeft } from './duration.ts';
import { printable } from './printable.ts';

const indent = ' '.repeat(4);

const nameOf = (model: ModelReport, replica: ReplicaReport): string => (model.desired > 1 ? `${model.name} #${replica.index}` : model.name);

/** What a person is told of a replica. */
export interface News {
  readonly headline: string;
  /** Why its last run failed, with the lines of it indented. */
  readonly failure: string | undefined;
  /** It only waits for its next start, after that failure. */
  readonly waits: boolean;
}

/** News of each engine that should be upgraded, and of each replica that has come to serve or has failed - and, with `phases`, of what a start is doing - by what tells replicas apart. */
export function newsOf(models: readonly ModelReport[], phases: boolean): ReadonlyMap<string, News> {
  const lines = models.flatMap((model) =>
    model.replicas.map((replica) => [`${model.name} #${replica.index}`, nameOf(model, replica), newsOfReplica(replica, phases)] as const),
  );
  return new Map<string, News>([
    ...lines.flatMap(([key, name, news]) =>
      news === undefined ? [] : [[key, { ...news, headline: `${name}: ${news.headline}` }] as const],
    ),
    // By its own text, so that it is told once, however many replicas run that version and however often they start.
    ...advisoriesOf(models).map((advisory) => [advisory, { headline: advisory, failure: undefined, waits: false }] as const),
  ]);
}

/** A line for each engine and version that runs and should be upgraded. */
export function advisoriesOf(models: readonly ModelReport[]): readonly string[] {
  const lines = models.flatMap(({ engine, replicas }) =>
    replicas.flatMap(({ advisory }) => (advisory === undefined ? [] : [`warning: engine ${engine}: ${advisory}`])),
  );
  return [...new Set(lines)];
}

/** Whether it cannot start for want of something, such as a GPU; its phase says of what. */
function lacks({ state, phase, fetching }: Pick<ReplicaReport, 'state' | 'phase' | 'fetching'>): boolean {
  return state === 'pending' && !fetching && phase !== waitingToStart;
}

function newsOfReplica({ state, phase, lastError, logFile, fetching }: ReplicaReport, phases: boolean): News | undefined {
  // How far it is changes twice a second: that is for the line that is rewritten.
  if (fetching) return { headline: 'bringing the model files here', failure: undefined, waits: false };
  const said = { headline: phase, failure: undefined, waits: false };
  if (state === 'ready' || lacks({ state, phase, fetching })) return said;
  if (state === 'starting') return phases ? said : undefined;
  if (lastError === undefined) return undefined;
  const failure = `${printable(lastError.message)}${logFile === undefined ? '' : `\nlog: ${logFile}`}`;
  return { headline: phase, failure: indent + failure.replaceAll('\n', `\n${indent}`), waits: state === 'pending' };
}

/** Whether `now` says anything after `before`: that a replica waits for its next start does not, once its failure was told. */
export function isNew(before: News | undefined, now: News): boolean {
  if (before === undefined || before.failure !== now.failure) return true;
  return before.headline !== now.headline && !(now.waits && now.failure !== undefined);
}

/** What loads and for how long, for the line that is rewritten meanwhile. `now`: of the supervisor's clock. */
export function loadingLine(models: readonly ModelReport[], now: number): string | undefined {
  const loading = models.flatMap((model) =>
    model.replicas
      .filter(({ state, fetching }) => state === 'starting' || fetching)
      .map((replica) => `${nameOf(model, replica)}: ${replica.phase} ${((now - replica.since) / 1000).toFixed(0)} s${timeLeft(replica)}`),
  );
  return loading.length === 0 ? undefined : loading.join('   ');
}

/** True when nothing is about to change by itself: every replica is ready, has failed at least once, or lacks something. */
export function settled(models: readonly ModelReport[]): boolean {
  return models.every(
    ({ replicas, desired }) =>
      replicas.length >= desired &&
      replicas.every((replica) => replica.state === 'ready' || replica.lastError !== undefined || lacks(replica)),
  );
}

/** How many of them serve. */
export function readyOf(replicas: readonly Pick<ReplicaReport, 'state'>[]): number {
  return replicas.filter(({ state }) => state === 'ready').length;
}

/** True when at least one model answers requests: it serves, or one wakes it. */
export function serving(models: readonly ModelReport[]): boolean {
  return models.some(({ replicas, status }) => readyOf(replicas) > 0 || status.asleep === true);
}
