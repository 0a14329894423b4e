import { fileURLToPath } from 'node:url';
import type { CommandLine, Launch } from '../engine-plugin.ts';
import { settingTable } from './settings.ts';
import type { Settings } from './settings.ts';

/** The engine stands beside this file, with the same extension: `.ts` from the sources, `.js` from the published package. */
const script = fileURLToPath(new URL(`./engine${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url));

/** Environment variable with the Bearer key that every route but `/health` asks for. */
export const keyVariable = 'FAKE_API_KEY';

/**
 * The arguments begin with the engine's script, because the executable is Node itself. A command of the user's own
 * (`gateway.engines.fake.command`) gets the same arguments, the script among them.
 */
export function command(given: Partial<Settings>, launch: Launch): CommandLine {
  const flags = ['--host', '127.0.0.1', '--port', String(launch.port), '--stop-grace-s', String(launch.stopGraceS)];
  if ((given.inner_ports ?? 0) > 0) flags.push('--inner-port', String(launch.innerPort));
  // Joined with `=`: the name comes from a config and might begin with a dash.
  return {
    args: [
      script,
      ...flags,
      `--served-model-name=${launch.servedName}`,
      ...(launch.adapters ?? []).map(({ path }) => `--adapter=${path}`),
      ...settingFlags(given),
    ],
    env: { [keyVariable]: launch.apiKey },
  };
}

function settingFlags(given: Partial<Settings>): string[] {
  return Object.entries(given).flatMap(([name, value]) => {
    const setting = settingTable.get(name);
    if (setting === undefined) return [];
    const dashed = `--${name.replaceAll('_', '-')}`;
    if (setting.flag === 'bare') return value === true ? [dashed] : [];
    return [`${dashed}=${setting.write(value)}`];
  });
}
