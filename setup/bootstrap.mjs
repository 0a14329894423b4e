import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { followParent, relay } from './child.mjs';
import { Interrupted, interruptible } from './interrupt.mjs';
import { findNode24 } from './node24.mjs';
import { ensurePackages } from './packages.mjs';

/**
 * Makes sure of Node 24 and the packages, then runs the verb under that Node: in this process if it is one, else in a child that is this
 * script again.
 * @param {readonly string[]} argv the verb and its arguments
 * @returns {Promise<number>} exit code
 */
export async function bootstrap(argv) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  followParent();
  try {
    const node = await interruptible((signal) => prepare(root, signal));
    if (node !== process.execPath) return await relay(node, nodeArguments(root, argv), { linked: true });
    const { main } = await import('./main.ts');
    return await main(root, argv);
  } catch (thrown) {
    if (thrown instanceof Interrupted) return thrown.exitCode;
    if (!(thrown instanceof SetupError)) throw thrown;
    console.error(`setup: ${thrown.message}`);
    return 1;
  }
}

/** What went wrong is the machine's or the network's, and the message says all of it. */
class SetupError extends Error {
  /** @override */
  name = 'SetupError';
}

/**
 * @param {string} root
 * @param {AbortSignal} signal
 * @returns {Promise<string>} a Node ≥ 24
 */
async function prepare(root, signal) {
  try {
    const node = await findNode24(root, signal);
    await ensurePackages(root, node, signal);
    return node;
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    throw new SetupError(thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}

/**
 * @param {string} root
 * @param {readonly string[]} argv
 */
function nodeArguments(root, argv) {
  // Node before 24.3 warns that it runs TypeScript.
  return ['--disable-warning=ExperimentalWarning', join(root, 'setup', 'run.mjs'), ...argv];
}
