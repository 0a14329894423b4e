import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../src/core/errors.ts';
import { run } from '../child.mjs';
import { unpackPackages } from './apt.ts';
import { findLoader } from './loader.ts';
import { onPath, type Machine } from './machine.ts';

/** A Python with a pip. */
export interface Python {
  /** Absolute path, where it stays on the machine; undefined for one that goes away with the stage. */
  readonly executable: string | undefined;
  readonly version: { readonly major: number; readonly minor: number };
  run(args: readonly string[]): Promise<string>;
  pip(args: readonly string[]): Promise<string>;
}

interface Interpreter {
  readonly command: string;
  readonly lead: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly lasting: boolean;
}

interface Search {
  readonly machine: Machine;
  readonly env: NodeJS.ProcessEnv;
  /** A directory for what must be fetched; it must outlive the Python returned. */
  readonly stage: string;
  readonly signal: AbortSignal;
}

const names = ['python3', 'python', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10'];
const aboutShape = z.object({ executable: z.string(), major: z.literal(3), minor: z.number() });
const aboutScript =
  'import sys, json; print(json.dumps({"executable": sys.executable or "", "major": sys.version_info[0], "minor": sys.version_info[1]}))';
const systemCertificates = '/etc/ssl/certs/ca-certificates.crt';

/**
 * The machine's Python with its pip; else its Python with Debian's or Ubuntu's pip, or both from there, fetched by apt and not installed.
 * @throws naming every way tried and why it failed
 */
export async function findPython(search: Search): Promise<Python> {
  const failures: string[] = [];
  const bare: Interpreter[] = [];
  for (const name of names) {
    const file = onPath(name, search.env);
    if (file !== undefined) {
      const interpreter: Interpreter = { command: file, lead: [], env: search.env, lasting: true };
      try {
        const python = await describe(interpreter, ['-m', 'pip'], search.signal);
        bare.push(interpreter);
        await python.pip(['--version']);
        return python;
      } catch (thrown) {
        if (search.signal.aborted) throw thrown;
        failures.push(messageOf(thrown));
      }
    }
  }
  if (failures.length === 0) failures.push('no Python on PATH');
  if (!search.machine.apt) throw new Error(`${failures.join('; ')}; and there is no apt-get to fetch one`);
  try {
    return await fromApt(search, bare[0]);
  } catch (thrown) {
    if (search.signal.aborted) throw thrown;
    throw new Error(`${failures.join('; ')}; by apt-get: ${messageOf(thrown)}`, { cause: thrown });
  }
}

async function describe(interpreter: Interpreter, pip: readonly string[], signal: AbortSignal): Promise<Python> {
  // A set-up does not install: what a user demands of installs does not apply.
  const env = { ...interpreter.env, PIP_REQUIRE_VIRTUALENV: '0' };
  const runPython = (args: readonly string[]): Promise<string> => run(interpreter.command, [...interpreter.lead, ...args], { env, signal });
  const said = await runPython(['-c', aboutScript]);
  const about = aboutShape.parse(JSON.parse(said.trim().split('\n').at(-1) ?? ''));
  return {
    executable: interpreter.lasting && about.executable !== '' ? about.executable : undefined,
    version: { major: about.major, minor: about.minor },
    run: runPython,
    pip: (args) => runPython([...pip, '--disable-pip-version-check', '--no-input', ...args]),
  };
}

/** Debian and Ubuntu ship pip apart from Python, as a wheel that Python can run as it is. */
async function fromApt(search: Search, own: Interpreter | undefined): Promise<Python> {
  const directory = join(search.stage, 'python');
  mkdirSync(directory);
  const packages = own === undefined ? ['python3', 'python3-pip-whl', 'ca-certificates'] : ['python3-pip-whl', 'ca-certificates'];
  const { root } = await unpackPackages({ kind: 'machine' }, packages, directory, search.signal);
  const wheels = join(root, 'usr', 'share', 'python-wheels');
  const wheel = existsSync(wheels) ? readdirSync(wheels).find((name) => /^pip-.*\.whl$/.test(name)) : undefined;
  if (wheel === undefined) throw new Error('the package python3-pip-whl has no pip wheel');
  const env = { ...search.env, ...certificates(root, directory, search.env) };
  const interpreter = own === undefined ? unpackedPython(root, env) : { ...own, env };
  return await describe(interpreter, [join(wheels, wheel, 'pip')], search.signal);
}

function unpackedPython(root: string, env: NodeJS.ProcessEnv): Interpreter {
  const loader = findLoader(root);
  const libraries = loader.libraries.map((directory) => join(root, directory)).join(':');
  return {
    command: join(root, loader.program),
    lead: ['--library-path', libraries, join(root, 'usr', 'bin', 'python3')],
    env: { ...env, PYTHONHOME: join(root, 'usr') },
    lasting: false,
  };
}

/** Debian's pip trusts the system's certificates; where there are none, those of the package are put together for it. */
function certificates(root: string, directory: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (existsSync(systemCertificates) || env['PIP_CERT'] !== undefined) return {};
  const shipped = join(root, 'usr', 'share', 'ca-certificates', 'mozilla');
  const bundle = join(directory, 'certificates.pem');
  writeFileSync(
    bundle,
    readdirSync(shipped)
      .map((name) => readFileSync(join(shipped, name), 'utf8'))
      .join('\n'),
  );
  return { PIP_CERT: bundle };
}
