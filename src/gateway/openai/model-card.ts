import type { RoutingTable } from '../../core/table.ts';
import type { NamedModel } from './model-name.ts';

/** OpenAI's model object, and what else clients want to know. */
export interface ModelCard {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  /** Of an adapter: the model it belongs to. */
  readonly parent: string | null;
  /** `ready`, or what the nearest replica is doing. Of an adapter that no replica has loaded: `not loaded`; the first request loads it. */
  readonly status: string;
  /** Tokens of the longest prompt and reply together, under the name that engines' own cards have; left out where the engine has not told. */
  readonly max_model_len?: number;
}

/** The card of what a client named `id`, which is `named`. */
export function modelCard(table: RoutingTable, id: string, { model, adapter }: NamedModel): ModelCard {
  const entry = table.models.get(model);
  const phase = entry?.status.phase ?? 'unknown';
  const loaded = adapter === undefined || entry?.replicas.some(({ adapters }) => adapters?.has(adapter) === true) === true;
  const length = entry?.capabilities?.maxModelLen;
  return {
    id,
    object: 'model',
    created: entry?.created ?? 0,
    owned_by: 'roundhouse',
    parent: adapter === undefined ? null : id.slice(0, -`:${adapter}`.length),
    status: loaded ? phase : 'not loaded',
    ...(length === undefined ? {} : { max_model_len: length }),
  };
}

/** Every id that clients of the prefix may use; behind a model's own, not behind its aliases, the adapters that a replica has loaded. */
export function listCards(table: RoutingTable, prefix: string): { readonly object: 'list'; readonly data: readonly ModelCard[] } {
  const ids = [...(table.apps.get(prefix) ?? [])];
  const seen = new Set<string>();
  const data = ids.flatMap(([id, model]) => {
    const card = modelCard(table, id, { model });
    if (seen.has(model)) return [card];
    seen.add(model);
    const loaded = new Set((table.models.get(model)?.replicas ?? []).flatMap(({ adapters }) => [...(adapters?.keys() ?? [])]));
    return [card, ...[...loaded].sort().map((adapter) => modelCard(table, `${id}:${adapter}`, { model, adapter }))];
  });
  return { object: 'list', data };
}
