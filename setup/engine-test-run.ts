import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { relay, run } from './child.mjs';
import { installPythonEngine, pythonEngines, type Tools } from './engines/python-engine.ts';
import { interruptible } from './interrupt.mjs';
import { ensureKit } from './kit/kit.ts';
import { describeMachine } from './kit/machine.ts';
import { step } from './say.mjs';
import { publish, sweep, withStage } from './staging.mjs';

/**
 * An engine takes a minute or two to start on a CPU, and is started three times: 3 and 7 minutes on two cores that others use a little, and
 * three times that where they are very busy.
 */
const testLimitMs = 1_500_000;

/**
 * Installs the engines that are written in Python and runs the tests on them. What is installed is kept outside the clone, in
 * `$XDG_CACHE_HOME/roundhouse`.
 * @returns exit code; 0 with a loud line for each engine that found no room
 * @throws GatewayError `engine_missing`, `artifact_unavailable`
 */
export async function runEngineTests(root: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  process.chdir(root);
  const found = await interruptible((signal) => findEngines(root, env, signal));
  for (const reason of found.leftOut) console.error(`setup: LEFT OUT, for want of disk: ${reason}`);
  if (Object.keys(found.env).length === 0) return 0;
  const runner = ['--test', '--test-concurrency=1', `--test-timeout=${testLimitMs}`, '--test-reporter=spec'];
  const files = args.length === 0 ? ['test/engines/*.engine-test.ts'] : args;
  return await relay(process.execPath, [...runner, ...files], { env: { ...env, ...found.env } });
}

interface Found {
  /** Tells the tests where the engines and their model are. */
  readonly env: NodeJS.ProcessEnv;
  readonly leftOut: readonly string[];
}

async function findEngines(root: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Found> {
  const kit = await ensureKit(root, env, signal);
  const cache = join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'roundhouse');
  const tools: Tools = { machine: describeMachine(env), env, cache, signal };
  const places: NodeJS.ProcessEnv = {};
  const leftOut: string[] = [];
  for (const engine of pythonEngines) {
    const installed = await installPythonEngine(engine, tools);
    if (installed.kind === 'left-out') {
      leftOut.push(installed.reason);
      continue;
    }
    places[`ROUNDHOUSE_TEST_${engine.name.toUpperCase()}`] = installed.executable;
    // The converter is in the requirements of the first one alone.
    places['ROUNDHOUSE_TEST_HF_MODEL'] ??= await hfModel(kit.model, installed.python, root, tools);
  }
  return { env: places, leftOut };
}

/** The quickstart's model as those engines load it, made once. */
async function hfModel(gguf: string, python: string, root: string, { cache, env, signal }: Tools): Promise<string> {
  const script = join(root, 'setup', 'engines', 'hf_model.py');
  const revision = createHash('sha256').update(readFileSync(script)).digest('hex').slice(0, 12);
  const target = join(cache, 'models', `smollm2-135m-instruct-${revision}`);
  if (existsSync(target)) return target;
  sweep(join(cache, 'models'));
  await withStage(join(cache, 'models'), async (stage) => {
    const work = async (): Promise<string> => await run(python, [script, gguf, join(stage, 'model')], { env, signal });
    await step('SmolLM2-135M-Instruct as safetensors', work, () => 'converted');
    publish(join(stage, 'model'), target);
  });
  return target;
}
