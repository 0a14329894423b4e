import { basename, dirname, join } from 'node:path';
import type { Launch } from './engine-plugin.ts';

/** What an engine's command line, as people type it, stands for in a config. */
export interface ReadCommand {
  /** Engine plugin's name. */
  readonly engine: string;
  /** The executable, where it is not what the engine's plugin would run. */
  readonly command: readonly [string] | undefined;
  readonly model: Launch['model'] | undefined;
  /** As `engine_kwargs`, in the order of the command. What the gateway decides itself is still among them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Arguments that belong to no option. */
  readonly stray: readonly string[];
}

/** How one engine is started by hand. */
interface CommandForm {
  readonly engine: string;
  /** Number of leading words that are the command itself; undefined: another engine's. */
  words(argv: readonly string[]): number | undefined;
  /** What the plugin runs. */
  readonly executable: string;
  /** Long option name → what its value is. */
  readonly models: ReadonlyMap<string, Launch['model']['kind'] | 'either'>;
  /** Whether the first argument that is no option names the model. */
  readonly positional: boolean;
  readonly short: ReadonlyMap<string, string>;
}

const isPython = (word = ''): boolean => /^python[\d.]*$/.test(basename(word));

/** `NAME VERB …`, or `python -m MODULE …`. */
function pythonWords(name: string, verb: string, module: RegExp): CommandForm['words'] {
  return ([first = '', second, third = '']) => {
    if (basename(first) === name && second === verb) return 2;
    return isPython(first) && second === '-m' && module.test(third) ? 3 : undefined;
  };
}

/** llama-server's short options (0.7.0, `--help`), by their long names. */
const llamaShort: ReadonlyMap<string, string> = new Map(
  Object.entries({
    m: 'model',
    hf: 'hf_repo',
    hfr: 'hf_repo',
    a: 'alias',
    c: 'ctx_size',
    n: 'n_predict',
    b: 'batch_size',
    ub: 'ubatch_size',
    np: 'parallel',
    t: 'threads',
    tb: 'threads_batch',
    ngl: 'n_gpu_layers',
    fa: 'flash_attn',
    ctk: 'cache_type_k',
    ctv: 'cache_type_v',
    sm: 'split_mode',
    ts: 'tensor_split',
    mg: 'main_gpu',
    dev: 'device',
    ot: 'override_tensor',
    cmoe: 'cpu_moe',
    ncmoe: 'n_cpu_moe',
    nkvo: 'no_kv_offload',
    kvu: 'kv_unified',
    cb: 'cont_batching',
    mm: 'mmproj',
    s: 'seed',
    v: 'verbose',
    lv: 'verbosity',
  }),
);

const forms: readonly CommandForm[] = [
  {
    engine: 'llamacpp',
    words: ([first = '']) => (/^llama-server\b/.test(basename(first)) ? 1 : undefined),
    executable: 'llama-server',
    models: new Map([
      ['model', 'path'],
      ['hf_repo', 'reference'],
    ]),
    positional: false,
    short: llamaShort,
  },
  {
    engine: 'vllm',
    words: pythonWords('vllm', 'serve', /^vllm\.entrypoints\./),
    executable: 'vllm',
    models: new Map([['model', 'either']]),
    positional: true,
    short: new Map([['tp', 'tensor_parallel_size']]),
  },
  {
    engine: 'sglang',
    words: pythonWords('sglang', 'serve', /^sglang\.launch_server$/),
    executable: 'sglang',
    models: new Map([
      ['model_path', 'either'],
      ['model', 'either'],
    ]),
    positional: false,
    short: new Map(),
  },
];

/** Reads a command; undefined where it starts no engine that is known here. */
export function readCommand(argv: readonly string[]): ReadCommand | undefined {
  for (const form of forms) {
    const words = form.words(argv);
    if (words === undefined) continue;
    const { options, stray } = readOptions(argv.slice(words), form.short);
    const name = [...form.models.keys()].find((key) => typeof options[key] === 'string');
    const value = name === undefined ? (form.positional ? stray[0] : undefined) : String(options[name]);
    const kind = name === undefined ? 'either' : form.models.get(name);
    return {
      engine: form.engine,
      command: commandOf(argv[0] ?? '', form.executable),
      model: value === undefined ? undefined : { kind: kind === 'either' ? kindOf(value) : (kind ?? 'reference'), value },
      options: Object.fromEntries(Object.entries(options).filter(([key]) => !form.models.has(key))),
      stray: name === undefined && form.positional ? stray.slice(1) : stray,
    };
  }
  return undefined;
}

/** A module that Python ran is what the executable beside that Python runs. */
function commandOf(first: string, executable: string): readonly [string] | undefined {
  const program = isPython(first) ? join(dirname(first), executable) : first;
  return program === executable ? undefined : [program];
}

function kindOf(model: string): Launch['model']['kind'] {
  return /^(?:\/|~|\.\.?\/)/.test(model) ? 'path' : 'reference';
}

function readOptions(args: readonly string[], short: ReadonlyMap<string, string>): Pick<ReadCommand, 'options' | 'stray'> {
  const options: Record<string, unknown> = {};
  const stray: string[] = [];
  for (let at = 0; at < args.length;) {
    const word = args[at] ?? '';
    at += 1;
    if (!isFlag(word)) {
      stray.push(word);
      continue;
    }
    const [flag = '', joined] = word.startsWith('--') ? splitOnce(word) : [word];
    const bare = flag.replace(/^--?/, '');
    const name = (flag.startsWith('--') ? undefined : short.get(bare)) ?? bare.replaceAll('-', '_');
    const values = joined === undefined ? [] : [joined];
    if (joined === undefined) {
      const next = args.findIndex((word, index) => index >= at && isFlag(word));
      values.push(...args.slice(at, next === -1 ? args.length : next));
      at += values.length;
    }
    const value = values.length > 1 ? values.map(typed) : values[0] === undefined ? true : typed(values[0]);
    options[name] = Object.hasOwn(options, name) ? [options[name], value].flat() : value;
  }
  return { options, stray };
}

/** A negative number is a value. */
function isFlag(word: string): boolean {
  return /^--?[A-Za-z]/.test(word);
}

function splitOnce(word: string): readonly string[] {
  const at = word.indexOf('=');
  return at === -1 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

/** A number only where it is written as we would write it. */
function typed(text: string): string | number {
  return /^-?\d/.test(text) && String(Number(text)) === text ? Number(text) : text;
}
