import type { CommandLine, Launch } from '../engine-plugin.ts';
import { toArgs } from '../python-args.ts';
import type { ArgumentStyle } from '../python-args.ts';
import { negatable } from './option-names.ts';
import { toServedName } from './served-name.ts';

const style: ArgumentStyle = { negatable: (name) => negatable.has(name), jsonLists: new Set(), repeated: new Set() };

/**
 * Flags checked against the `--help` of SGLang 0.5.17. The key is on the command line because SGLang reads it nowhere else.
 * @param values all options, by SGLang's names.
 * @param givesPort whether the port of its group of workers is given, or SGLang looks for one.
 */
export function command(values: ReadonlyMap<string, unknown>, givesPort: boolean, launch: Launch): CommandLine {
  return {
    args: [
      'serve',
      '--model-path',
      launch.model.value,
      '--host',
      '127.0.0.1',
      '--port',
      String(launch.port),
      ...(givesPort ? ['--nccl-port', String(launch.innerPort)] : []),
      '--served-model-name',
      toServedName(launch.servedName),
      '--api-key',
      launch.apiKey,
      '--enable-metrics',
      ...[...values].flatMap(([name, value]) => toArgs(name, value, style)),
    ],
    env: { DO_NOT_TRACK: '1', HF_HUB_DISABLE_TELEMETRY: '1', PYTHONUNBUFFERED: '1' },
  };
}
