import { GatewayError } from '../../core/errors.ts';
import type { AdapterName, ModelName } from '../../core/ids.ts';
import type { RoutingTable } from '../../core/table.ts';
import { loadedOf } from '../adapter-names.ts';
import type { AdapterNames } from '../adapter-names.ts';
import { resolveModel } from './model-name.ts';

/** OpenAI's model object, and what else clients want to know. */
export interface ModelCard {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  /** Of an adapter: the model it belongs to. */
  readonly parent: string | null;
  /** `ready`, or what the nearest replica is doing; of an adapter that none has loaded, while others serve: `not loaded`. */
  readonly status: string;
  /** Tokens of the longest prompt and reply together, under the name that engines' own cards have; left out where the engine has not told. */
  readonly max_model_len?: number;
}

function baseCard(table: RoutingTable, id: string, model: ModelName): ModelCard {
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

function adapterCard(base: ModelCard, adapter: string, loaded: ReadonlySet<string>): ModelCard {
  const status = base.status === 'ready' && !loaded.has(adapter) ? 'not loaded' : base.status;
  return { ...base, id: `${base.id}:${adapter}`, parent: base.id, status };
}

/**
 * The card of a base or an adapter.
 * @throws GatewayError as `resolveModel()`, and `adapter_not_found` for an adapter that was not found at its source.
 */
export function modelCard(table: RoutingTable, prefix: string, id: string, names: AdapterNames): ModelCard {
  const { model, adapter } = resolveModel(table, prefix, id);
  if (adapter === undefined) return baseCard(table, id, model);
  if (!names.knows(model, adapter, table)) throw unknownAdapter(id, adapter);
  return adapterCard(baseCard(table, id.slice(0, -adapter.length - 1), model), adapter, loadedOf(model, table));
}

function unknownAdapter(id: string, adapter: AdapterName): GatewayError {
  const message = `There is no adapter '${adapter}' among those found for '${id.slice(0, -adapter.length - 1)}'; GET /v1/models lists them.`;
  return new GatewayError('adapter_not_found', message, { param: 'model' });
}

/** Every id that clients of the prefix may use; behind a model's own, not behind its aliases, all its adapters, loaded or not. */
export function listCards(
  table: RoutingTable,
  prefix: string,
  names: AdapterNames,
): { readonly object: 'list'; readonly data: readonly ModelCard[] } {
  const ids = table.apps.get(prefix) ?? new Map<string, ModelName>();
  const seen = new Set<ModelName>();
  const data: ModelCard[] = [];
  for (const [id, model] of ids) {
    const base = baseCard(table, id, model);
    data.push(base);
    if (seen.has(model)) continue;
    seen.add(model);
    const loaded = loadedOf(model, table);
    for (const name of names.of(model, table)) data.push(adapterCard(base, name, loaded));
  }
  return { object: 'list', data };
}
