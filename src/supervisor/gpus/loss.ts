import type { GpuDevice, GpuList } from './devices.ts';
import { lostAmong } from './pool.ts';

/** Why a card counts as lost that no tool names as such. */
export const notListed = 'the driver lists it no more';

/** The devices of `known` that a reading does not have. When a card is lost, some versions of the tool list none at all: then none. */
export function absentFrom({ devices, lost }: GpuList, known: readonly GpuDevice[]): ReadonlySet<string> {
  if (lost.length > 0 && devices.length === 0) return new Set();
  const listed = new Set(devices.map(({ id }) => id));
  return new Set(known.map(({ id }) => id).filter((id) => !listed.has(id)));
}

/**
 * The devices that are surely lost, by id, and why: an engine on one is ended for it. The driver's word is proof; that it does not list
 * one only when two looks in a row say so, for what runs on it may have nothing wrong.
 * @param before what the look before did not have.
 */
export function surelyLost(list: GpuList, known: readonly GpuDevice[], before: ReadonlySet<string>): ReadonlyMap<string, string> {
  const twice = [...absentFrom(list, known)].filter((id) => before.has(id));
  return new Map([...twice.map((id) => [id, notListed] as const), ...lostAmong(known, list.lost)]);
}
