import type pino from 'pino';
import type { LoadBoard } from '../core/board.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import type { ReplicaId } from '../core/ids.ts';
import { callOverHttp } from './engine-call.ts';
import type { CallEngine } from './engine-call.ts';
import { explain } from './failure.ts';
import type { Failure, FailureReason } from './failure.ts';
import type { GpuGrant } from './gpus/holds.ts';
import type { GpuWait } from './gpus/ledger.ts';
import { untilReady } from './probe.ts';
import type { HttpGet } from './http-get.ts';
import type { ReplicaHandle, ReplicaProvider, ReplicaSpec } from './providers/provider.ts';
import type { ModelLease } from '../models/store.ts';
import { transition } from './replica-state.ts';
import type { Effect, Limits, ReplicaEvent, ReplicaState } from './replica-state.ts';
import type { RestartLimits } from './restart.ts';
import { cleanRecord } from './restart.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import { redactor, secretsOf } from './redact.ts';
import { putToSleep, readAsleep, wakeUp } from './sleep.ts';
import { firstPhase, RunLog } from './run-log.ts';
import type { StartHistory } from './start-history.ts';
import type { StartSubject } from './start-times.ts';
import type { Turn } from './start-queue.ts';
import { replicaName, runId } from './replica-id.ts';
import { reportOf } from './report.ts';
import type { ReplicaReport } from './report.ts';
import { adoptedPatienceMs, beginRun, evidenceOf, newRun, pastRun, viewOf } from './run.ts';
import type { EngineAddress, FormerRun, PastRun, Run } from './run.ts';
import { readCapabilities } from './running-capabilities.ts';
import { readRelease } from './running-version.ts';
import type { ReplicaFact } from './table.ts';
import { watchReplica } from './watch.ts';
import { weightsFailure, withFiles } from './weights.ts';
import type { Weights, WeightsWait } from './weights.ts';

/** The weights of a large model take a minute each way. */
const sleepTimeoutMs = 120_000;

export interface ReplicaDeps {
  readonly clock: Clock;
  readonly provider: ReplicaProvider;
  readonly get: HttpGet;
  readonly call?: CallEngine;
  readonly board: LoadBoard;
  readonly log: pino.Logger;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly restart: RestartLimits;
  readonly history: StartHistory;
  /** Without one, no model's files can be brought here. */
  readonly weights?: Weights | undefined;
  /** Waits for the GPUs of its next run; `waits` is told why it must, each time that changes. */
  gpus(waits: (wait: GpuWait | undefined) => void, signal: AbortSignal): Promise<GpuGrant>;
  /** Waits for the right to start a process. */
  turn(signal: AbortSignal): Promise<Turn>;
  /** A run is over; its slot may be given to another once it is quiet. */
  retire(turn: Turn): void;
  /** Something that `report()` or `fact()` shows has changed. */
  changed(): void;
}

/**
 * The single owner of one replica's state. Events come in through `send()`, one at a time; `transition()` decides; effects go out.
 * Whatever an effect waits for ends with the state that asked for it, except the end of a process, which is always seen through.
 */
export class Replica {
  readonly index: number;
  /** E.g. `smollm2-135m-0`. */
  readonly #name: string;
  readonly #deps: ReplicaDeps;
  readonly #inbox: ReplicaEvent[] = [];
  #plan: ReplicaPlan;
  #state: ReplicaState = { kind: 'pending', record: cleanRecord };
  #since: number;
  #scope = new AbortController();
  #run: Run | undefined;
  #lastRun: PastRun | undefined;
  #lastFailure: Failure | undefined;
  #launches = 0;
  #probeFlaps = 0;
  #former: FormerRun | undefined;
  #wait: GpuWait | undefined;
  #weightsWait: WeightsWait | undefined;
  #handling = false;
  /** Its engine could not sleep when it was told to, and is not told again. */
  #wakeful = false;

  /**
   * @param index unique among the replicas of the model that there are at a time.
   * @param former what its first start takes over instead of launching.
   */
  constructor(index: number, plan: ReplicaPlan, deps: ReplicaDeps, former?: FormerRun) {
    this.index = index;
    this.#name = replicaName(plan.model.name, index);
    this.#plan = plan;
    this.#deps = deps;
    this.#former = former;
    this.#since = deps.clock.now();
  }

  /** Asks for its first start. */
  start(): void {
    this.#do({ kind: 'await-turn' });
  }

