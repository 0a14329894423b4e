import { GatewayError } from '../core/errors.ts';
import type { ModelReport, ReplicaReport } from '../supervisor/report.ts';

export interface Meant {
  readonly model: ModelReport['name'];
  readonly report: ReplicaReport;
}

/**
 * The replicas that a target means: a model, a replica as `model #0` or `model#0` or by its id, or all without one. None, where a model
 * has none.
 * @throws GatewayError `model_not_found`
 */
export function replicasMeant(models: readonly ModelReport[], target: string | undefined): readonly Meant[] {
  const all = models.flatMap(({ name, replicas }) => replicas.map((report): Meant => ({ model: name, report })));
  const meant = all.filter(
    ({ model, report: { id, index } }) =>
      target === undefined || [model as string, `${model} #${index}`, `${model}#${index}`, id as string | undefined].includes(target),
  );
  if (meant.length === 0 && target !== undefined && !models.some(({ name }) => name === target)) {
    const known = models.map(({ name }) => name).join(', ');
    throw new GatewayError('model_not_found', `There is no model or replica "${target}". The models are: ${known}.`);
  }
  return meant;
}
