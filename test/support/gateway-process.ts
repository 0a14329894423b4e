import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface GatewayProcess {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  readonly stateDir: string;
  readonly configFile: string;
  /** All it printed on stdout so far. */
  output(): string;
  /** All it logged on stderr so far. */
  log(): string;
  /** Writes its config file anew; it is not told to read it. */
  writeConfig(models: readonly object[], more?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Resolves when stdout matches. */
  printed(pattern: RegExp): Promise<void>;
  /** Resolves when stderr matches. */
  logged(pattern: RegExp): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Resolves with what it ended with. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  post(body: unknown, signal?: AbortSignal): Promise<Response>;
  metrics(): Promise<string>;
  status(): Promise<readonly ModelStatusReport[]>;
  /** Process ids of engines of this gateway, by their environment marker's state directory log files; empty when none is left. */
  engines(): Promise<readonly number[]>;
}

export interface ModelStatusReport {
  readonly name: string;
  readonly status: { readonly phase: string; readonly error?: { readonly message: string } };
  readonly waiting: number;
  readonly replicas: readonly {
    readonly index: number;
    readonly state: string;
    readonly phase: string;
    readonly pid?: number;
    readonly version?: string;
    readonly advisory?: string;
    readonly capabilities?: { readonly maxModelLen?: number; readonly vision?: boolean; readonly embeddings?: boolean };
    readonly inFlight: number;
    readonly restarts: number;
    readonly since: number;
    readonly nextStartAt?: number;
    readonly upstream?: string;
    readonly logFile?: string;
    readonly gpus: readonly string[];
    readonly lastError?: { readonly code: string; readonly message: string; readonly permanent: boolean; readonly cause?: string };
  }[];
}

/** How a config names its models. */
type Shape = (models: readonly object[]) => object;

/** Models of the root. */
const plain: Shape = (models) => ({ llm_configs: models });

/** A config with ports and folders of its own; `more` is added to its `gateway:` part. JSON is YAML. */
export function configText(
  stateDir: string,
  models: readonly object[],
  more: Readonly<Record<string, unknown>> = {},
  shape: Shape = plain,
): string {
  return JSON.stringify({
    ...shape(models),
    gateway: { listen: { host: '127.0.0.1', port: 0 }, admin: { host: '127.0.0.1', port: 0 }, workers: 2, state_dir: stateDir, ...more },
  });
}

/** A model of the fake engine. */
export const fakeModel = (id: string, engineKwargs: object = {}, deployment: object = {}, gateway?: object): object => ({
  model_loading_config: { model_id: id },
  llm_engine: 'fake',
  engine_kwargs: engineKwargs,
  deployment_config: deployment,
  ...(gateway === undefined ? {} : { gateway }),
});

/** A model of the fake engine whose files come from `source`. @param env what its store needs in the environment */
export const fetchedModel = (id: string, source: string, env: Readonly<Record<string, string>>, deployment: object = {}): object => ({
  ...fakeModel(id, {}, deployment),
  model_loading_config: { model_id: id, model_source: source },
  runtime_env: { env_vars: env },
});

const makeDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'roundhouse-test-'));
const removeDir = (dir: string): Promise<void> => rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });

/** Those of one test may share a state directory: all end before anything of one is taken away. */
const startedBy = new WeakMap<TestContext, (() => Promise<unknown>)[]>();

function endOf(t: TestContext, end: () => Promise<unknown>): () => Promise<unknown> {
  const ends = [...(startedBy.get(t) ?? []), end];
  startedBy.set(t, ends);
  return () => Promise.all((startedBy.get(t) ?? []).map((each) => each()));
}

export async function tempDir(t: TestContext): Promise<string> {
  const dir = await makeDir();
  t.after(() => removeDir(dir));
  return dir;
}

/** Runs `gateway …` to its end. @param env instead of the test's own */
export async function runGateway(
  args: readonly string[],
  cwd?: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env, ...(cwd === undefined ? {} : { cwd }) });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { code, stdout, stderr };
}

/** Processes whose environment names a state directory: the gateway's engines. */
async function enginesOf(stateDir: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const marked = await Promise.all(
    pids.map(async (pid) => {
      // A process may end while it is looked at.
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
      const alive = !/\) Z/.test(state);
      return alive && environment.includes('ROUNDHOUSE_REPLICA=') && environment.includes(`TEST_STATE_DIR=${stateDir}\0`)
        ? [Number(pid)]
        : [];
    }),
  );
  return marked.flat();
}

