import type { Clock } from '../core/clock.ts';
import type { ModelName } from '../core/ids.ts';
import type { Step } from './plan.ts';
import { standingOf } from './plan.ts';
import type { Lease } from './providers/lease.ts';
import type { Recovery } from './providers/provider.ts';
import type { Replica } from './replica.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { SupervisorParts } from './supervisor-parts.ts';
import { continuedFrom } from './takeover.ts';

export type StepsDeps = Pick<SupervisorParts, 'models' | 'replicas' | 'maker' | 'gpus'> & { readonly clock: Clock };

/** Carries out what `plan()` and `takeover()` have decided. */
export class Steps {
  readonly #deps: StepsDeps;
  readonly #changed: () => void;

  /** @param changed asks for another pass. */
  constructor(deps: StepsDeps, changed: () => void) {
    this.#deps = deps;
    this.#changed = changed;
  }

  /** @param drainedBy when drains end at the latest, whatever their models say. */
  take(step: Step, drainedBy: number | undefined): void {
    const { replicas } = this.#deps;
    switch (step.kind) {
      case 'add':
        this.#add(step.model, step.index);
        return;
      case 'take-back':
      case 'sleep':
      case 'wake':
        replicas.get(step.key)?.send({ kind: step.kind });
        return;
      case 'drain':
        this.#drain(step.key, drainedBy);
    }
  }

  adopt(lease: Lease, recovery: Recovery): void {
    const { models, maker, gpus } = this.#deps;
    const model = models.get(lease.model);
    if (model === undefined) throw new Error(`chose an engine of ${lease.model} to adopt, which is not configured`);
    this.#begin(maker.make(lease.index, model.plan, continuedFrom(lease, model.plan, gpus, recovery)));
  }

  #drain(key: number, drainedBy: number | undefined): void {
    const { clock, models, replicas } = this.#deps;
    const replica = replicas.get(key);
    if (replica === undefined) return;
    const { name, drainTimeoutMs } = replica.plan.model;
    if (models.get(name)?.yields === true) replicas.keepLeaving(key);
    replica.send({ kind: 'drain', deadline: drainedBy ?? clock.now() + drainTimeoutMs });
  }

  #add(name: ModelName, index: number): void {
    const model = this.#deps.models.get(name);
    if (model === undefined) throw new Error(`planned a replica of ${name}, which is not configured`);
    const upstream = this.#unusedUpstream(model.plan);
    this.#begin(this.#deps.maker.make(index, upstream === undefined ? model.plan : { ...model.plan, upstream }));
  }

  /** One that no replica of the present config leads to; undefined where the model's replicas are our own. */
  #unusedUpstream({ model, fingerprint }: ReplicaPlan): ReplicaPlan['upstream'] {
    const current = this.#deps.replicas
      .of(model.name)
      .filter((replica) => replica.plan.fingerprint === fingerprint && standingOf(replica.state) !== 'leaving');
    const used = new Set(current.map((replica) => replica.plan.upstream?.url));
    return model.upstreams.find(({ url }) => !used.has(url)) ?? model.upstreams[0];
  }

  #begin(replica: Replica): void {
    this.#deps.replicas.add(replica.plan.model.name, replica);
    replica.start();
    this.#changed();
  }
}
