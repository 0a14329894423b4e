import { securityWarning } from '../../plugins/engine-version.ts';
import { type Check, failure, ok, warning } from './check.ts';
import type { EngineFact } from './facts.ts';

/** A line for each engine that the config needs or that is installed; and one where there is none at all. */
export function engineChecks(engines: readonly EngineFact[]): readonly Check[] {
  const checks = engines.flatMap((engine) => engineCheck(engine) ?? []);
  const real = engines.filter(({ found }) => found.kind !== 'built-in');
  if (real.length === 0 || real.some(({ needed, found }) => needed || found.kind !== 'missing')) return checks;
  const names = real.map(({ command }) => command).join(', ');
  return [...checks, warning('engines', `none is installed: ${names} not on PATH`, real.map(({ install }) => install).join('\n'))];
}

function engineCheck({ engine, command, needed, install, floor, found }: EngineFact): Check | undefined {
  const name = `engine ${engine}`;
  switch (found.kind) {
    case 'missing':
      // Its message ends with how to install it.
      return needed ? failure(name, found.message.replace(` ${install}`, ''), install) : undefined;
    case 'built-in':
      return needed ? ok(name, 'comes with this package') : undefined;
    case 'no-interpreter':
      return failure(
        name,
        `${found.path} is a script for ${found.interpreter}, which is not there`,
        'Its virtual environment was moved or removed: install the engine again, or name another executable in the config.',
      );
    case 'broken':
      return failure(name, `${found.path} does not run: ${found.message}`, `Run \`${command} --help\` to see why. ${install}`);
    case 'runs': {
      const python = found.python === undefined ? '' : `, ${found.python}`;
      if (found.version === undefined)
        return warning(name, `${found.path}: its version cannot be read${python}`, 'Make sure that it has the security fixes it should.');
      const unsafe = securityWarning(found.version, floor);
      if (unsafe !== undefined) return warning(name, `${found.path}: ${unsafe}${python}`, `Upgrade it to ${floor?.version} or newer.`);
      return ok(name, `${found.version} (${found.path}${python})`);
    }
  }
}
