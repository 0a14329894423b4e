import { olderThan } from '../../plugins/engine-version.ts';
import { type Check, failure, gib, ok, warning } from './check.ts';
import { engineChecks } from './engine-verdicts.ts';
import type { ConfigFact, DirectoryFact, Facts, GatewayFact, GpuFact, PortFact } from './facts.ts';

const mebibyte = 1_048_576;
const gibibyte = 1024 * mebibyte;
/** Logs of engines that complain fill this in minutes. */
const leastState = 100 * mebibyte;
const scantState = gibibyte;
/** Weights of a model of 8 billion parameters in 16 bits. */
const scantCache = 16 * gibibyte;
/** Descriptors beside those of connections: engines' pipes and logs, listeners, workers. */
const ownFiles = 512;

/** All the doctor has to say, in the order in which a person would ask. */
export function verdicts(facts: Facts): readonly Check[] {
  return [
    nodeCheck(facts.node),
    ...configCheck(facts.config),
    ...engineChecks(facts.engines),
    ...gpuChecks(facts.gpus, facts.gpuNeeds),
    openFilesCheck(facts),
    ...facts.directories.flatMap(directoryChecks),
    gatewayCheck(facts.gateway),
    ...facts.ports.map(portCheck),
    facts.proc
      ? ok('/proc', 'is there')
      : warning(
          '/proc',
          'is not there: it cannot be checked who listens on an engine’s port, and engines of a gateway that died are not found',
          'Run the gateway on Linux, with /proc mounted.',
        ),
  ];
}

function nodeCheck({ version, oldest }: Facts['node']): Check {
  return olderThan(version, oldest) === true
    ? failure('node', `${version}; at least ${oldest} is needed`, `Install Node.js ${oldest} or newer.`)
    : ok('node', version);
}

function configCheck(config: ConfigFact): readonly Check[] {
  switch (config.kind) {
    case 'none':
      return [];
    case 'valid':
      return [ok('config', `${config.files} is valid${config.warnings === 0 ? '' : ` (${config.warnings} warnings: gateway validate)`}`)];
    case 'invalid':
      return [failure('config', config.message, 'Mend the config; the checks below are for one without any settings.')];
  }
}

function gpuChecks(gpus: GpuFact, needs: Facts['gpuNeeds']): readonly Check[] {
  if (gpus.kind === 'broken')
    return [failure('gpus', gpus.message, 'Run the driver’s tool by hand; a reboot or a new driver may be needed.')];
  const { devices, lost, driver } = gpus;
  const most = needs.toSorted((a, b) => b.gpus - a.gpus)[0];
  const listed = devices.map(({ name, memoryBytes }) => (memoryBytes > 0 ? `${name} (${gib(memoryBytes)})` : name)).join(', ');
  const found = devices.length === 0 ? 'none' : `${listed}${driver === undefined ? '' : `; driver ${driver}`}`;
  const short = most !== undefined && most.gpus > devices.length;
  return [
    short
      ? failure(
          'gpus',
          `${found}; a replica of ${most.model} needs ${most.gpus}`,
          devices.length === 0
            ? 'Install the GPU’s driver with its tool (nvidia-smi or rocm-smi), or run the model on a CPU build with `gateway: {gpus: 0}`.'
            : 'Lower its parallel sizes, or run it on a machine with more GPUs.',
        )
      : ok('gpus', found),
    ...lost.map(({ key, reason }) =>
      warning('gpus', `${key}: ${reason}`, 'Reset the card or reboot; the gateway does not use it meanwhile.'),
    ),
  ];
}

function openFilesCheck({ openFiles, maxConnections }: Facts): Check {
  if (openFiles === undefined) return warning('open files', 'the limit cannot be read', 'See `ulimit -n` and `ulimit -Hn`.');
  // A connection of a client, and one to its engine.
  const wanted = 2 * maxConnections + ownFiles;
  const shown = `soft limit ${openFiles.soft}, hard limit ${openFiles.hard}`.replaceAll('Infinity', 'unlimited');
  if (openFiles.soft >= wanted) return ok('open files', shown);
  const why = `${shown}; ${maxConnections} connections (gateway.limits.max_connections) may need ${wanted}`;
  return warning('open files', why, `Raise it (\`ulimit -n ${wanted}\`, LimitNOFILE= of a systemd unit), or allow fewer connections.`);
}

function directoryChecks({ purpose, path, mode, writable, freeBytes }: DirectoryFact): readonly Check[] {
  const name = `${purpose} directory`;
  const key = purpose === 'state' ? 'gateway.state_dir' : 'XDG_CACHE_HOME';
  const checks: Check[] = [];
  if (!writable) checks.push(failure(name, `${path} cannot be written`, `Give this user the right to write there, or set ${key}.`));
  if (purpose === 'state' && mode !== undefined && (mode & 0o077) !== 0)
    checks.push(
      warning(
        name,
        `${path} is open to other users (mode ${mode.toString(8).padStart(3, '0')}); logs may hold prompts`,
        `chmod 700 ${path}`,
      ),
    );
  const free = `${path}: ${gib(freeBytes)} free`;
  if (purpose === 'state' && freeBytes < leastState) checks.push(failure(name, free, `Free some space, or set ${key}.`));
  else if (freeBytes < (purpose === 'state' ? scantState : scantCache))
    checks.push(warning(name, `${free}${purpose === 'cache' ? '; downloaded models go there' : ''}`, `Free some space, or set ${key}.`));
  return checks.length > 0 ? checks : [ok(name, free)];
}

function gatewayCheck(gateway: GatewayFact): Check {
  switch (gateway.kind) {
    case 'none':
      return ok('gateway', 'none runs on this state directory');
    case 'running':
      return ok('gateway', `runs already, pid ${gateway.pid}, ${gateway.config}`);
    case 'silent':
      return failure('gateway', `one seems to run and does not answer: ${gateway.message}`, 'Look at its log, and stop it.');
  }
}

function portCheck({ key, address, use }: PortFact): Check {
  const name = `port ${address}`;
  switch (use.kind) {
    case 'free':
      return ok(name, `free (${key})`);
    case 'ours':
      return ok(name, `the running gateway listens there (${key})`);
    case 'problem':
      return failure(name, use.message, `ss -ltnp shows what uses it; or set ${key}.`);
  }
}
