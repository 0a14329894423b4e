import { delimiter, dirname, join } from 'node:path';
import { GatewayError } from '../src/core/errors.ts';
import { relay } from './child.mjs';
import { runClientTests } from './client-test-run.ts';
import { runEngineTests } from './engine-test-run.ts';
import { interruptible } from './interrupt.mjs';
import { ensureKit } from './kit/kit.ts';
import { runTests } from './test-run.ts';

const verbs = ['start', 'gateway', 'test', 'test-engines', 'test-clients', 'bench', 'soak'] as const;
type Verb = (typeof verbs)[number];

/**
 * Carries out one verb; Node 24 and the packages are there.
 *
 * @param root the clone
 * @param argv the verb and its arguments
 * @returns exit code
 */
export async function main(root: string, argv: readonly string[]): Promise<number> {
  const [verb, ...args] = argv;
  if (!isVerb(verb)) {
    console.error(`setup: ${verb === undefined ? 'no verb' : `unknown verb '${verb}'`}; expected one of ${verbs.join(', ')}`);
    return 2;
  }
  putNodeFirst(process.env);
  // Hundreds of processes of a test run load the same modules; and all that is made for a clone stays in it.
  process.env['NODE_COMPILE_CACHE'] ??= join(root, '.toolchain', 'compiled');
  try {
    return await carryOut(verb, root, args);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    console.error(`setup: ${thrown.message}`);
    return 1;
  }
}

async function carryOut(verb: Verb, root: string, args: readonly string[]): Promise<number> {
  switch (verb) {
    case 'start':
      await interruptible((signal) => ensureKit(root, process.env, signal));
      return await gateway(['start', '-c', join(root, 'configs', 'quickstart.yaml'), ...args]);
    case 'gateway':
      return await gateway(args);
    case 'test':
      return await runTests(root, args, process.env);
    case 'test-engines':
      return await runEngineTests(root, args, process.env);
    case 'test-clients':
      return await runClientTests(root, args, process.env);
    case 'bench':
      return await relay(process.execPath, [join(root, 'bench', 'run.ts'), ...args]);
    case 'soak':
      return await relay(process.execPath, [join(root, 'bench', 'soak', 'run.ts'), ...args]);
  }
}

function isVerb(word: string | undefined): word is Verb {
  return verbs.some((verb) => verb === word);
}

/** What is started from here and asks for `node` must get this one, not the machine's older one. */
function putNodeFirst(env: NodeJS.ProcessEnv): void {
  env['PATH'] = [dirname(process.execPath), env['PATH']].filter((part) => part !== undefined && part !== '').join(delimiter);
}

/** Runs in this process: one less to pass signals through and to wait for. */
async function gateway(args: readonly string[]): Promise<number> {
  // Paths in arguments are meant from where the user stands; npm moves to the clone.
  const standsIn = process.env['INIT_CWD'];
  if (standsIn !== undefined) process.chdir(standsIn);
  const { main: runGateway } = await import('../src/main.ts');
  return await runGateway(args);
}
