import { GatewayError } from '../core/errors.ts';
import type { SimulatedRequest } from './simulate.ts';

/** Requests by model, each in the order of arrival. */
export type Trace = ReadonlyMap<string, readonly SimulatedRequest[]>;

const header = 'time_s,model,duration_s';
const wrong = (where: string, expected: string): GatewayError => new GatewayError('usage_invalid', `${where}: expected ${expected}`);

function numberOf(text: string | undefined, where: string, what: string): number {
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || value < 0) throw wrong(where, `${what}, a number of at least 0, got ${JSON.stringify(text ?? '')}`);
  return value;
}

/**
 * Reads a table of requests: `time_s,model,duration_s`, a line each, in any order.
 * @param name of the file, for messages
 * @throws GatewayError `usage_invalid` with the line
 */
export function readTrace(text: string, name: string): Trace {
  const lines = text.split(/\r?\n/);
  if (lines[0]?.trim() !== header) throw wrong(`${name}:1`, `the header ${header}, got ${JSON.stringify(lines[0] ?? '')}`);
  const trace = new Map<string, SimulatedRequest[]>();
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue;
    const where = `${name}:${index + 1}`;
    const cells = line.split(',');
    const [time, model = '', duration] = cells;
    if (cells.length !== 3 || model.trim() === '') throw wrong(where, `${header}, got ${JSON.stringify(line)}`);
    const request = { atMs: numberOf(time, where, 'time_s') * 1000, durationMs: numberOf(duration, where, 'duration_s') * 1000 };
    const known = trace.get(model.trim());
    if (known === undefined) trace.set(model.trim(), [request]);
    else known.push(request);
  }
  for (const requests of trace.values()) requests.sort((a, b) => a.atMs - b.atMs);
  return trace;
}

/** A load in words: `model=m,rps=5,duration=2s,hours=24,wave=0.8,seed=1`. */
export interface DescribedLoad {
  readonly model: string;
  readonly rps: number;
  readonly durationMs: number;
  readonly hours: number;
  /** How much the rate swings over a day around `rps`: 0 not at all, 1 from none to twice as much. */
  readonly wave: number;
  readonly seed: number;
}

const keys = ['model', 'rps', 'duration', 'hours', 'wave', 'seed'];

/** @throws GatewayError `usage_invalid` */
export function readLoad(text: string): DescribedLoad {
  const where = `--load ${JSON.stringify(text)}`;
  const given = new Map<string, string>();
  for (const part of text.split(',')) {
    const [key = '', value, ...more] = part.split('=');
    if (!keys.includes(key.trim()) || value === undefined || more.length > 0)
      throw wrong(where, `${keys.join('=…, ')}=…, got ${JSON.stringify(part)}`);
    given.set(key.trim(), value.trim());
  }
  const model = given.get('model');
  if (model === undefined) throw wrong(where, 'model=…');
  const number = (key: string, fallback?: string): number => numberOf(given.get(key)?.replace(/s$/, '') ?? fallback, where, key);
  const load = {
    model,
    rps: number('rps'),
    durationMs: number('duration') * 1000,
    hours: number('hours', '1'),
    wave: number('wave', '0'),
    seed: number('seed', '1'),
  };
  if (load.wave > 1) throw wrong(where, 'wave from 0 to 1');
  return load;
}

/** Numbers from 0 to 1 that look random and are the same for the same seed (Mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const dayMs = 24 * 3_600_000;

/** Requests that come at random (a Poisson process), the same for the same description. */
export function requestsOf({ rps, durationMs, hours, wave, seed }: DescribedLoad): readonly SimulatedRequest[] {
  const random = randomFrom(seed);
  const most = (rps * (1 + wave)) / 1000;
  const requests: SimulatedRequest[] = [];
  if (most === 0) return requests;
  for (let atMs = 0; ;) {
    atMs += -Math.log(1 - random()) / most;
    if (atMs >= hours * 3_600_000) return requests;
    // Thinned to the rate of the hour: low at midnight, high at noon.
    const rate = (rps / 1000) * (1 - wave * Math.cos((2 * Math.PI * atMs) / dayMs));
    if (random() * most < rate) requests.push({ atMs, durationMs });
  }
}
