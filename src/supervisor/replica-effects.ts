import type { GpuWait } from './gpus/ledger.ts';
import type { ReplicaHandle, ReplicaSpec } from './providers/provider.ts';
import type { ReplicaDeps } from './replica-deps.ts';
import { runId } from './replica-id.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { Effect, ReplicaEvent, ReplicaState } from './replica-state.ts';
import { beginRun, limitAdopted, newRun, pastRun, releaseFiles } from './run.ts';
import type { FormerRun, PastRun, Run } from './run.ts';
import { failureOf, launchFailure, secretsOfReplica, withoutSecrets } from './run-failure.ts';
import { learnCapabilities, learnRelease } from './run-learning.ts';
import { RunLog } from './run-log.ts';
import { fetchFiles, takeTurn } from './run-needs.ts';
import type { RunFiles } from './run-needs.ts';
import { refusesSleep, startedEvent, wokenEvent } from './run-ready.ts';
import { learnStart } from './start-estimate.ts';
import { watchReplica } from './watch.ts';
import type { WatchEvents } from './watch.ts';
import { weightsFailure, withFiles } from './weights.ts';
import type { WeightsWait } from './weights.ts';

/** Whose effects they are. */
export interface EffectsOwner {
  /** As it is now. */
  readonly state: ReplicaState;
  readonly plan: ReplicaPlan;
  /** Unique among the replicas of the model that there are at a time. */
  readonly index: number;
  send(event: ReplicaEvent): void;
}

/**
 * Carries out what `transition()` has decided for one replica, and sends it the events that come of that. Whatever an effect waits for ends
 * with the state that asked for it, except the end of a process, which is always seen through.
 */
export class ReplicaEffects {
  readonly #owner: EffectsOwner;
  readonly #deps: ReplicaDeps;
  /** E.g. `smollm2-135m-0`. */
  readonly #name: string;
  #former: FormerRun | undefined;
  #run: Run | undefined;
  #lastRun: PastRun | undefined;
  #launches = 0;
  #probeFlaps = 0;
  #gpuWait: GpuWait | undefined;
  #filesWait: WeightsWait | undefined;
  /** Its engine could not sleep when it was told to, and is not told again. */
  #wakeful = false;

  /** @param former what its first start takes over instead of launching. */
  constructor(owner: EffectsOwner, name: string, deps: ReplicaDeps, former: FormerRun | undefined) {
    this.#owner = owner;
    this.#name = name;
    this.#deps = deps;
    this.#former = former;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  get lastRun(): PastRun | undefined {
    return this.#lastRun;
  }

  /** Runs it has begun, adopted ones included. */
  get launches(): number {
    return this.#launches;
  }

  /** Times that it answered its health probe again after missing it. */
  get probeFlaps(): number {
    return this.#probeFlaps;
  }

