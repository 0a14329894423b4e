import { open } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../core/errors.ts';
import type { Engine, EnginePlugin } from '../../plugins/engine-plugin.ts';
import { executableOf } from '../../supervisor/command-line.ts';
import { toolRunner } from '../../supervisor/gpus/tool.ts';
import { engineEnvironment } from '../../supervisor/providers/environment.ts';
import { activated, findExecutable } from '../../supervisor/providers/executable.ts';
import type { EngineFact, EngineFinding } from './facts.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type Command = readonly [string, ...string[]];

interface Candidate {
  readonly plugin: string;
  readonly engine: Engine;
  readonly command: Command;
  readonly needed: boolean;
}

/** Lines of a failed engine's output to show. */
const shownLines = 5;
/** A script's first line is at most this long on any system that runs it. */
const longestFirstLine = 4096;

/** Looks at the engines that a config's models run on; without a config at all there are, on PATH. */
export async function engineFacts(
  config: Config | undefined,
  plugins: ReadonlyMap<string, EnginePlugin>,
  env: Environment,
  signal: AbortSignal,
): Promise<readonly EngineFact[]> {
  const candidates = config === undefined ? installable(plugins) : needed(config, plugins);
  return Promise.all(
    candidates.map(async ({ plugin, engine, command, needed }) => ({
      engine: plugin,
      command: command.join(' '),
      needed,
      install: engine.install,
      floor: engine.version?.floor,
      found: await look(engine, command, env, signal),
    })),
  );
}

function installable(plugins: ReadonlyMap<string, EnginePlugin>): readonly Candidate[] {
  return [...plugins].map(([plugin, entry]) => {
    const engine = entry.configure({});
    return { plugin, engine, command: [engine.executable], needed: false };
  });
}

/** One for each different command: models mostly share theirs. */
function needed(config: Config, plugins: ReadonlyMap<string, EnginePlugin>): readonly Candidate[] {
  const candidates = new Map<string, Candidate>();
  for (const model of config.models) {
    const plugin = model.engine;
    const engine = model.upstreams.length > 0 ? undefined : plugins.get(plugin)?.configure(model.engineOptions, model.traits);
    if (engine === undefined) continue;
    const command = executableOf(model, engine, config.engineCommands);
    candidates.set(JSON.stringify([plugin, command]), { plugin, engine, command, needed: true });
  }
  return [...candidates.values()];
}

async function look(engine: Engine, [executable, ...leading]: Command, env: Environment, signal: AbortSignal): Promise<EngineFinding> {
  if (executable === process.execPath && leading.length === 0) return { kind: 'built-in' };
  let path: string;
  try {
    path = await findExecutable(executable, env['PATH'] ?? '', engine);
  } catch (error) {
    return { kind: 'missing', message: messageOf(error) };
  }
  const interpreter = await interpreterOf(path);
  if (interpreter !== undefined && !existsSync(interpreter)) return { kind: 'no-interpreter', path, interpreter };
  const python =
    interpreter !== undefined && /python/.test(interpreter) ? await run(interpreter, ['--version'], 10_000, env, signal) : undefined;
  const runs = { kind: 'runs' as const, path, python: python?.exitCode === 0 ? python.output.trim() : undefined };
  const asked = engine.version?.installed;
  if (asked === undefined) return { ...runs, version: undefined };
  try {
    const { exitCode, output } = await run(path, [...leading, ...asked.args], asked.timeoutMs, env, signal);
    const version = asked.read(output);
    if (exitCode === 0 || version !== undefined) return { ...runs, version };
    const last = output.trimEnd().split('\n').slice(-shownLines).join('\n');
    return { kind: 'broken', path, message: `exit code ${exitCode}${last === '' ? '' : `\n${last}`}` };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'broken', path, message: messageOf(error) };
  }
}

/** In the environment that an engine gets, so that what works here works there. */
async function run(
  file: string,
  args: readonly string[],
  timeoutMs: number,
  env: Environment,
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const answer = await toolRunner(engineEnvironment(env, {}, activated(file, env['PATH'] ?? ''), 'doctor'), timeoutMs)(file, args, signal);
  return answer ?? { exitCode: 127, output: `${file}: no such file, or its interpreter is not there` };
}

/** The absolute path in a script's first line; undefined for a binary, or a script for `env` or a shell's launcher trick. */
async function interpreterOf(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(longestFirstLine), 0, longestFirstLine, 0);
    const named = /^#!\s*(\/\S+)/.exec(buffer.toString('latin1', 0, bytesRead))?.[1];
    return named === undefined || named.endsWith('/env') ? undefined : named;
  } finally {
    await file.close();
  }
}
