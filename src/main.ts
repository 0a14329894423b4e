#!/usr/bin/env node
import { mkdirSync, realpathSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { loadBuiltins } from './cli/builtin-modules.ts';
import { memoryFlags, toldV8 } from './cli/memory-flags.ts';
import { defaultCacheDir } from './config/user-dirs.ts';

/** Commands that go on for days, or make garbage of a model's files for minutes; the others need their memory for a while, and their time. */
const staysSmall = ([verb = '']: readonly string[]): boolean => ['start', 'run', 'pull'].includes(verb);

/**
 * Keeps compiled modules where only this user writes, so that the next command need not compile them: half of what a short one takes.
 * Where that directory cannot be written nothing is kept; NODE_COMPILE_CACHE and NODE_DISABLE_COMPILE_CACHE of Node.js hold.
 */
function keepCompiled(): void {
  const { NODE_COMPILE_CACHE: chosen, NODE_DISABLE_COMPILE_CACHE: disabled } = process.env;
  if (disabled !== undefined) return;
  // Set since this process began, Node.js has not heeded it.
  if (chosen !== undefined) return void enableCompileCache();
  const dir = join(defaultCacheDir(process.env, homedir()), 'compiled');
  try {
    // What is there is run: nobody else may write it, whatever the umask.
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    enableCompileCache(dir);
  } catch {
    // A home that cannot be written costs time, nothing else.
  }
}

/** Runs one command. `argv`: the arguments after the program's name. Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  // Before the modules are loaded, which are most of what is allocated, and most of the time that a short command takes.
  if (staysSmall(argv)) {
    loadBuiltins();
    for (const flag of memoryFlags(toldV8(), argv[0] === 'pull' ? 'fetch' : 'serve')) setFlagsFromString(flag);
  }
  keepCompiled();
  const { runCommand } = await import('./cli/command-line.ts');
  return await runCommand(argv);
}

const entry = process.argv[1];
if (entry !== undefined && import.meta.url === pathToFileURL(realpathSync(entry)).href) {
  const { surviveReaders } = await import('./cli/output.ts');
  surviveReaders(process);
  const code = await main(process.argv.slice(2));
  process.exitCode ??= code;
}
