import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GatewayError, messageOf } from '../../src/core/errors.ts';
import { run } from '../child.mjs';
import type { Tools } from '../engines/python-engine.ts';
import { findPython } from '../kit/python.ts';
import { step } from '../say.mjs';

/** Clients from PyPI, and a fuzzer of OpenAPI documents: every package with its version, none left for pip to choose. */
const requirements = join(import.meta.dirname, 'requirements.txt');

/**
 * A Python that has them, in the cache. Runs nothing if it is there. Aborting leaves an installation that the next call begins anew.
 * @returns path of the Python
 * @throws GatewayError `artifact_unavailable`
 */
export async function pythonClients(tools: Tools): Promise<string> {
  const identity = createHash('sha256').update(readFileSync(requirements)).digest('hex');
  const directory = join(tools.cache, `clients-${identity.slice(0, 12)}`);
  const python = join(directory, 'bin', 'python');
  const stamp = join(directory, 'complete');
  if (existsSync(stamp)) return python;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  try {
    await step(
      'clients from PyPI',
      () => install(directory, python, tools),
      () => 'installed',
    );
  } catch (thrown) {
    if (tools.signal.aborted) throw thrown;
    throw new GatewayError('artifact_unavailable', `The clients from PyPI could not be installed: ${messageOf(thrown)}`, { cause: thrown });
  }
  writeFileSync(stamp, identity);
  return python;
}

async function install(directory: string, python: string, { machine, env, signal }: Tools): Promise<void> {
  const own = await findPython({ machine, env, stage: directory, signal });
  const { major, minor } = own.version;
  if (minor < 11) throw new Error(`Python 3.11 or newer is needed, and this is ${major}.${minor}`);
  await own.run(['-m', 'venv', directory]);
  const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', 'install', '--quiet'];
  await run(python, [...pip, '--no-deps', '--only-binary=:all:', '--requirement', requirements], { env, signal });
}
