import type { ModelName } from '../../core/ids.ts';
import type { RoutingTable } from '../../core/table.ts';

/** OpenAI's model object. */
export interface ModelCard {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
}

export function modelCard(table: RoutingTable, id: string, model: ModelName): ModelCard {
  return { id, object: 'model', created: table.models.get(model)?.created ?? 0, owned_by: 'roundhouse' };
}

/** Every id that clients of the prefix may use. */
export function listCards(table: RoutingTable, prefix: string): { readonly object: 'list'; readonly data: readonly ModelCard[] } {
  const ids = [...(table.apps.get(prefix) ?? [])];
  return { object: 'list', data: ids.map(([id, model]) => modelCard(table, id, model)) };
}
