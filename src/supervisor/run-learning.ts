import type { ReplicaDeps } from './replica-deps.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { Run } from './run.ts';
import { readCapabilities } from './running-capabilities.ts';
import { readRelease } from './running-version.ts';

type LearningDeps = Pick<ReplicaDeps, 'clock' | 'get' | 'log' | 'changed'>;

/**
 * Asks an engine that is ready what it is, and keeps it with its run. Beside serving, which does not wait for it.
 * @param replica its name, for the log. Rejects only with `signal.reason`.
 */
export async function learnRelease(deps: LearningDeps, replica: string, run: Run, plan: ReplicaPlan, signal: AbortSignal): Promise<void> {
  if (run.handle === undefined || run.release !== undefined) return;
  run.release = await readRelease(deps, run.handle, plan.engine, signal);
  if (run.release === undefined) return;
  const { version, advisory } = run.release;
  const fields = { replica, run: run.id, engine: plan.model.engine, version };
  if (advisory === undefined) deps.log.info(fields, 'the engine told its version');
  else deps.log.warn(fields, `the engine should be upgraded: ${advisory}`);
  deps.changed();
}

/** The same for what it can do. */
export async function learnCapabilities(deps: LearningDeps, run: Run, { engine }: ReplicaPlan, signal: AbortSignal): Promise<void> {
  if (run.handle === undefined || run.capabilities !== undefined) return;
  run.capabilities = await readCapabilities(deps, run.handle, engine, signal);
  if (run.capabilities !== undefined) deps.changed();
}
