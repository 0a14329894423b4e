import type { AdapterName } from '../../core/ids.ts';

/** An adapter that replicas are started with. */
export interface Chosen {
  readonly adapter: AdapterName;
  /** How much it was used of late. */
  readonly heat: number;
  readonly inFlight: number;
}

export interface StartSetChange {
  readonly add: readonly AdapterName[];
  readonly drop: readonly AdapterName[];
}

/**
 * Which adapters the next replicas are started with: those that are asked for come in, in turn, and where there is no room for one the
 * least used of late goes, never one with requests. Pure.
 * @param asked those that are wanted and not chosen, who has waited longest first.
 */
export function changeStartSet(chosen: readonly Chosen[], asked: readonly AdapterName[], capacity: number): StartSetChange {
  const idle = chosen.filter(({ inFlight }) => inFlight === 0).sort((a, b) => a.heat - b.heat);
  const free = Math.max(0, capacity - chosen.length);
  const add = asked.slice(0, free + idle.length);
  return { add, drop: idle.slice(0, Math.max(0, add.length - free)).map(({ adapter }) => adapter) };
}
