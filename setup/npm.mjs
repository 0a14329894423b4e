import { copyFileSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { run } from './child.mjs';

/**
 * Finds npm's own script, which can be run by any Node.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 * @throws if there is no npm; says where it was looked for
 */
export function findNpm(env) {
  const caller = env['npm_execpath'];
  // Other package managers set it too.
  if (caller !== undefined && basename(caller) === 'npm-cli.js' && existsSync(caller)) return caller;
  for (const directory of (env['PATH'] ?? '').split(delimiter)) {
    const link = join(directory, 'npm');
    if (directory !== '' && existsSync(link)) {
      const script = realpathSync(link);
      if (basename(script) === 'npm-cli.js') return script;
      const beside = join(directory, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
      if (existsSync(beside)) return realpathSync(beside);
    }
  }
  throw new Error(`npm was not found: npm_execpath is ${caller ?? 'not set'}, and PATH has none. Install npm (it comes with Node.js).`);
}

/**
 * Installs exactly what the lockfile in `directory` says; runs no package's scripts.
 * @param {string} directory with package.json and package-lock.json
 * @param {string} node runs npm
 * @param {AbortSignal} signal
 */
export async function cleanInstall(directory, node, signal) {
  const env = { ...process.env };
  // Set by the npm that runs us, for its own folder.
  delete env['npm_config_local_prefix'];
  await run(node, [findNpm(env), 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'], {
    cwd: directory,
    env,
    signal,
  });
}

/**
 * Copies what `npm ci` needs of a project.
 * @param {string} from
 * @param {string} to made here
 */
export function copyProject(from, to) {
  mkdirSync(to);
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(from, file), join(to, file));
  if (existsSync(join(from, '.npmrc'))) copyFileSync(join(from, '.npmrc'), join(to, '.npmrc'));
}
