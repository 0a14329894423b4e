import { z } from 'zod';
import { foreignNames, negatable, onOffAuto, ownedByGateway, shortNames } from './option-names.ts';

/**
 * Slots where the config says nothing: what llama-server 0.7.0 chooses itself, but known to the gateway. As there, the
 * slots then share one context, so that a request may use all of it; with `parallel` given, each has its own part.
 */
const defaultSlots = { parallel: 4, args: ['--kv-unified'] } as const;

const whole = (min: number, max: number): z.ZodType<number> =>
  z.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);

/** Options whose values are checked before the start; all others are passed on for llama-server to judge. */
const known: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  ['parallel', whole(1, 1024)],
  ['ctx_size', whole(0, 2 ** 31 - 1)],
  ['threads', whole(-1, 4096)],
  ['threads_batch', whole(-1, 4096)],
  ['batch_size', whole(1, 2 ** 31 - 1)],
  ['ubatch_size', whole(1, 2 ** 31 - 1)],
  ['n_gpu_layers', z.union([whole(-1, 100_000), z.enum(['auto', 'all'])]).describe('a whole number, auto or all')],
  ...[...onOffAuto].map((name) => [name, z.union([z.boolean(), z.enum(['on', 'off', 'auto'])]).describe('on, off or auto')] as const),
]);

const namePattern = /^[a-z0-9][a-z0-9_-]*$/u;

export interface LlamaOptions {
  /** Slots: requests worked on at once. */
  readonly parallel: number;
  /** 1 where layers are asked onto a GPU, else 0. llama-server would use every card it sees, so it is shown just what it was given. */
  readonly gpus: 0 | 1;
  /** Arguments for all other options, in the order of the config. */
  readonly args: readonly string[];
  /** Name → how the config writes it. */
  readonly writtenAs: ReadonlyMap<string, string>;
}

/** `engine_kwargs`: llama-server's own long names, `_` for `-`. */
export const options = z.record(z.string(), z.unknown()).transform((raw, context): LlamaOptions => {
  const given = new Map<string, unknown>();
  const writtenAs = new Map<string, string>();
  for (const [written, value] of Object.entries(raw)) {
    const plain = written.replaceAll('-', '_');
    const name = shortNames.get(plain) ?? plain;
    const problem = given.has(name) ? `the option ${name} is given twice` : problemOf(written, name, value);
    if (problem !== undefined) context.addIssue({ code: 'custom', path: [written], message: problem });
    if (value === null || value === undefined) continue;
    given.set(name, value);
    writtenAs.set(name, written);
  }
  if (context.issues.length > 0) return z.NEVER;
  const { parallel, ...others } = Object.fromEntries(given);
  const args = Object.entries(others).flatMap(([name, value]) => toArgs(name, value));
  const gpus = wantsGpu(given.get('n_gpu_layers')) ? 1 : 0;
  if (typeof parallel === 'number') return { parallel, gpus, args, writtenAs };
  return { parallel: defaultSlots.parallel, gpus, args: given.has('kv_unified') ? args : [...defaultSlots.args, ...args], writtenAs };
});

/** `auto`, llama-server's default, asks for none: it takes what is there, and a gateway gives only what is asked for. */
function wantsGpu(layers: unknown): boolean {
  return layers === 'all' || (typeof layers === 'number' && layers !== 0);
}

function problemOf(written: string, name: string, value: unknown): string | undefined {
  if (!namePattern.test(written)) return `${JSON.stringify(written)} is no option name, expected letters, digits, _ and -`;
  const owned = ownedByGateway.get(name.replace(/^no_/u, '')) ?? ownedByGateway.get(name);
  if (owned !== undefined) return `cannot be set: ${owned}`;
  const foreign = foreignNames.get(name);
  if (foreign !== undefined) return `no option of llama-server: ${foreign}`;
  if (value === null || value === undefined) return undefined;
  const schema = known.get(name);
  if (schema !== undefined && !schema.safeParse(value).success) return `got ${JSON.stringify(value)}, expected ${schema.description}`;
  return isWritable(value) ? undefined : `got ${show(value)}, expected a finite number, a string, true, false, a flat list or a mapping`;
}

function show(value: unknown): string {
  // JSON has no word for Infinity and NaN.
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

function isWritable(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((element) => isScalar(element));
  return isScalar(value) || typeof value === 'boolean' || typeof value === 'object';
}

function isScalar(value: unknown): value is string | number {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

/**
 * One option as arguments. Values stand alone, negative numbers too: llama-server 0.7.0 takes whatever follows a flag
 * as its value and does not know `--flag=value`.
 */
function toArgs(name: string, value: unknown): readonly string[] {
  const flag = `--${name.replaceAll('_', '-')}`;
  if (typeof value === 'boolean') return booleanArgs(name, flag, value);
  if (Array.isArray(value)) return value.length === 0 ? [] : [flag, value.map(String).join(',')];
  return [flag, typeof value === 'string' ? value : JSON.stringify(value)];
}

function booleanArgs(name: string, flag: string, value: boolean): readonly string[] {
  if (onOffAuto.has(name)) return [flag, value ? 'on' : 'off'];
  if (value) return [flag];
  return negatable.has(name) ? [`--no-${flag.slice(2)}`] : [];
}
