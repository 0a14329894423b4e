import { realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../src/core/errors.ts';
import { relay } from './child.mjs';
import { interruptible } from './interrupt.mjs';
import { ensureKit } from './kit/kit.ts';
import { storesForTests } from './stores/stores.ts';

/** A test that hangs must not hang CI; the slowest, on a real engine, take well under a minute. A file whose tests all ended but that still holds a handle is not caught. */
const testLimitMs = 180_000;

interface Stage {
  readonly name: string;
  /** Arguments for Node. */
  readonly args: readonly string[];
}

/**
 * Format, lint, types, then the tests; stops at the first that fails. With arguments: only the test runner, with these (files, `--test-name-pattern=…`).
 *
 * @returns exit code
 * @throws GatewayError in CI, if there is no real engine to test with, or an object store could not be made ready
 */
export async function runTests(root: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  process.chdir(root);
  for (const stage of args.length === 0 ? checks(root) : []) {
    process.stderr.write(`setup: ${stage.name}\n`);
    const code = await relay(process.execPath, stage.args);
    if (code !== 0) {
      console.error(`setup: ${stage.name} failed (exit code ${code}); the stages after it were not run`);
      return code;
    }
  }
  const found = await interruptible(async (signal) => ({
    ...(await engineForTests(root, env, signal)),
    ...(await storesForTests(env, isCi(env), signal)),
  }));
  return await relay(process.execPath, testArguments(args, availableParallelism(), env['UPDATE_DOCS'] === '1'), {
    env: { ...env, ...found },
  });
}

function checks(root: string): readonly Stage[] {
  // The scripts' own first line would have the machine's Node run them.
  const tool = (name: string): string => realpathSync(join(root, 'node_modules', '.bin', name));
  return [
    { name: 'format', args: [tool('oxfmt'), '--check', '.'] },
    { name: 'lint', args: [tool('oxlint'), '--type-aware', '--deny-warnings'] },
    { name: 'type check', args: [tool('tsc'), '--noEmit'] },
  ];
}

/** The result of each row of docs/faults.md, and that page itself once all of them were run. */
const faultsReporter = [
  '--test-reporter-destination=stdout',
  '--test-reporter=./test/faults/support/reporter.ts',
  '--test-reporter-destination=stderr',
];

/** Test files side by side at least two: most of them wait for sockets and processes rather than compute. */
export function testArguments(args: readonly string[], cores: number, updateDocs: boolean): readonly string[] {
  return [
    '--disable-warning=ExperimentalWarning',
    '--test',
    `--test-concurrency=${Math.max(2, cores)}`,
    `--test-timeout=${testLimitMs}`,
    '--test-reporter=spec',
    ...(updateDocs ? faultsReporter : []),
    ...(args.length === 0 ? ['test/**/*.test.ts'] : args),
  ];
}

/** True for what CI systems set; false for `CI=`, `CI=0`, `CI=false`. */
export function isCi(env: NodeJS.ProcessEnv): boolean {
  return !['', '0', 'false'].includes((env['CI'] ?? '').toLowerCase());
}

/**
 * The environment that tells real-engine tests whether they may skip.
 * @throws GatewayError in CI, if there is no engine for them
 */
async function engineForTests(root: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<NodeJS.ProcessEnv> {
  try {
    await ensureKit(root, env, signal);
  } catch (thrown) {
    if (signal.aborted || isCi(env)) throw thrown;
    console.error(`setup: ${messageOf(thrown)}\nsetup: tests that need a real engine are skipped`);
  }
  return isCi(env) ? { ROUNDHOUSE_REQUIRE_ENGINE: '1' } : {};
}
