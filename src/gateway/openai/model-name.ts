import { isAdapterName } from '../../core/adapter-name.ts';
import { GatewayError } from '../../core/errors.ts';
import { adapterName } from '../../core/ids.ts';
import type { AdapterName, ModelName } from '../../core/ids.ts';
import type { RoutingTable } from '../../core/table.ts';

/** What a client's `model` means. */
export interface NamedModel {
  readonly model: ModelName;
  /** Set for `base:adapter`. */
  readonly adapter?: AdapterName;
}

/** Names shown in an error; a gateway may serve thousands. */
const namesShown = 20;

export function listModels(ids: Iterable<string>): string {
  const all = [...ids];
  const shown = all
    .slice(0, namesShown)
    .map((id) => `'${id}'`)
    .join(', ');
  return all.length > namesShown ? `${shown} and ${all.length - namesShown} more` : shown || 'none';
}

const shown = (name: string): string => JSON.stringify(name.length > 96 ? `${name.slice(0, 96)}…` : name);

/** Of the configured names that stand before a `:` of the request, the longest; names of models may have colons themselves. */
function baseOf(ids: ReadonlyMap<string, ModelName>, requested: string): { readonly model: ModelName; readonly rest: string } | undefined {
  for (let at = requested.lastIndexOf(':'); at > 0; at = requested.lastIndexOf(':', at - 1)) {
    const model = ids.get(requested.slice(0, at));
    if (model !== undefined) return { model, rest: requested.slice(at + 1) };
  }
  return undefined;
}

/** @throws GatewayError `model_not_found`, naming the models there are; `key_not_permitted`; `adapter_not_found`. */
export function resolveModel(table: RoutingTable, prefix: string, requested: string): NamedModel {
  const ids = table.apps.get(prefix) ?? new Map<string, ModelName>();
  const model = ids.get(requested);
  if (model !== undefined) return { model };
  const base = baseOf(ids, requested);
  const all = table.unrestricted?.get(prefix);
  if (all !== undefined && (all.has(requested) || (base === undefined && baseOf(all, requested) !== undefined)))
    throw new GatewayError('key_not_permitted', `The key may not use the model ${shown(requested)}.`, { param: 'model' });
  if (base === undefined) {
    const message = `The model ${shown(requested)} does not exist here. Models served: ${listModels(ids.keys())}.`;
    throw new GatewayError('model_not_found', message, { param: 'model' });
  }
  if (table.models.get(base.model)?.lora !== true) {
    const message = `The model '${base.model}' has no adapters (lora_config), so that there is no ${shown(requested)}.`;
    throw new GatewayError('adapter_not_found', message, { param: 'model' });
  }
  if (!isAdapterName(base.rest)) {
    const message = `${shown(base.rest)} is no name of an adapter; expected letters, digits, '.', '_' and '-', at most 96 of them, perhaps org/ before and @revision behind.`;
    throw new GatewayError('adapter_not_found', message, { param: 'model' });
  }
  return { model: base.model, adapter: adapterName(base.rest) };
}
