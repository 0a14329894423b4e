import { isAccelerator } from './accelerator.ts';
import { gpuLabel } from './devices.ts';
import type { GpuDevice } from './devices.ts';

/** What a replica asks for. */
export interface GpuRequest {
  /** Its name, unique. */
  readonly holder: string;
  /** Whose replica it is; left out where none can be the next. */
  readonly model?: string;
  readonly gpus: number;
  /** Of each GPU's memory: 0 < share ≤ 1; 1: the GPU is its own. */
  readonly share: number;
  /** Runs without a GPU where the machine has none. */
  readonly optional: boolean;
  /** Higher comes first. */
  readonly priority: number;
  /** Ray's name of the card the model was configured for. */
  readonly acceleratorType: string | undefined;
}

export interface GpuHold {
  readonly holder: string;
  readonly device: string;
  readonly share: number;
}

/** What there is to give. */
export interface GpuPool {
  /** Those the gateway may use. */
  readonly devices: readonly GpuDevice[];
  /** Device id → why it is given to nobody. */
  readonly quarantined: ReadonlyMap<string, string>;
  /** `require`: a card of another type than asked for does not do. */
  readonly acceleratorMatch: 'warn' | 'require';
}

export type Placement =
  | { readonly kind: 'placed'; readonly request: GpuRequest; readonly devices: readonly GpuDevice[] }
  /** `possible`: enough could come free; else only another config, or another machine, helps. */
  | { readonly kind: 'pending'; readonly request: GpuRequest; readonly reason: string; readonly possible: boolean };

/** Shares are decimals: 0.1 + 0.2 + 0.7 is a whole GPU. */
const rounding = 1e-9;
const namesShown = 8;

/** Memory in use by others from which on a free card is taken only when no other is free. */
const busyBytes = 1_073_741_824;

type Rooms = Map<string, number>;

function rooms(devices: readonly GpuDevice[], holds: readonly GpuHold[]): Rooms {
  const left: Rooms = new Map(devices.map((device) => [device.id, 1]));
  for (const { device, share } of holds) {
    const room = left.get(device);
    if (room !== undefined) left.set(device, Math.max(0, room - share));
  }
  return left;
}

/** Finds the devices that a request may get at all, whoever holds them. Requests that ask alike share the answer. */
function usableIn(pool: GpuPool): (request: GpuRequest) => readonly GpuDevice[] {
  const healthy = pool.devices.filter(({ id }) => !pool.quarantined.has(id));
  const known = new Map<string, readonly GpuDevice[]>();
  return ({ gpus, acceleratorType }) => {
    const type = pool.acceleratorMatch === 'warn' ? undefined : acceleratorType;
    const key = `${gpus === 1 ? 'one' : 'several'} ${type ?? ''}`;
    const found =
      known.get(key) ??
      // A process sees one MIG instance at most.
      healthy.filter((device) => (gpus === 1 || !device.partition) && (type === undefined || isAccelerator(device, type)));
    known.set(key, found);
    return found;
  };
}

/** Cards of one kind: a model split over several runs as fast as the slowest. */
const kindOf = (device: GpuDevice): string => `${device.vendor}\0${device.name}\0${device.memoryBytes}`;

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const difference = value - (b[at] ?? 0);
    if (Math.abs(difference) > rounding) return difference;
  }
  return 0;
}

/** The devices of one kind that fit tightest, and how well: lower comes first. */
function offer(
  request: GpuRequest,
  fitting: readonly GpuDevice[],
  left: Rooms,
): { readonly devices: readonly GpuDevice[]; readonly rank: readonly number[] } {
  const room = (device: GpuDevice): number => left.get(device.id) ?? 0;
  const busy = (device: GpuDevice): number => Number(room(device) === 1 && (device.usedBytes ?? 0) > busyBytes);
  const devices = [...fitting]
    .sort((a, b) => compare([busy(a), room(a), a.index], [busy(b), room(b), b.index]))
    .slice(0, request.gpus)
    .sort((a, b) => a.index - b.index);
  const sum = (value: (device: GpuDevice) => number): number => devices.reduce((all, device) => all + value(device), 0);
  const type = request.acceleratorType;
  const strange = type === undefined ? 0 : sum((device) => Number(!isAccelerator(device, type)));
  return { devices, rank: [strange, sum(busy), sum(room), fitting.length, devices[0]?.index ?? 0] };
}

