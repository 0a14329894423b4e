import type { ModelChange } from '../admin/changes.ts';
import type { ChangeReply } from '../admin/api.ts';
import type { LaunchPlan, PlannedGpus } from '../supervisor/launch-plan.ts';
import { printable } from './printable.ts';

/** What became of a change, or would become of it. */
export interface Changes extends ChangeReply {
  /** Where it is known: the GPUs that models would move from and to. */
  readonly launch?: LaunchPlan | undefined;
}

const gpuLabels = (labels: readonly string[]): string => `GPU ${labels.join(',')}`;

/** A replica's GPUs in words. */
export function gpuWords(gpus: PlannedGpus): string {
  switch (gpus.kind) {
    case 'none':
      return 'no GPU';
    case 'held':
      return gpuLabels(gpus.labels);
    case 'placed':
      return `${gpuLabels(gpus.labels)}${gpus.when === 'now' ? '' : ', once a replica that runs now has gone'}`;
    case 'unplaced':
      return `${gpus.possible ? 'would wait' : 'cannot be placed'}: ${gpus.reason}`;
  }
}

/** E.g. `GPU 0 -> GPU 1`; nothing where no GPU is given up or taken. */
function gpuMove(model: string, { replicas, leaving }: LaunchPlan): string | undefined {
  const from = leaving.filter((replica) => replica.model === model).flatMap(({ gpus }) => gpus);
  const fresh = replicas.filter((replica) => replica.model === model && replica.kind === 'process' && !replica.running);
  const placements = fresh.flatMap((replica) => (replica.kind === 'process' && replica.gpus.kind !== 'none' ? [replica.gpus] : []));
  if (from.length === 0 && placements.length === 0) return undefined;
  return `${from.length === 0 ? 'no GPU' : gpuLabels(from)} -> ${placements.map(gpuWords).join(' + ') || 'no GPU'}`;
}

function modelLine({ model, action, keys }: ModelChange, launch: LaunchPlan | undefined): string {
  switch (action) {
    case 'keep':
      return `${model}: keeps its processes; changes at once: ${keys.join(', ')}`;
    case 'restart': {
      const move = launch === undefined ? undefined : gpuMove(model, launch);
      return `${model}: restart, one replica at a time, because of ${keys.join(', ')}${move === undefined ? '' : `; ${move}`}`;
    }
    case 'add':
      return `${model}: add`;
    case 'remove':
      return `${model}: remove`;
  }
}

/** What a reload did, or would do, as a person reads it: what nothing happens to in one line, then model by model, then the gateway. */
export function changeText({ models, applies, needsRestart, warnings, launch }: Changes): string {
  const untouched = models.filter(({ action, keys }) => action === 'keep' && keys.length === 0);
  const lines = [
    ...(untouched.length === 0 ? [] : [`unchanged: ${untouched.map(({ model }) => model).join(', ')}`]),
    ...models.filter((change) => !untouched.includes(change)).map((change) => modelLine(change, launch)),
    ...(applies.length === 0 ? [] : [`applies at once: ${applies.join(', ')}`]),
    ...(needsRestart.length === 0 ? [] : [`applies only when the gateway is started anew: ${needsRestart.join(', ')}`]),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  return printable(lines.map((line) => `${line}\n`).join(''));
}
