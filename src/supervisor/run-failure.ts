import { basename } from 'node:path';
import { GatewayError, messageOf } from '../core/errors.ts';
import type { Engine } from '../plugins/engine-plugin.ts';
import type { StartAdapter } from './adapters/started.ts';
import { explain } from './failure.ts';
import type { Evidence, Failure, FailureReason } from './failure.ts';
import type { Exit } from './providers/provider.ts';
import { redactor, secretsOf } from './redact.ts';
import type { ReplicaDeps } from './replica-deps.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { PastRun, Run } from './run.ts';

/** What can be said of it when it has ended. */
function evidenceOf(run: Run, plan: ReplicaPlan, exit: Exit | undefined): Evidence {
  return {
    program: plan.upstream?.url ?? basename(plan.command[0]),
    external: plan.upstream !== undefined,
    wasReady: run.wasReady,
    cause: run.log.cause,
    tail: run.handle?.tail() ?? [],
    phase: run.log.phase,
    startupTimeoutMs: plan.model.startupTimeoutMs,
    lastProbe: run.lastProbe,
    escaped: exit?.escaped ?? 0,
  };
}

/** The adapter that a cause of failure in the engine's log names by its path. */
function blamedAdapter({ adapters, handle }: Run, engine: Pick<Engine, 'readLog'>): StartAdapter | undefined {
  const causes = (handle?.tail() ?? []).filter((line) => engine.readLog(line)?.kind === 'cause');
  return adapters.find(({ path }) => causes.some((line) => line.includes(path)));
}

/** Why there is no process. */
export function launchFailure(thrown: unknown): Failure {
  const code = thrown instanceof GatewayError ? thrown.code : 'start_failed';
  return { code, message: messageOf(thrown), permanent: code === 'engine_missing' };
}

/** Why a run has ended. One that an adapter is to blame for is not the model's: the next run is started without it. */
export function failureOf(
  { blame }: Pick<ReplicaDeps, 'blame'>,
  run: Run,
  plan: ReplicaPlan,
  reason: FailureReason,
  exit: Exit | undefined,
  secrets: readonly string[],
): Failure {
  const failure = withoutSecrets(explain(reason, evidenceOf(run, plan, exit)), secrets);
  const blamed = run.wasReady ? undefined : blamedAdapter(run, plan.engine);
  if (blamed === undefined) return failure;
  blame(blamed.handle, failure.message);
  return { ...failure, permanent: false };
}

/** What a failure quotes of the engine's log goes to clients too. */
export function withoutSecrets(failure: Failure, secrets: readonly string[]): Failure {
  return { ...failure, message: redactor(secrets)(failure.message) };
}

/** What no text that an engine of a replica wrote may show. @param shared those of the gateway's own environment */
export function secretsOfReplica(
  shared: readonly string[],
  { model }: ReplicaPlan,
  run: Run | undefined,
  lastRun: PastRun | undefined,
): readonly string[] {
  const keys = [run?.handle?.apiKey, lastRun?.apiKey].filter((key): key is string => key !== undefined && key !== '');
  return [...shared, ...secretsOf(model.env), ...keys];
}
