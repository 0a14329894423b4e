import type { ModelName } from '../../core/ids.ts';
import type { RoutingTable } from '../../core/table.ts';

/** OpenAI's model object, and what else clients want to know. */
export interface ModelCard {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  /** Of an adapter: the model it belongs to. */
  readonly parent: string | null;
  /** `ready`, or what the nearest replica is doing. */
  readonly status: string;
  /** Tokens of the longest prompt and reply together, under the name that engines' own cards have; left out where the engine has not told. */
  readonly max_model_len?: number;
}

export function modelCard(table: RoutingTable, id: string, model: ModelName): ModelCard {
  const entry = table.models.get(model);
  const status = entry?.status.phase ?? 'unknown';
  const length = entry?.capabilities?.maxModelLen;
  return {
    id,
    object: 'model',
    created: entry?.created ?? 0,
    owned_by: 'roundhouse',
    parent: null,
    status,
    ...(length === undefined ? {} : { max_model_len: length }),
  };
}

/** Every id that clients of the prefix may use. */
export function listCards(table: RoutingTable, prefix: string): { readonly object: 'list'; readonly data: readonly ModelCard[] } {
  const ids = [...(table.apps.get(prefix) ?? [])];
  return { object: 'list', data: ids.map(([id, model]) => modelCard(table, id, model)) };
}