  get state(): ReplicaState {
    return this.#state;
  }

  get plan(): ReplicaPlan {
    return this.#plan;
  }

  /** Takes over settings that need no new process. `plan.fingerprint` must be its own. */
  update(plan: ReplicaPlan): void {
    this.#plan = this.#plan.upstream === undefined ? plan : { ...plan, upstream: this.#plan.upstream };
  }

  /** Events sent while one is handled wait for its end, so that no transition ever sees another half done. */
  send(event: ReplicaEvent): void {
    this.#inbox.push(event);
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) this.#handle(next);
    } finally {
      this.#handling = false;
    }
  }

  #limits(): Limits {
    return { restart: this.#deps.restart, startupTimeoutMs: this.#plan.model.startupTimeoutMs, sleepTimeoutMs };
  }

  #handle(event: ReplicaEvent): void {
    const before = this.#state;
    const [after, effects] = transition(before, event, this.#deps.clock.now(), this.#limits());
    this.#state = after;
    if (after.kind !== before.kind) this.#entered(before, event);
    for (const effect of effects) this.#do(effect);
    if (after !== before) this.#deps.changed();
  }

  #entered(before: ReplicaState, event: ReplicaEvent): void {
    this.#since = this.#deps.clock.now();
    this.#scope.abort(new Error(`replica left state ${before.kind}`));
    this.#scope = new AbortController();
    if (event.kind === 'gone' && event.failure !== undefined) this.#lastFailure = event.failure;
    if (before.kind === 'starting') this.#run?.turn.started();
    if (this.#state.kind === 'ready') {
      this.#lastFailure = undefined;
      if (this.#run !== undefined) this.#run.wasReady = true;
      this.#run?.log.pardon();
      // One that was taken back from its drain has not started.
      if (before.kind === 'starting') this.#learnStart();
    }
    const fields = { replica: this.#name, run: this.#run?.id ?? this.#lastRun?.id, from: before.kind, on: event.kind };
    if ('failure' in this.#state)
      this.#deps.log.warn({ ...fields, code: this.#state.failure.code }, `${this.#state.kind}: ${this.#state.failure.message}`);
    else this.#deps.log.info(fields, `replica is ${this.#state.kind}`);
  }

  /** Of an engine that was there before us nobody has seen the start. */
  #learnStart(): void {
    if (this.#run?.handle === undefined || this.#run.handle.adoptedAgeMs !== undefined || this.#plan.upstream !== undefined) return;
    this.#deps.history.learn(this.#subject, this.#run.log.phases, this.#deps.clock.now());
  }

  get #subject(): StartSubject {
    return { model: this.#plan.model.name, engine: this.#plan.model.engine, fingerprint: this.#plan.fingerprint };
  }

  #do(effect: Effect): void {
    const { signal } = this.#scope;
    switch (effect.kind) {
      case 'await-turn':
        this.#own(this.#awaitTurn(signal), signal);
        return;
      case 'launch':
        this.#own(this.#launch(signal), signal);
        return;
      case 'watch':
        this.#own(this.#watch(signal), signal);
        this.#own(this.#learnRelease(signal), signal);
        this.#own(this.#learnCapabilities(signal), signal);
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
        const cancel = this.#deps.clock.after(Math.max(0, effect.time - this.#deps.clock.now()), () => this.send({ kind: 'tick' }));
        signal.addEventListener('abort', cancel, { once: true });
      }
    }
  }

  /** Background work ends with its scope; any other end of it is a defect, which must be seen. */
  #own(work: Promise<void>, scope?: AbortSignal): void {
    work.catch((thrown: unknown) => {
      if (scope?.aborted && thrown === scope.reason) return;
      this.#deps.log.error({ err: thrown, replica: this.#name }, 'defect in the supervisor');
    });
  }

  /** The model's files first: whoever waits for them for an hour must not hold GPUs, nor the turn of others. */
  async #awaitTurn(signal: AbortSignal): Promise<void> {
    let weights: ModelLease | undefined;
    try {
      weights = await this.#fetchWeights(signal);
    } catch (thrown) {
      signal.throwIfAborted();
      this.send({ kind: 'gone', failure: this.#withoutSecrets(weightsFailure(thrown)), jitter: this.#deps.random() });
      return;
    }
    try {
      await this.#takeTurn(weights, signal);
    } catch (thrown) {
      weights?.release();
      throw thrown;
    }
  }

  async #fetchWeights(signal: AbortSignal): Promise<ModelLease | undefined> {
    const { model } = this.#plan;
    if (model.source.kind !== 'remote' || this.#plan.upstream !== undefined) return undefined;
    const { weights } = this.#deps;
    if (weights === undefined) throw new Error(`${model.source.value}: nothing here can bring a model`);
    if (this.#former !== undefined) return await weights.held(model, signal);
    const tell = (wait: WeightsWait | undefined): void => {
      this.#weightsWait = wait;
      this.#deps.changed();
    };
    try {
      return await weights.fetch(model, tell, signal);
    } finally {
      tell(undefined);
    }
  }

  async #takeTurn(weights: ModelLease | undefined, signal: AbortSignal): Promise<void> {
    const gpus = await this.#deps.gpus((wait) => this.#waitFor(wait), signal);
    const turn = await this.#deps.turn(signal).catch((thrown: unknown) => {
      gpus.release();
      throw thrown;
    });
    if (signal.aborted) {
      weights?.release();
      gpus.release();
      turn.started();
      this.#deps.retire(turn);
      return;
    }
    const log = new RunLog(this.#plan.engine, this.#deps.clock);
    const id = this.#former?.id ?? runId(this.#name, this.#deps.random());
    this.#run = newRun({ id, turn, gpus, log, weights });
    this.#own(this.#watchGpus(this.#run));
    this.send({ kind: 'granted' });
  }

  async #watchGpus(run: Run): Promise<void> {
    const detail = await run.gpus.lost;
    if (this.#run === run) this.send({ kind: 'condemned', reason: { kind: 'gpu-lost', detail } });
  }

  async #launch(signal: AbortSignal): Promise<void> {
    const run = this.#run;
    if (run === undefined) throw new Error('launch without a turn');
    this.#launches += 1;
    run.launched = this.#begin(run, signal).then(
      (handle) => this.#exists(run, handle),
      (thrown: unknown) => this.#neverWas(run, thrown, signal),
    );
    await run.launched;
    if (run.handle === undefined || signal.aborted) return;
    this.#limitWait(run, run.handle, signal);
    const answer = await this.#untilReady(run, run.handle, signal);
    // Only one that a former gateway put to sleep can be found so.
    if (answer.kind === 'ok' && (await this.#sleeps(run.handle, signal)) === true) await this.#wake(signal);
    else this.send(answer.kind === 'ok' ? { kind: 'ready' } : answer);
  }

  #untilReady(run: Run, handle: ReplicaHandle, signal: AbortSignal): ReturnType<typeof untilReady> {
    const { engine, model } = this.#plan;
    return untilReady(this.#deps, handle, engine, model.name, (seen) => (run.lastProbe = seen), signal);
  }

  /** As `readAsleep()`; false for an engine that cannot. */
  async #sleeps(handle: ReplicaHandle, signal: AbortSignal): Promise<boolean | string> {
    const { sleep } = this.#plan.engine;
    return sleep === undefined ? false : await readAsleep(this.#call, handle, sleep, signal);
  }

  get #call(): CallEngine {
    return this.#deps.call ?? callOverHttp;
  }

  async #fallAsleep(signal: AbortSignal): Promise<void> {
    const { handle } = this.#run ?? {};
    const { sleep } = this.#plan.engine;
    if (handle === undefined || sleep === undefined) throw new Error('told to sleep, and cannot');
    // Until it has answered, nobody knows that it can.
    this.#wakeful = true;
    const refusal = await putToSleep(this.#call, handle, sleep, signal);
    this.#wakeful = refusal !== undefined;
    if (refusal !== undefined)
      this.#deps.log.warn({ replica: this.#name }, `the engine does not sleep, and is not told to again: ${refusal}`);
    this.send({ kind: refusal === undefined ? 'slept' : 'wakeful' });
  }

  /** Ready again only after the same proof as after a start. */
  async #wake(signal: AbortSignal): Promise<void> {
    const run = this.#run;
    const { sleep } = this.#plan.engine;
    if (run?.handle === undefined || sleep === undefined) throw new Error('told to wake, and cannot');
    const giveUp = (detail: string): void => this.send({ kind: 'condemned', reason: { kind: 'not-awake', detail } });
    const refusal = await wakeUp(this.#call, run.handle, sleep, signal);
    if (refusal !== undefined) return giveUp(refusal);
    const answer = await this.#untilReady(run, run.handle, signal);
    if (answer.kind !== 'ok') return this.send(answer);
    const asleep = await this.#sleeps(run.handle, signal);
    if (asleep === false) this.send({ kind: 'ready' });
    else giveUp(asleep === true ? 'it took the call, and sleeps on' : asleep);
  }

  async #begin(run: Run, signal: AbortSignal): Promise<ReplicaHandle> {
    const former = this.#former;
    this.#former = undefined;
    const spec: ReplicaSpec = {
      ...this.#plan,
      model: withFiles(this.#plan.model, run.weights),
      id: run.id,
      index: this.index,
      gpus: run.gpus,
    };
    const handle = await beginRun(this.#deps.provider, spec, former, (line) => this.#read(run, line), signal);
    if (handle.adoptedAgeMs !== undefined)
      this.#deps.log.info({ replica: this.#name, run: run.id, pid: handle.pid }, 'adopted the engine of a former gateway');
    return handle;
  }

  #limitWait(run: Run, handle: ReplicaHandle, signal: AbortSignal): void {
    const leftMs = adoptedPatienceMs(handle, this.#plan.model.startupTimeoutMs);
    if (leftMs === undefined) return;
    const cancel = this.#deps.clock.after(leftMs, () => {
      const seen = run.lastProbe === undefined ? '' : ` (${run.lastProbe})`;
      this.send({ kind: 'mismatch', detail: `a former gateway left it running, but it was not ready within ${leftMs / 1000} s${seen}` });
    });
    signal.addEventListener('abort', cancel, { once: true });
  }

  #exists(run: Run, handle: ReplicaHandle): void {
    run.handle = handle;
    this.#own(
      (async () => {
        const exit = await handle.exited;
        if (this.#run === run) this.send({ kind: 'exited', reason: { kind: 'exited', exit } });
      })(),
    );
    this.#deps.changed();
  }

  #neverWas(run: Run, thrown: unknown, signal: AbortSignal): void {
    // Aborted: whoever left the state is waiting for the launch to settle, and goes on from there.
    if (signal.aborted) return;
    const code = thrown instanceof GatewayError ? thrown.code : 'start_failed';
    const failure: Failure = { code, message: messageOf(thrown), permanent: code === 'engine_missing' };
    this.#over(run);
    this.send({ kind: 'gone', failure, jitter: this.#deps.random() });
  }

  #read(run: Run, line: string): void {
    if (run.log.read(line) && this.#run === run) this.#deps.changed();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const run = this.#run;
    if (run?.handle === undefined) throw new Error('watch without a process');
    const watched = { target: run.handle, slot: run.turn.slot, settings: () => this.#plan };
    const events = {
      missed: (seen: string) => {
        run.lastProbe = seen;
      },
      recovered: () => {
        this.#probeFlaps += 1;
      },
      serving: (serving: boolean) => this.send({ kind: 'serving', serving }),
      condemned: (reason: FailureReason) => this.send({ kind: 'condemned', reason }),
    };
    await watchReplica(this.#deps, watched, events, signal);
  }

  /** Beside serving, which does not wait for it. */
  async #learnRelease(signal: AbortSignal): Promise<void> {
    const run = this.#run;
    if (run?.handle === undefined || run.release !== undefined) return;
    run.release = await readRelease(this.#deps, run.handle, this.#plan.engine, signal);
    if (run.release === undefined) return;
    const { version, advisory } = run.release;
    const fields = { replica: this.#name, run: run.id, engine: this.#plan.model.engine, version };
    if (advisory === undefined) this.#deps.log.info(fields, 'the engine told its version');
    else this.#deps.log.warn(fields, `the engine should be upgraded: ${advisory}`);
    this.#deps.changed();
  }

  async #learnCapabilities(signal: AbortSignal): Promise<void> {
    const run = this.#run;
    if (run?.handle === undefined || run.capabilities !== undefined) return;
    run.capabilities = await readCapabilities(this.#deps, run.handle, this.#plan.engine, signal);
    if (run.capabilities !== undefined) this.#deps.changed();
  }

  #terminate(polite: boolean): void {
    const run = this.#run;
    if (run === undefined) throw new Error('terminate without a run');
    const begun = run.graceMs !== undefined;
    run.graceMs = polite && !begun ? this.#plan.engine.stopping.graceMs : 0;
    if (!begun) this.#own(this.#seeThrough(run));
    else if (run.handle !== undefined) this.#own(run.handle.stop(0).then(() => undefined));
  }

  async #release(): Promise<void> {
    const run = this.#run;
    if (run === undefined) throw new Error('release without a run');
    await run.launched;
    // Hurried meanwhile: its end is under way.
    if (run.graceMs !== undefined) return;
    run.handle?.release();
    this.#over(run);
    this.send({ kind: 'gone', failure: undefined, jitter: 0 });
  }

  async #seeThrough(run: Run): Promise<void> {
    await run.launched;
    await run.handle?.stop(run.graceMs ?? 0);
    const next = this.#state.kind === 'stopping' ? this.#state.next : undefined;
    const failure = next?.kind === 'restart' ? this.#withoutSecrets(explain(next.reason, evidenceOf(run, this.#plan))) : undefined;
    this.#over(run);
    this.send({ kind: 'gone', failure, jitter: this.#deps.random() });
  }

  /** What a failure quotes of the engine's log goes to clients too. */
  #withoutSecrets(failure: Failure): Failure {
    return { ...failure, message: redactor(this.secrets())(failure.message) };
  }

  /** What no text that an engine wrote may show. */
  secrets(): readonly string[] {
    const keys = [this.#run?.handle?.apiKey, this.#lastRun?.apiKey].filter((key): key is string => key !== undefined && key !== '');
    return [...secretsOf(this.#plan.model.env), ...keys];
  }

  /** How its present engine is asked; undefined while it has none, or for a run that is over. */
  address(id: ReplicaId): EngineAddress | undefined {
    const run = this.#run;
    return run?.id === id ? run.handle : undefined;
  }

  #over(run: Run): void {
    this.#lastRun = pastRun(run);
    this.#run = undefined;
    run.turn.started();
    run.gpus.release();
    run.weights?.release();
    this.#deps.retire(run.turn);
  }

  #waitFor(wait: GpuWait | undefined): void {
    this.#wait = wait;
    this.#deps.changed();
  }

  /** Why it waits for GPUs; undefined while it does not. */
  get gpuWait(): string | undefined {
    return this.#wait?.reason;
  }

  /** Whether it can be told to sleep. */
  get canSleep(): boolean {
    return this.#plan.engine.sleep !== undefined && this.#plan.upstream === undefined && !this.#wakeful;
  }

  /** Waits for GPUs that others hold. */
  get lacksGpus(): boolean {
    return this.#state.kind === 'pending' && this.#wait?.possible === true;
  }

  /** Requests on it. */
  get inFlight(): number {
    return this.#run === undefined ? 0 : this.#deps.board.read(this.#run.turn.slot);
  }

  /** The slot it is counted on; undefined while no run exists. */
  get slot(): Turn['slot'] | undefined {
    return this.#run?.turn.slot;
  }

  fact(): ReplicaFact {
    return {
      state: this.#state,
      phase: this.#run?.log.phase ?? firstPhase,
      view: this.#run === undefined ? undefined : viewOf(this.#run, this.#plan, this.index),
      lastFailure: this.#lastFailure,
      capabilities: this.#run?.capabilities,
      waitsFor: this.#weightsWait?.phase ?? this.#wait?.reason,
      fetching: this.#weightsWait !== undefined,
      waitMs: this.#weightsWait?.etaMs,
      startMs: this.#startMs(),
    };
  }

  /** Milliseconds that its start still takes, or its next one will take as a whole, by the last one. */
  #startMs(): number | undefined {
    const adopted = this.#run?.handle?.adoptedAgeMs !== undefined;
    if (adopted || this.#plan.upstream !== undefined) return undefined;
    const log = this.#state.kind === 'starting' ? this.#run?.log : undefined;
    return this.#deps.history.remainingMs(this.#subject, log?.phase ?? firstPhase, log?.phaseForMs ?? 0);
  }

  report(): ReplicaReport {
    return reportOf(
      {
        index: this.index,
        fact: this.fact(),
        since: this.#since,
        run: this.#run,
        lastRun: this.#lastRun,
        launches: this.#launches,
        probeFlaps: this.#probeFlaps,
      },
      this.inFlight,
      this.#deps.clock.now(),
    );
  }
}