  /** What its next run waits for; undefined: nothing. */
  get waits(): { readonly gpus: GpuWait | undefined; readonly files: WeightsWait | undefined } {
    return { gpus: this.#gpuWait, files: this.#filesWait };
  }

  /** Whether its engine could not sleep when it was told to. */
  get wakeful(): boolean {
    return this.#wakeful;
  }

  /** Its replica has left the state `before`. */
  entered(before: ReplicaState): void {
    const run = this.#run;
    if (before.kind === 'starting') run?.turn.started();
    if (this.#owner.state.kind !== 'ready' || run === undefined) return;
    run.wasReady = true;
    run.log.pardon();
    // One that was taken back from its drain has not started.
    if (before.kind === 'starting') learnStart(this.#deps.history, this.#owner.plan, run, this.#deps.clock.now());
  }

  /** @param signal aborted with a reason of its own when the replica leaves its present state. */
  do(effect: Effect, signal: AbortSignal): void {
    switch (effect.kind) {
      case 'await-turn':
        this.#own(this.#awaitTurn(signal), signal);
        return;
      case 'launch':
        this.#own(this.#launch(signal), signal);
        return;
      case 'watch':
        this.#watch(this.#present, signal);
        return;
      case 'sleep':
        this.#own(this.#fallAsleep(signal), signal);
        return;
      case 'wake':
        this.#own(this.#wake(signal), signal);
        return;
      case 'terminate':
        this.#terminate(effect.polite);
        return;
      case 'release':
        this.#own(this.#release());
        return;
      case 'tick-at': {
        const cancel = this.#deps.clock.after(Math.max(0, effect.time - this.#deps.clock.now()), () => this.#owner.send({ kind: 'tick' }));
        signal.addEventListener('abort', cancel, { once: true });
      }
    }
  }

  /** The run that the effect of a state with a run is about. */
  get #present(): Run {
    if (this.#run === undefined) throw new Error(`${this.#name} has no run in state ${this.#owner.state.kind}`);
    return this.#run;
  }

  /** Background work ends with its scope; any other end of it is a defect, which must be seen. */
  #own(work: Promise<void>, scope?: AbortSignal): void {
    work.catch((thrown: unknown) => {
      if (scope?.aborted && thrown === scope.reason) return;
      this.#deps.log.error({ err: thrown, replica: this.#name }, 'defect in the supervisor');
    });
  }

  async #awaitTurn(signal: AbortSignal): Promise<void> {
    let files: RunFiles;
    try {
      files = await fetchFiles(this.#deps, this.#owner.plan, this.#former, (wait) => this.#waitForFiles(wait), signal);
    } catch (thrown) {
      signal.throwIfAborted();
      this.#owner.send({ kind: 'gone', failure: withoutSecrets(weightsFailure(thrown), this.secrets()), jitter: this.#deps.random() });
      return;
    }
    const needs = await takeTurn(this.#deps, files, (wait) => this.#waitForGpus(wait), signal);
    const log = new RunLog(this.#owner.plan.engine, this.#deps.clock);
    const id = this.#former?.id ?? runId(this.#name, this.#deps.random());
    this.#run = newRun({ id, log, ...needs });
    this.#own(this.#watchGpus(this.#run));
    this.#owner.send({ kind: 'granted' });
  }

  async #watchGpus(run: Run): Promise<void> {
    const detail = await run.gpus.lost;
    if (this.#run === run) this.#owner.send({ kind: 'condemned', reason: { kind: 'gpu-lost', detail } });
  }

  async #launch(signal: AbortSignal): Promise<void> {
    const run = this.#present;
    this.#launches += 1;
    run.launched = this.#begin(run, signal).then(
      (handle) => this.#exists(run, handle),
      (thrown: unknown) => this.#neverWas(run, thrown, signal),
    );
    await run.launched;
    if (run.handle === undefined || signal.aborted) return;
    const { startupTimeoutMs } = this.#owner.plan.model;
    limitAdopted(this.#deps.clock, run, startupTimeoutMs, (detail) => this.#owner.send({ kind: 'mismatch', detail }), signal);
    this.#owner.send(await startedEvent(this.#deps, run, this.#owner.plan, signal));
  }

  async #fallAsleep(signal: AbortSignal): Promise<void> {
    // Until it has answered, nobody knows that it can.
    this.#wakeful = true;
    const refusal = await refusesSleep(this.#deps, this.#present, this.#owner.plan, signal);
    this.#wakeful = refusal !== undefined;
    if (refusal !== undefined)
      this.#deps.log.warn({ replica: this.#name }, `the engine does not sleep, and is not told to again: ${refusal}`);
    this.#owner.send({ kind: refusal === undefined ? 'slept' : 'wakeful' });
  }

  async #wake(signal: AbortSignal): Promise<void> {
    this.#owner.send(await wokenEvent(this.#deps, this.#present, this.#owner.plan, signal));
  }

  async #begin(run: Run, signal: AbortSignal): Promise<ReplicaHandle> {
    const former = this.#former;
    this.#former = undefined;
    const spec: ReplicaSpec = {
      ...this.#owner.plan,
      model: withFiles(this.#owner.plan.model, run.weights),
      id: run.id,
      index: this.#owner.index,
      gpus: run.gpus,
      adapters: run.adapters,
    };
    const handle = await beginRun(this.#deps.provider, spec, former, (line) => this.#read(run, line), signal);
    if (handle.adoptedAgeMs !== undefined)
      this.#deps.log.info({ replica: this.#name, run: run.id, pid: handle.pid }, 'adopted the engine of a former gateway');
    return handle;
  }

  #exists(run: Run, handle: ReplicaHandle): void {
    run.handle = handle;
    this.#own(
      (async () => {
        const exit = await handle.exited;
        if (this.#run === run) this.#owner.send({ kind: 'exited', reason: { kind: 'exited', exit } });
      })(),
    );
    this.#deps.changed();
  }

  #neverWas(run: Run, thrown: unknown, signal: AbortSignal): void {
    // Aborted: whoever left the state is waiting for the launch to settle, and goes on from there.
    if (signal.aborted) return;
    this.#over(run);
    this.#owner.send({ kind: 'gone', failure: launchFailure(thrown), jitter: this.#deps.random() });
  }

  #read(run: Run, line: string): void {
    if (run.log.read(line) && this.#run === run) this.#deps.changed();
  }

  #watch(run: Run, signal: AbortSignal): void {
    if (run.handle === undefined) throw new Error('watch without a process');
    const watched = { target: run.handle, slot: run.turn.slot, settings: () => this.#owner.plan };
    const events: WatchEvents = {
      missed: (seen) => {
        run.lastProbe = seen;
      },
      recovered: () => {
        this.#probeFlaps += 1;
      },
      serving: (serving) => this.#owner.send({ kind: 'serving', serving }),
      condemned: (reason) => this.#owner.send({ kind: 'condemned', reason }),
    };
    this.#own(watchReplica(this.#deps, watched, events, signal), signal);
    this.#own(learnRelease(this.#deps, this.#name, run, this.#owner.plan, signal), signal);
    this.#own(learnCapabilities(this.#deps, run, this.#owner.plan, signal), signal);
  }

  #terminate(polite: boolean): void {
    const run = this.#present;
    const begun = run.graceMs !== undefined;
    run.graceMs = polite && !begun ? this.#owner.plan.engine.stopping.graceMs : 0;
    if (!begun) this.#own(this.#seeThrough(run));
    else if (run.handle !== undefined) this.#own(run.handle.stop(0).then(() => undefined));
  }