/** A process may have ended by itself since it was found. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export interface GatewayOptions {
  /** How the config names the models: under `llm_configs`, unless told otherwise. */
  readonly shape?: Shape;
  /** What must stand beside the config before the gateway starts. `dir`: the config's folder. */
  readonly prepare?: (dir: string) => Promise<void>;
  /** Added to the `gateway:` part of the config. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** What to wait for on its output; the ready block, unless told otherwise. */
  readonly until?: RegExp;
  readonly stateDir?: string;
  readonly flags?: readonly string[];
  /** A command, with its arguments, that becomes the gateway by `exec`: `prlimit …`, `unshare -m sh -c '…; exec "$@"' sh`. */
  readonly prefix?: readonly string[];
  /** The program's `main.ts`; left out: this repository's. */
  readonly main?: string;
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
  /** Added to the test's own environment; undefined removes. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A model with the environment variable by which a test finds its engines and no others, beside those it has. */
function withMarker(model: { readonly runtime_env?: { readonly env_vars?: object } }, stateDir: string): object {
  const { runtime_env: environment } = model;
  return { ...model, runtime_env: { ...environment, env_vars: { ...environment?.env_vars, TEST_STATE_DIR: stateDir } } };
}

/** Starts `gateway start` on `models` and waits until it is ready. */
export async function startGateway(t: TestContext, models: readonly object[], options: GatewayOptions = {}): Promise<GatewayProcess> {
  // Removed below, when nothing writes to it any more.
  const dir = await makeDir();
  const stateDir = options.stateDir ?? join(dir, 'state');
  const file = join(dir, 'config.yaml');
  const writeConfig: GatewayProcess['writeConfig'] = async (entries, more = options.more) => {
    const marked = entries.map((model) => withMarker(model, stateDir));
    await writeFile(file, configText(stateDir, marked, more, options.shape));
  };
  await options.prepare?.(dir);
  await writeConfig(models);
  const node = [
    process.execPath,
    ...(options.nodeArgs ?? []),
    options.main ?? main,
    'start',
    '-c',
    file,
    ...(options.flags ?? []),
  ] as const;
  const [program = process.execPath, ...args] = [...(options.prefix ?? []), ...node];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
  const { pid } = child;
  assert.ok(pid !== undefined);
  let output = '';
  let errors = '';
  const listeners = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    for (const listener of listeners) listener();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
    for (const listener of listeners) listener();
  });
  const exited = once(child, 'exit').then(([code, signal]) => ({ code: code as number | null, signal: signal as NodeJS.Signals | null }));
  const endAll = endOf(t, () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    return exited;
  });
  t.after(async () => {
    await endAll();
    for (const engine of await enginesOf(stateDir)) killIfThere(engine);
    await removeDir(dir);
  });
  const appears = (all: () => string, pattern: RegExp): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (pattern.test(all())) resolve();
    };
    listeners.add(look);
    look();
    void exited.then(({ code }) => reject(new Error(`the gateway ended with ${code} before it printed ${pattern}:\n${output}\n${errors}`)));
    return promise.finally(() => listeners.delete(look));
  };
  const printed = (pattern: RegExp): Promise<void> => appears(() => output, pattern);
  await printed(options.until ?? /Ready at/);
  const url = /(?:Ready|Listening) at (\S+)/.exec(output)?.[1] ?? '';
  const adminUrl = /\(metrics: (\S+)\/metrics\)/.exec(output)?.[1] ?? '';
  return {
    url,
    adminUrl,
    pid,
    stateDir,
    configFile: file,
    output: () => output,
    log: () => errors,
    writeConfig,
    printed,
    logged: (pattern) => appears(() => errors, pattern),
    signal: (name) => void child.kill(name),
    exited,
    post: (body, signal) =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      }),
    metrics: async () => (await fetch(`${adminUrl}/metrics`)).text(),
    status: async () => ((await (await fetch(`${adminUrl}/api/status`)).json()) as { models: ModelStatusReport[] }).models,
    engines: () => enginesOf(stateDir),
  };
}
