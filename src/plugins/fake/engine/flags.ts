import { parseArgs } from 'node:util';
import { readSettings, settingTable, withDefaults } from '../settings.ts';
import type { Settings } from '../settings.ts';

export interface EngineFlags {
  readonly host: string;
  /** 0: any free port; the log says which. */
  readonly port: number;
  /** First of its `inner_ports`. */
  readonly innerPort: number;
  readonly servedName: string;
  readonly stopGraceS: number;
  /** Paths of the adapters it starts with. */
  readonly adapters: readonly string[];
  readonly settings: Settings;
}

type FlagTypes = Record<string, { readonly type: 'string' | 'boolean'; readonly multiple?: boolean }>;

/** @throws Error with what is wrong, for the user who wrote the options. */
export function readFlags(argv: readonly string[]): EngineFlags {
  const types: FlagTypes = {
    host: { type: 'string' },
    port: { type: 'string' },
    'inner-port': { type: 'string' },
    'served-model-name': { type: 'string' },
    'stop-grace-s': { type: 'string' },
    adapter: { type: 'string', multiple: true },
  };
  for (const [name, { flag }] of settingTable) types[name.replaceAll('_', '-')] = { type: flag === 'bare' ? 'boolean' : 'string' };
  const { values } = parseArgs({ args: [...argv], options: types, allowPositionals: false, strict: true });
  const { host, port, 'inner-port': innerPort, 'served-model-name': servedName, 'stop-grace-s': stopGraceS, adapter, ...rest } = values;
  const raw = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name.replaceAll('-', '_'), value]));
  const read = readSettings(raw);
  if (read.kind === 'invalid') throw new Error(read.problems.map((problem) => `${problem.name}: ${problem.message}`).join('; '));
  return {
    host: typeof host === 'string' ? host : '127.0.0.1',
    port: readWhole('port', port, 0, 65_535),
    innerPort: readWhole('inner-port', innerPort, 0, 65_535),
    servedName: typeof servedName === 'string' ? servedName : 'fake',
    stopGraceS: readWhole('stop-grace-s', stopGraceS, 5, 86_400),
    adapters: Array.isArray(adapter) ? adapter.map(String) : [],
    settings: withDefaults(read.given),
  };
}

function readWhole(name: string, raw: unknown, fallback: number, max: number): number {
  const value = raw === undefined ? fallback : Number(raw);
  if (Number.isFinite(value) && value >= 0 && value <= max) return value;
  throw new Error(`${name}: got ${JSON.stringify(raw)}, expected a number from 0 to ${max}`);
}
