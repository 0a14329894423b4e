import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ConfigProblem } from '../../src/config/problems.ts';
import { ConfigError } from '../../src/config/problems.ts';
import { loadConfig, type LoadDeps, type LoadedConfig } from '../../src/config/load.ts';
import { fake } from '../../src/plugins/fake/index.ts';

export const deps: LoadDeps = { env: {}, engines: new Map([[fake.name, fake]]), cores: 4, homeDir: '/home/someone' };

/** A folder of the test's own, removed after it. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'roundhouse-config-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files (name → text or bytes) into a folder of their own and loads `config.yaml` of it. */
export function loadFiles(
  t: TestContext,
  files: Readonly<Record<string, string | Uint8Array>>,
  more: Partial<LoadDeps> = {},
): LoadedConfig {
  const folder = temporaryFolder(t);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return loadConfig(join(folder, 'config.yaml'), { ...deps, ...more });
}

export function loadText(t: TestContext, text: string | Uint8Array, more: Partial<LoadDeps> = {}): LoadedConfig {
  return loadFiles(t, { 'config.yaml': text }, more);
}

/** What loading complained of; fails if it did not. */
export function problemsOf(load: () => unknown): readonly ConfigProblem[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('the config was accepted');
}

/** The smallest config there is: three lines. */
export const oneModel = 'llm_configs:\n  - model_loading_config: {model_id: m}\n    llm_engine: fake\n';
