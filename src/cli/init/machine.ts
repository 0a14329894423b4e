import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { acceleratorOf } from '../../plugins/accelerators.ts';
import type { EnginePlugin } from '../../plugins/engine-plugin.ts';

/** The driver answers in well under a second; a hung one must not hang the wizard. */
const driverTimeoutMs = 5000;

export interface Gpu {
  /** The driver's product name. */
  readonly product: string;
  readonly memoryGib: number;
  /** Ray's name, where it has one. */
  readonly accelerator: string | undefined;
}

/** What the wizard found before it asks. */
export interface Machine {
  /** Engine name → its executable's path, or undefined where PATH has none. */
  readonly engines: ReadonlyMap<string, string | undefined>;
  readonly gpus: readonly Gpu[];
}

/** Looks for the engines' executables on PATH and asks the driver for GPUs; no driver means no GPU. */
export async function lookAround(
  engines: ReadonlyMap<string, EnginePlugin>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Machine> {
  const found = [...engines].map(([name, plugin]) => [name, findExecutable(plugin.configure({}).executable, env['PATH'] ?? '')] as const);
  return { engines: new Map(found), gpus: await askDriver(env) };
}

/** The absolute path of an executable file: `name` itself where it has a slash, else the first on PATH. */
export function findExecutable(name: string, path: string): string | undefined {
  const candidates = name.includes('/')
    ? [name]
    : path
        .split(delimiter)
        .filter((directory) => directory !== '')
        .map((directory) => join(directory, name));
  return candidates.find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

async function askDriver(env: Readonly<Record<string, string | undefined>>): Promise<readonly Gpu[]> {
  const tool = findExecutable('nvidia-smi', env['PATH'] ?? '');
  if (tool === undefined) return [];
  try {
    const { stdout } = await promisify(execFile)(tool, ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'], {
      timeout: driverTimeoutMs,
      encoding: 'utf8',
    });
    return readGpus(stdout);
  } catch {
    // A tool without a driver exits with an error: no GPU can be used.
    return [];
  }
}

/** `nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits`: a GPU a line, MiB. Other lines are not GPUs. */
export function readGpus(page: string): readonly Gpu[] {
  return page.split('\n').flatMap((line) => {
    const [, product, mebibytes] = /^\s*(.+?),\s*(\d+)\s*$/.exec(line) ?? [];
    if (product === undefined || mebibytes === undefined) return [];
    const memoryGib = Math.floor(Number(mebibytes) / 1024);
    return [{ product, memoryGib, accelerator: acceleratorOf(product, memoryGib) }];
  });
}
