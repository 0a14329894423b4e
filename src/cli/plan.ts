import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ChangeReply, PlanReply } from '../admin/api.ts';
import { planOffline } from '../app/offline-plan.ts';
import { formatProblem } from '../config/problems.ts';
import { GatewayError } from '../core/errors.ts';
import { machineGpus } from '../supervisor/gpus/machine.ts';
import type { LaunchPlan } from '../supervisor/launch-plan.ts';
import { askAdmin } from './admin-client.ts';
import { changeText } from './change-text.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { interruptible } from './interruptible.ts';
import { loadCheckedConfigHere, loadConfigHere } from './load-config.ts';
import { launchText } from './plan-text.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

/** What a config would come to: a start, or a change of the gateway that runs on its state directory. */
type Plan =
  | { readonly kind: 'start'; readonly warnings: readonly string[]; readonly launch: LaunchPlan }
  /** The gateway may be of a version that does not tell what it would launch. */
  | ({ readonly kind: 'change'; readonly pid: number; readonly launch?: LaunchPlan } & ChangeReply);

/** Nothing is started or changed. @throws ConfigError; GatewayError that the gateway answers with; the signal's reason */
async function planOf(files: readonly string[], signal: AbortSignal): Promise<Plan> {
  const query = new URLSearchParams(files.map((file): [string, string] => ['config', resolve(file)]));
  const question = { method: 'GET', path: `/api/plan?${query.toString()}`, signal } as const;
  try {
    return { kind: 'change', ...(await askAdmin<PlanReply>((await loadConfigHere(files)).config.stateDir, question)) };
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'not_running') throw error;
  }
  const { config, engines, warnings } = await loadCheckedConfigHere(files, signal);
  const launch = await planOffline(config, { engines, probe: machineGpus(process.env), env: process.env }, signal);
  return { kind: 'start', warnings: warnings.map(formatProblem), launch };
}

function inWords(plan: Plan): string {
  if (plan.kind === 'start') {
    const warnings = plan.warnings.map((warning) => `warning: ${warning}\n`).join('');
    return `${warnings}No gateway runs on this config's state directory. A start would launch:\n${launchText(plan.launch)}`;
  }
  const heading = `A reload of the gateway that runs (pid ${plan.pid}) with this config:\n`;
  const changes = changeText(plan);
  if (plan.launch === undefined) return `${heading}${changes}The gateway is of a version that does not tell what it would launch.\n`;
  const { replicas } = plan.launch;
  const starts = new Set<string>(replicas.filter(({ running }) => !running).map(({ model }) => model));
  return `${heading}${changes}${launchText(plan.launch, (model) => starts.has(model))}`;
}

/** Prints what `start`, or a reload where a gateway runs already, would come to. */
export function plan(files: readonly string[], output: OutputOptions): Promise<ExitCode> {
  return interruptible(async (signal) => {
    print(output, await planOf(files, signal), inWords);
    return exitCode.ok;
  });
}

const help = `
Nothing is started or changed. Where no gateway runs on the config's state directory: every process that a start would launch, with its
command, the names of its environment variables (never a value), its GPUs or why it gets none, its port range and its model. Where one
runs: what a reload would do to each model - nothing, a restart and the keys that cause it, add, remove - and what it would launch. The
running gateway reads the file itself, with its own environment. <port>, <inner port> and <key> stand for what each
process gets anew.

Example:
  gateway plan -c configs/fake.yaml

Exit codes: 0 planned, 1 failure, 4 config invalid.`;

export function addPlan(program: Command, run: Run): void {
  const command = program
    .command('plan')
    .description('show what a start, or a reload of the running gateway, would do: commands, GPUs, ports')
    .requiredOption('-c, --config <file...>', 'the config file (YAML), or several that are joined')
    .addHelpText('after', help);
  withOutput(command).action(({ config, ...output }: { config: readonly string[] } & OutputOptions) => run(() => plan(config, output)));
}
