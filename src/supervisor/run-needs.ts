import type { ModelLease } from '../models/store.ts';
import type { GpuWait } from './gpus/ledger.ts';
import type { ReplicaDeps } from './replica-deps.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { Run } from './run.ts';
import type { WeightsWait } from './weights.ts';

/**
 * The model's files, where they are brought from elsewhere. They come first: whoever waits for them for an hour must not hold GPUs, nor the
 * turn of others.
 * @param adopting its engine runs already, and has them open.
 * @param tell why it waits; undefined: no longer.
 * @throws GatewayError as `Weights.fetch()`; `signal.reason`.
 */
export async function fetchFiles(
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
  files: ModelLease | undefined,
  waits: (wait: GpuWait | undefined) => void,
  signal: AbortSignal,
): Promise<Pick<Run, 'weights' | 'gpus' | 'turn'>> {
  let gpus: Run['gpus'] | undefined;
  let turn: Run['turn'] | undefined;
  try {
    gpus = await deps.gpus(waits, signal);
    turn = await deps.turn(signal);
    // It may have been aborted after its turn was granted.
    signal.throwIfAborted();
    return { weights: files, gpus, turn };
  } catch (thrown) {
    files?.release();
    gpus?.release();
    turn?.started();
    if (turn !== undefined) deps.retire(turn);
    throw thrown;
  }
}
