import type { LoadBoard } from '../core/board.ts';
import type { ModelName } from '../core/ids.ts';
import type { AdaptersReport } from './adapters/report.ts';
import type { ModelSet } from './model-set.ts';
import { desiredOf } from './replica-plan.ts';
import type { Replica } from './replica.ts';
import type { ModelReport } from './report.ts';
import { modelStatus, wakes } from './table.ts';

/** What `status` shows, in the order of the config. `now`: clock time in milliseconds. */
export function modelReports(
  models: ModelSet,
  replicas: ReadonlyMap<ModelName, readonly Replica[]>,
  board: LoadBoard,
  adapters: (model: ModelName) => AdaptersReport | undefined,
  now: number,
): readonly ModelReport[] {
  return [...models.entries()].map(([name, { plan, waiting, failures, formerRestarts }]) => {
    const own = replicas.get(name) ?? [];
    const reports = own.map((replica) => replica.report()).sort((a, b) => a.index - b.index);
    const facts = own.map((replica) => replica.fact());
    return {
      name,
      engine: plan.model.engine,
      desired: desiredOf(plan).replicas,
      status: modelStatus(facts, now, wakes(plan.model)),
      waiting: board.read(waiting),
      restarts: reports.reduce((sum, report) => sum + report.restarts, formerRestarts),
      failures: failures.list(),
      replicas: reports,
      adapters: adapters(name),
    };
  });
}
