import type { AdapterChangeReply, AdaptersReply } from '../admin/api.ts';
import { isAdapterName } from '../core/adapter-name.ts';
import { GatewayError } from '../core/errors.ts';
import { adapterName } from '../core/ids.ts';
import type { AdapterName, ModelName } from '../core/ids.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';

/** What the admin API does with LoRA adapters. */
export class AdapterControl {
  readonly #supervisor: () => Pick<Supervisor, 'status' | 'adapters'>;

  constructor(supervisor: () => Pick<Supervisor, 'status' | 'adapters'>) {
    this.#supervisor = supervisor;
  }

  /** @param found whether the names of all that were found are told, loaded or not. @throws GatewayError `model_not_found` */
  list(model: string | undefined, found: boolean): AdaptersReply {
    const desk = this.#supervisor().adapters;
    const models = this.#meant(model).map(({ name, adapters }) => ({
      model: name,
      ...adapters,
      names: found ? desk.found(name) : undefined,
    }));
    return { models };
  }

  /** Loads `base:adapter`, or its new weights. @throws GatewayError `model_not_found`, `adapter_not_found`, `adapter_invalid`, `adapter_unavailable` */
  async load(name: string): Promise<AdapterChangeReply> {
    const { model, adapter } = this.#named(name);
    await this.#supervisor().adapters.adaptersOf(model)?.load(adapter);
    return { model, adapter, replicas: this.#replicasWith(model, adapter) };
  }

  /** Takes `base:adapter` from all replicas, once its requests have ended. @throws GatewayError `model_not_found`, `adapter_not_found` */
  unload(name: string): AdapterChangeReply {
    const { model, adapter } = this.#named(name);
    const replicas = this.#replicasWith(model, adapter);
    if (this.#supervisor().adapters.adaptersOf(model)?.unload(adapter) !== 0) return { model, adapter, replicas };
    throw new GatewayError('adapter_not_found', `No replica of ${model} has the adapter "${adapter}" loaded; see gateway lora ls.`);
  }

  /** Looks for new adapters and new weights now. @throws GatewayError `model_not_found` */
  async refresh(model: string | undefined): Promise<AdaptersReply> {
    const desk = this.#supervisor().adapters;
    await Promise.all(this.#meant(model).flatMap(({ name }) => desk.adaptersOf(name)?.refresh() ?? []));
    return this.list(model, false);
  }

  #meant(model: string | undefined): readonly { readonly name: ModelName; readonly adapters: NonNullable<ReportOf['adapters']> }[] {
    const all = this.#supervisor()
      .status()
      .flatMap(({ name, adapters }) => (adapters === undefined ? [] : [{ name, adapters }]));
    const meant = all.filter(({ name }) => model === undefined || name === model);
    if (model === undefined || meant.length > 0) return meant;
    const known = all.map(({ name }) => name).join(', ') || 'none';
    throw new GatewayError('model_not_found', `There is no model "${model}" with adapters (lora_config). Those with some: ${known}.`);
  }

  /** The longest name of a model that stands before a colon is the model. */
  #named(name: string): { readonly model: ModelName; readonly adapter: AdapterName } {
    const models = this.#meant(undefined).map((each) => each.name);
    const [model] = models.filter((each) => name.startsWith(`${each}:`)).sort((a, b) => b.length - a.length);
    const adapter = model === undefined ? '' : name.slice(model.length + 1);
    if (model !== undefined && isAdapterName(adapter)) return { model, adapter: adapterName(adapter) };
    const known = models.join(', ') || 'none';
    throw new GatewayError(
      'model_not_found',
      `"${name}" is no adapter of a model; expected model:adapter. Models with adapters: ${known}.`,
    );
  }

  #replicasWith(model: ModelName, adapter: AdapterName): readonly number[] {
    const [report] = this.#meant(model);
    return (report?.adapters.resident ?? []).flatMap((each) => (each.adapter === adapter ? [each.replica] : []));
  }
}

type ReportOf = ReturnType<Supervisor['status']>[number];
