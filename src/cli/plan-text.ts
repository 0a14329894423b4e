import { ruleText } from '../autoscale/explain.ts';
import { modelPlaceholder, placeholders } from '../supervisor/command-line.ts';
import type { LaunchPlan, PlannedDevice, PlannedReplica } from '../supervisor/launch-plan.ts';
import { gpuWords } from './change-text.ts';
import { singleQuoted } from './completion/posix.ts';
import { gib } from './doctor/check.ts';
import { printable } from './printable.ts';

type PlannedProcess = Extract<PlannedReplica, { readonly kind: 'process' }>;

/** A word that a shell takes as it is. */
const plainWord = /^[\w@%+=:,./-]+$/;

/** As a shell takes it; what stands for the port and the key is left to be seen and filled in. */
function shellWord(word: string): string {
  const rest = [...Object.values(placeholders), modelPlaceholder].reduce((text, placeholder) => text.replaceAll(placeholder, ''), word);
  return plainWord.test(word) || (rest !== word && (rest === '' || plainWord.test(rest))) ? word : singleQuoted(word);
}

const indented = (label: string, text: string): string => `    ${label.padEnd(12)} ${text}`;

function processLines(processes: readonly [PlannedProcess, ...PlannedProcess[]]): string[] {
  const [{ argv, missing, environment }] = processes;
  const inherited = environment.inherited.length === 0 ? '' : `; inherited: ${environment.inherited.join(' ')}`;
  return [
    ...processes.map(
      ({ replica, running, asleep, gpus }) =>
        `  ${replica}: ${asleep ? 'started by the first request' : gpuWords(gpus)}${running ? ' (runs now, and goes on)' : ''}`,
    ),
    indented('command', argv.map(shellWord).join(' ')),
    ...(missing === undefined ? [] : [indented('missing', missing)]),
    indented('environment', `${environment.set.join(' ')}${inherited}`),
  ];
}

/** What the model is read from, and who brings it. */
function originOf({ source, files }: PlannedProcess): string {
  switch (source.kind) {
    case 'path':
      return source.value;
    case 'reference':
      return `${source.value} (resolved by the engine)`;
    case 'remote':
      return `${source.value} (brought here before it starts${files === undefined ? '' : `, below ${files}`})`;
  }
}

/** Replicas of one model: those that differ in nothing but their GPUs share the lines of their command. */
function modelLines(model: string, replicas: readonly PlannedReplica[]): string[] {
  const upstreams = replicas.filter((replica) => replica.kind === 'upstream');
  const processes = replicas.filter((replica) => replica.kind === 'process');
  const alike = Map.groupBy(processes, ({ argv, environment }) => JSON.stringify([argv, environment]));
  const engine = replicas[0]?.engine ?? '';
  const from = processes[0] === undefined ? '' : `, model ${originOf(processes[0])}`;
  return [
    '',
    `${model} on ${engine}${from}`,
    ...upstreams.map(({ replica, url }) => `  ${replica}: ${url}, run by others`),
    ...[...alike.values()].flatMap(([first, ...others]) => (first === undefined ? [] : processLines([first, ...others]))),
  ];
}

function deviceLine({ label, name, memoryBytes, holders, quarantined }: PlannedDevice): string {
  const use = quarantined === undefined ? holders.join(', ') || 'free' : `out of use: ${quarantined}`;
  return `GPU ${label}  ${name}, ${gib(memoryBytes)}  ${use}`;
}

/** Every process as it would be started, by model, and who would have which GPU. Models in which nothing changes are left out with `only`. */
export function launchText(launch: LaunchPlan, only: (model: string) => boolean = () => true): string {
  const models = [...Map.groupBy(launch.replicas, ({ model }) => model)].filter(([model]) => only(model));
  const lines = [
    ...models.flatMap(([model, replicas]) => modelLines(model, replicas)),
    ...launch.scaling.filter(({ model }) => only(model)).map(({ model, rule }, at) => `${at === 0 ? '\n' : ''}${model}: ${ruleText(rule)}`),
    ...launch.leaving.map(
      ({ replica, gpus }, at) => `${at === 0 ? '\n' : ''}${replica}: ends${gpus.length === 0 ? '' : `, frees GPU ${gpus.join(',')}`}`,
    ),
    '',
    ...(launch.gpuProblem === undefined ? [] : [`The GPUs could not all be read: ${launch.gpuProblem}`]),
    ...launch.gpus.map(deviceLine),
    `Engines get a free port each of 127.0.0.1:${launch.ports.first}-${launch.ports.last}; state directory ${launch.stateDir}`,
  ];
  return printable(lines.map((line) => `${line}\n`).join(''));
}