  async #release(): Promise<void> {
    const run = this.#present;
    await run.launched;
    // Hurried meanwhile: its end is under way.
    if (run.graceMs !== undefined) return;
    run.handle?.release();
    this.#over(run);
    this.#owner.send({ kind: 'gone', failure: undefined, jitter: 0 });
  }

  async #seeThrough(run: Run): Promise<void> {
    await run.launched;
    const exit = await run.handle?.stop(run.graceMs ?? 0);
    const next = this.#owner.state.kind === 'stopping' ? this.#owner.state.next : undefined;
    const failure = next?.kind === 'restart' ? failureOf(this.#deps, run, this.#owner.plan, next.reason, exit, this.secrets()) : undefined;
    this.#over(run);
    this.#owner.send({ kind: 'gone', failure, jitter: this.#deps.random() });
  }

  #over(run: Run): void {
    this.#lastRun = pastRun(run);
    this.#run = undefined;
    run.turn.started();
    run.gpus.release();
    releaseFiles(run);
    this.#deps.retire(run.turn);
  }

  #waitForGpus(wait: GpuWait | undefined): void {
    this.#gpuWait = wait;
    this.#deps.changed();
  }

  #waitForFiles(wait: WeightsWait | undefined): void {
    this.#filesWait = wait;
    this.#deps.changed();
  }

  /** What no text that an engine wrote may show. */
  secrets(): readonly string[] {
    return secretsOfReplica(this.#deps.secrets, this.#owner.plan, this.#run, this.#lastRun);
  }
}
