import type { ModelLease } from '../models/store.ts';
import type { GpuWait } from './gpus/ledger.ts';
import type { ReplicaDeps } from './replica-deps.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import { releaseFiles } from './run.ts';
import type { FormerRun, Run } from './run.ts';
import type { WeightsWait } from './weights.ts';

/** What of a run is on this machine's disk. */
export type RunFiles = Pick<Run, 'weights' | 'adapters'>;

/**
 * All files of a run, as `weightsOf()` and `ReplicaDeps.adapters()`.
 * @param former its engine runs already, and has them open.
 */
export async function fetchFiles(
  deps: Pick<ReplicaDeps, 'weights' | 'adapters'>,
  plan: ReplicaPlan,
  former: FormerRun | undefined,
  tell: (wait: WeightsWait | undefined) => void,
  signal: AbortSignal,
): Promise<RunFiles> {
  const weights = await weightsOf(deps, plan, former !== undefined, tell, signal);
  try {
    return { weights, adapters: former?.adapters ?? (await deps.adapters(signal)) };
  } catch (thrown) {
    weights?.release();
    throw thrown;
  }
}

/**
 * The model's files, where they are brought from elsewhere. They come first: whoever waits for them for an hour must not hold GPUs, nor the
 * turn of others.
 * @param adopting its engine runs already, and has them open.
 * @param tell why it waits; undefined: no longer.
 * @throws GatewayError as `Weights.fetch()`; `signal.reason`.
 */
async function weightsOf(
  { weights }: Pick<ReplicaDeps, 'weights'>,
  { model, upstream }: ReplicaPlan,
  adopting: boolean,
  tell: (wait: WeightsWait | undefined) => void,
  signal: AbortSignal,
): Promise<ModelLease | undefined> {
  if (model.source.kind !== 'remote' || upstream !== undefined) return undefined;
  if (weights === undefined) throw new Error(`${model.source.value}: nothing here can bring a model`);
  if (adopting) return await weights.held(model, signal);
  try {
    return await weights.fetch(model, tell, signal);
  } finally {
    tell(undefined);
  }
}

/**
 * Waits for its GPUs, then for its turn. Rejects with `signal.reason` if aborted first; then all is given back, the files too.
 * @param waits why it must wait for GPUs; undefined: no longer.
 */
export async function takeTurn(
  deps: Pick<ReplicaDeps, 'gpus' | 'turn' | 'retire'>,
  files: RunFiles,
  waits: (wait: GpuWait | undefined) => void,
  signal: AbortSignal,
): Promise<RunFiles & Pick<Run, 'gpus' | 'turn'>> {
  let gpus: Run['gpus'] | undefined;
  let turn: Run['turn'] | undefined;
  try {
    gpus = await deps.gpus(waits, signal);
    turn = await deps.turn(signal);
    // It may have been aborted after its turn was granted.
    signal.throwIfAborted();
    return { ...files, gpus, turn };
  } catch (thrown) {
    releaseFiles(files);
    gpus?.release();
    turn?.started();
    if (turn !== undefined) deps.retire(turn);
    throw thrown;
  }
}
