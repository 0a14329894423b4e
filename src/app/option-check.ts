import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Config, ModelConfig } from '../config/config.ts';
import { inOrder, type LoadedConfig } from '../config/load.ts';
import { ConfigError, type ConfigProblem } from '../config/problems.ts';
import { defaultCacheDir } from '../config/user-dirs.ts';
import type { Clock } from '../core/clock.ts';
import type { Engine, EnginePlugin } from '../plugins/engine-plugin.ts';
import { executableOf } from '../supervisor/command-line.ts';
import { EngineHelp, type HelpRequest } from '../supervisor/engine-help.ts';

/** What the installed engines say of the options in a config. */
export interface OptionFindings {
  /** Options that an installed engine does not know. */
  readonly problems: readonly ConfigProblem[];
  /** What was let through: unchecked, or though the engine does not know it. Each with the reason. */
  readonly notes: readonly ConfigProblem[];
}

export interface OptionCheckDeps {
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  readonly help: Pick<EngineHelp, 'read'>;
}

/** A loaded config, and how to tell of a key in it. */
export type Checked = Pick<LoadedConfig, 'config' | 'engines' | 'located'>;

/** Models that run the same program: its help is looked at once. */
interface SameProgram {
  readonly request: HelpRequest;
  readonly engine: Engine;
  readonly models: { readonly model: ModelConfig; readonly engine: Engine }[];
}

/** The help of what is installed on this machine, kept in the user's cache directory. */
export function installedHelp(env: Readonly<Record<string, string | undefined>>): EngineHelp {
  return new EngineHelp({ cacheDir: join(defaultCacheDir(env, homedir()), 'engine-help'), env, now: () => Date.now() });
}

/** How long somebody who waits for a start or a reload is kept for it. A kept text needs a few milliseconds. */
export const patienceMs = 2000;

/** A text may be no older than this to refuse a config by. */
const freshMs = 10 * 60_000;

/**
 * Compares the options of each model that the gateway starts with those of the engine that is installed. Reads the help of each engine
 * once, which takes some of them half a minute where it was not kept.
 * @throws the signal's reason
 */
export async function checkOptions(loaded: Checked, { engines, help }: OptionCheckDeps, signal: AbortSignal): Promise<OptionFindings> {
  const findings = await Promise.all(
    programsOf(loaded.config, engines).map(async (program) => {
      const found = judge(program, loaded, await help.read(program.request, signal));
      // Nothing is refused on the word of an old copy.
      return found.problems.length === 0 ? found : judge(program, loaded, await help.read(program.request, signal, freshMs));
    }),
  );
  return {
    problems: inOrder(findings.flatMap(({ problems }) => problems)),
    notes: inOrder(findings.flatMap(({ notes }) => notes)),
  };
}

/**
 * The same for somebody who cannot wait: throws what was found in time, and hands on what is found later.
 * @throws ConfigError with the options that an installed engine does not know
 * @returns what was let through; nothing where the time was too short
 */
export async function checkOptionsWithin(
  limit: { readonly ms: number; readonly clock: Pick<Clock, 'after'> },
  check: Promise<OptionFindings>,
  later: (findings: OptionFindings) => void,
): Promise<readonly ConfigProblem[]> {
  const elapsed = Promise.withResolvers<undefined>();
  const cancel = limit.clock.after(limit.ms, () => elapsed.resolve(undefined));
  try {
    const findings = await Promise.race([check, elapsed.promise]);
    if (findings !== undefined) return accepted(findings);
  } finally {
    cancel();
  }
  // It rejects only when its signal is aborted, by whoever no longer wants to know.
  check.then(later, () => undefined);
  return [];
}

/** The notes. @throws ConfigError with the problems, if there are any */
export function accepted({ problems, notes }: OptionFindings): readonly ConfigProblem[] {
  if (problems.length > 0) throw new ConfigError(problems);
  return notes;
}

/** What runs, by program; models without options, and those that others run, have nothing to check. */
function programsOf({ models, engineCommands }: Config, engines: ReadonlyMap<string, EnginePlugin>): readonly SameProgram[] {
  const programs = new Map<string, SameProgram>();
  for (const model of models) {
    if (model.upstreams.length > 0 || Object.keys(model.engineOptions).length === 0) continue;
    const engine = engines.get(model.engine)?.configure(model.engineOptions, model.traits);
    if (engine?.help === undefined) continue;
    const command = executableOf(model, engine, engineCommands);
    const request = { command, help: engine.help, env: model.env, executable: engine.executable, install: engine.install };
    const key = JSON.stringify([model.engine, command, model.env]);
    const program = programs.get(key) ?? { request, engine, models: [] };
    programs.set(key, program);
    program.models.push({ model, engine });
  }
  return [...programs.values()];
}

function judge({ engine, models }: SameProgram, { located }: Checked, answer: Awaited<ReturnType<EngineHelp['read']>>): OptionFindings {
  const [first] = models;
  const note = (message: string): ConfigProblem[] => (first === undefined ? [] : [located(first.model.name, ['engine_kwargs'], message)]);
  if (answer.kind === 'unread') return { problems: [], notes: note(`not checked against the installed engine: ${answer.reason}`) };
  const installed = engine.help?.read(answer.text);
  if (installed === undefined) {
    return { problems: [], notes: note('not checked against the installed engine: what it prints for its help cannot be read') };
  }
  const problems: ConfigProblem[] = [];
  const notes = answer.unkept === undefined ? [] : note(`the engine's help could not be kept, so it is read each time: ${answer.unkept}`);
  for (const { model, engine: own } of models) {
    for (const { path, message } of own.checkOptions?.(installed) ?? []) {
      const here = ['engine_kwargs', ...path];
      if (model.uncheckedOptions === true) notes.push(located(model.name, here, `${message} (let through by gateway.unchecked_kwargs)`));
      else problems.push(located(model.name, here, `${message} (gateway.unchecked_kwargs: true would let it through)`));
    }
  }
  return { problems, notes };
}
