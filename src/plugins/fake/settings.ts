import { nearest } from '../../core/did-you-mean.ts';
import { choice, flag, list, number, text } from './setting.ts';
import type { Setting } from './setting.ts';

const seconds = { min: 0, max: 86_400 };
const count = { min: 0, max: 1_000_000_000, whole: true };
/** −1: never; n: after n more of them. */
const countdown = { min: -1, max: 1_000_000_000, whole: true };
const status = { min: 400, max: 599, whole: true };

const readOptionalStatus = (raw: unknown): number | undefined => (raw === 0 || raw === '0' ? 0 : number(0, status).read(raw));

/** Every option of the fake engine; the README says what each does. Zod is kept out, so that the engine starts quickly. */
export const settings = {
  // Start
  listen_after_s: number(0, seconds, 'start'),
  ready_after_s: number(0, seconds, 'start'),
  log: list(text('', { expected: 'a string' }, 'start')),
  boot_error: text('', { expected: 'a string' }, 'start'),
  exit_at: text('never', { expected: 'never, boot or a number of seconds', pattern: /^(never|boot|\d+(\.\d+)?)$/ }, 'start'),
  inner_ports: number(0, { min: 0, max: 16, whole: true }, 'start'),
  version: text('1.0.0', { expected: 'a version', pattern: /^\S+$/u }, 'start'),
  exit_code: number(1, { min: 0, max: 255, whole: true }),
  fork: number(0, { min: 0, max: 16, whole: true }, 'start'),
  daemonise: flag('start'),
  log_flood_mb_s: number(0, { min: 0, max: 1000 }, 'start'),
  dialect: choice(['openai', 'vllm', 'sglang', 'llamacpp'], 'start'),
  // Adapters
  lora_at_start: flag('start'),
  lora: choice(['ok', 'refuse', 'fail', 'hang']),
  lora_load_s: number(0, seconds),
  // Sleep
  enable_sleep_mode: flag('start'),
  sleep: choice(['ok', 'refuse', 'hang']),
  wake: choice(['ok', 'refuse', 'hang', 'die', 'lie']),
  wake_s: number(0, seconds),
  // Generation
  prefill_s: number(0, seconds),
  tokens_per_s: number(0, { min: 0, max: 1_000_000 }),
  tokens: number(0, { min: 0, max: 10_000_000, whole: true }),
  text: text(''),
  max_num_seqs: number(8, { min: 1, max: 100_000, whole: true }),
  max_model_len: number(0, count),
  models_id: text(''),
  seed: number(0, count),
  // Faults of the process
  exit_after_requests: number(-1, countdown),
  exit_after_tokens: number(-1, countdown),
  hang_after_requests: number(-1, countdown),
  hang_after_tokens: number(-1, countdown),
  health: text('ok', {
    expected: 'ok, lie, hang, fail, flap:<share of failures from 0 to 1> or slow:<milliseconds>',
    pattern: /^(ok|lie|hang|fail|flap:(0(\.\d+)?|1(\.0+)?)|slow:\d{1,7})$/,
  }),
  ignore_sigterm: flag(),
  ignore_close: flag(),
  // Faults of single replies
  refuse: list(number(0, status)),
  refuse_all: { ...number(0, status), expected: '0 for none, or a status from 400 to 599', read: readOptionalStatus },
  refuse_body: choice(['json', 'html', 'empty', 'flat']),
  drop_before_headers: number(0, count),
  reply: choice(['ok', 'cut', 'html', 'empty']),
  sse: choice(['ok', 'cut', 'nodone', 'error-mid', 'split-utf8', 'crlf', 'bigline', 'comments', 'norole']),
  sse_after: number(2, count),
  bigline_mb: number(8, { min: 0, max: 256 }),
  headers: choice(['ok', 'evil', 'duplicate-length']),
  keep_alive_ms: number(5000, { min: 0, max: 3_600_000, whole: true }, 'start'),
  no_keep_alive_hint: flag('start'),
  close_reused: number(0, count),
} satisfies Record<string, Setting<never> | Setting<unknown>>;

type Table = typeof settings;
export type SettingName = keyof Table;
type ValueOf<S> = S extends Setting<infer T> ? T : never;
export type Settings = { readonly [K in SettingName]: ValueOf<Table[K]> };

/** The same table, for code that treats all settings alike. */
export const settingTable: ReadonlyMap<string, Setting<unknown>> = new Map<string, Setting<unknown>>(
  Object.entries(settings) as [string, Setting<unknown>][],
);

export interface SettingProblem {
  readonly name: string;
  readonly message: string;
}

export type SettingsRead =
  | { readonly kind: 'valid'; readonly given: Partial<Settings> }
  | { readonly kind: 'invalid'; readonly problems: readonly SettingProblem[] };

/** Checks what was given; null means "not given". Missing settings stay missing. */
export function readSettings(raw: Readonly<Record<string, unknown>>): SettingsRead {
  const given: Record<string, unknown> = {};
  const problems: SettingProblem[] = [];
  for (const [name, value] of Object.entries(raw)) {
    const setting = settingTable.get(name);
    if (setting === undefined) {
      problems.push({ name, message: unknownSetting(name) });
      continue;
    }
    if (value === null || value === undefined) continue;
    const read = setting.read(value);
    if (read === undefined) problems.push({ name, message: `got ${JSON.stringify(value)}, expected ${setting.expected}` });
    else given[name] = read;
  }
  return problems.length > 0 ? { kind: 'invalid', problems } : { kind: 'valid', given };
}

function unknownSetting(name: string): string {
  const near = nearest(name, settingTable.keys());
  const hint = near === undefined ? `its options are ${[...settingTable.keys()].join(', ')}` : `did you mean ${near}?`;
  return `the fake engine has no option ${JSON.stringify(name)}; ${hint}`;
}

export function withDefaults(given: Partial<Settings>): Settings {
  const all: Record<string, unknown> = {};
  for (const [name, setting] of settingTable) all[name] = setting.fallback;
  return { ...all, ...given } as Settings;
}