function choose(request: GpuRequest, candidates: readonly GpuDevice[], left: Rooms): readonly GpuDevice[] | undefined {
  const fitting = candidates.filter((device) => (left.get(device.id) ?? 0) >= request.share - rounding);
  if (fitting.length < request.gpus) return undefined;
  const kinds = [...Map.groupBy(fitting, kindOf).values()].filter((devices) => devices.length >= request.gpus);
  if (kinds.length === 0) {
    // No MIG instance is among several; one vendor's stack cannot use another's cards.
    const vendors = [...Map.groupBy(fitting, ({ vendor }) => vendor).values()].filter((devices) => devices.length >= request.gpus);
    return vendors[0] === undefined ? undefined : offer(request, vendors[0], left).devices;
  }
  return kinds.map((devices) => offer(request, devices, left)).sort((a, b) => compare(a.rank, b.rank))[0]?.devices;
}

const plural = (count: number): string => (count === 1 ? '1 GPU' : `${count} GPUs`);

/** @param shown the first few parts, of `all`. */
function shortened(shown: readonly string[], all: number): string {
  const named = shown.slice(0, namesShown);
  return named.join(', ') + (all > named.length ? ` and ${all - named.length} more` : '');
}

/** Why it cannot be placed even on an idle machine; undefined if it could. */
function impossible(request: GpuRequest, candidates: readonly GpuDevice[], pool: GpuPool): string | undefined {
  if (candidates.length >= request.gpus) return undefined;
  const type = request.acceleratorType;
  const wanted = type !== undefined && pool.acceleratorMatch === 'require' ? ` of type ${type}` : '';
  const lost = pool.devices.flatMap((device) => {
    const reason = pool.quarantined.get(device.id);
    return reason === undefined ? [] : [`${gpuLabel(device)}: ${reason}`];
  });
  const out = lost.length === 0 ? '' : `; out of use: ${shortened(lost, lost.length)}`;
  const there = candidates.length === 0 ? 'there is none' : `there ${candidates.length === 1 ? 'is' : 'are'} ${candidates.length}`;
  return `needs ${plural(request.gpus)}${wanted}, ${there} to use${out}`;
}

type Holders = ReadonlyMap<string, readonly string[]>;

function waitsFor(request: GpuRequest, candidates: readonly GpuDevice[], holders: Holders): string {
  const shown: string[] = [];
  let held = 0;
  for (const device of candidates) {
    const names = holders.get(device.id);
    if (names === undefined) continue;
    held += 1;
    // Where hundreds wait for dozens of cards, most of the work would go into names that nobody is shown.
    if (held <= namesShown) shown.push(`${device.partition ? device.id : device.index} held by ${names.join(' + ')}`);
  }
  const cards = request.gpus === 1 ? 'a GPU' : plural(request.gpus);
  const what = request.share < 1 ? `a share of ${cards}` : cards;
  return `waiting for ${what}: ${shortened(shown, held)}`;
}

/** Who chooses first: the more important; the one whose turn it is; then those that are hard to place, so that small ones do not stand in their way. */
function inOrder(requests: readonly GpuRequest[], next: string | undefined): readonly GpuRequest[] {
  const turn = ({ model }: GpuRequest): number => Number(next !== undefined && model === next);
  return requests.toSorted((a, b) => b.priority - a.priority || turn(b) - turn(a) || b.gpus - a.gpus || b.share - a.share);
}

/**
 * A GPU for each request that one can be found for, in the order of importance; a request that does not fit keeps none of those behind
 * it waiting, but for those of `next`: what it could use is kept for it until there is enough. Each GPU is given to as many as share it by memory, or to one. Shares go where they fit tightest, several GPUs are of one
 * kind where that is possible, and the kind with the fewest left comes first: what is big still finds room.
 */
export function place(requests: readonly GpuRequest[], pool: GpuPool, holds: readonly GpuHold[], next?: string): readonly Placement[] {
  const left = rooms(pool.devices, holds);
  const usable = usableIn(pool);
  const holders = new Map<string, string[]>();
  const hold = (device: string, holder: string): void => {
    const names = holders.get(device);
    if (names === undefined) holders.set(device, [holder]);
    else names.push(holder);
  };
  for (const { device, holder } of holds) hold(device, holder);
  const placements = inOrder(requests, next).map((request): Placement => {
    if (request.gpus === 0) return { kind: 'placed', request, devices: [] };
    if (request.optional && pool.devices.length === 0) return { kind: 'placed', request, devices: [] };
    const candidates = usable(request);
    const devices = choose(request, candidates, left);
    if (devices === undefined) {
      const reason = impossible(request, candidates, pool);
      const said = reason ?? waitsFor(request, candidates, holders);
      if (next !== undefined && request.model === next && reason === undefined) {
        for (const { id } of candidates) {
          if (holders.get(id) === undefined) hold(id, `${request.holder} (next)`);
          left.set(id, 0);
        }
      }
      return { kind: 'pending', request, reason: said, possible: reason === undefined };
    }
    for (const { id } of devices) {
      left.set(id, Math.max(0, (left.get(id) ?? 0) - request.share));
      hold(id, request.holder);
    }
    return { kind: 'placed', request, devices };
  });
  return placements;
}
