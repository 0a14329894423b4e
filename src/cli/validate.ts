import type { Command } from 'commander';
import { neverPlaced, planOffline, withoutGpus, withoutPrograms } from '../app/offline-plan.ts';
import { ConfigError, type ConfigProblem, formatProblem } from '../config/problems.ts';
import { machineGpus } from '../supervisor/gpus/machine.ts';
import { exitCode } from './exit-code.ts';
import { interruptible } from './interruptible.ts';
import { loadCheckedConfigHere } from './load-config.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface Validity {
  readonly valid: true;
  /** The files, as given. */
  readonly config: readonly string[];
  /** `file:line:column: …` of what is accepted and has no effect, or could not be checked. */
  readonly warnings: readonly string[];
}

/** As `--json` prints it. */
interface Invalidity {
  readonly valid: false;
  readonly config: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

function inWords({ config, warnings }: Validity): string {
  return [
    ...warnings.map((warning) => `warning: ${warning}`),
    `${config.join(', ')} ${config.length === 1 ? 'is' : 'are together'} valid.`,
    '',
  ].join('\n');
}

export function addValidate(program: Command, run: Run): void {
  const command = program
    .command('validate')
    .description('check a config file, also against the installed engines and the GPUs, and list what in it has no effect')
    .requiredOption('-c, --config <file...>', 'the config file (YAML), or several that are joined')
    .addHelpText(
      'after',
      `\nWith --json what is wrong is part of the answer, each with its file, line and column.\n\nExample:\n  gateway validate -c configs/fake.yaml\n\nExit codes: 0 valid, 4 not valid.`,
    );
  withOutput(command).action(({ config, ...output }: { config: readonly string[] } & OutputOptions) =>
    run(() =>
      interruptible(async (signal) => {
        try {
          print(output, await validityOf(config, signal), inWords);
          return exitCode.ok;
        } catch (error) {
          if (output.json !== true || !(error instanceof ConfigError)) throw error;
          print<Invalidity>(output, { valid: false, config, problems: error.problems }, () => error.message);
          return exitCode.configInvalid;
        }
      }),
    ),
  );
}

/** @throws ConfigError; the signal's reason */
async function validityOf(config: readonly string[], signal: AbortSignal): Promise<Validity> {
  const loaded = await loadCheckedConfigHere(config, signal);
  const deps = { engines: loaded.engines, probe: machineGpus(process.env), env: process.env };
  const launch = await planOffline(loaded.config, deps, signal);
  const never = neverPlaced(loaded, launch);
  if (never.length > 0) throw new ConfigError(never);
  const warnings = [...loaded.warnings, ...withoutPrograms(loaded, launch, loaded.warnings), ...withoutGpus(loaded, launch)];
  return { valid: true, config, warnings: warnings.map(formatProblem) };
}
