import { explanation } from '../autoscale/explain.ts';
import type { ScaleReport } from '../autoscale/scaler.ts';
import { GatewayError } from '../core/errors.ts';
import { askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { printable } from './printable.ts';
import { print } from './verb.ts';

/** What `GET /api/autoscale` says. */
export interface AutoscaleReply {
  readonly models: readonly ScaleReport[];
}

/** Prints why models have as many replicas as they have. @throws GatewayError `model_not_found` for a model whose number is fixed */
export async function why(model: string | undefined, where: Where): Promise<ExitCode> {
  const { models } = await askAdmin<AutoscaleReply>(await stateDirOf(where), { method: 'GET', path: '/api/autoscale' });
  const meant = models.filter((report) => model === undefined || report.model === model);
  if (meant.length === 0) {
    const known = models.map((report) => report.model).join(', ') || 'none';
    const what = model === undefined ? 'No model has its number of replicas' : `The number of replicas of "${model}" is not one`;
    throw new GatewayError(
      'model_not_found',
      `${what} by load (autoscaling_config, num_replicas: auto, gateway.idle). Models that are scaled: ${known}.`,
    );
  }
  print(where, { models: meant }, (reply) => `${printable(reply.models.map((report) => explanation(report).join('\n')).join('\n\n'))}\n`);
  return exitCode.ok;
}
