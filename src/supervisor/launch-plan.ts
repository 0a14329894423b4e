import type { Autoscaling, Config, ModelConfig, StaticUpstream } from '../config/config.ts';
import { entriesOf } from '../models/cache.ts';
import type { ModelName } from '../core/ids.ts';
import { commandLineOf, placeholders } from './command-line.ts';
import type { GpuDevice } from './gpus/devices.ts';
import type { GpuSurvey } from './gpus/ledger.ts';
import { place } from './gpus/place.ts';
import type { GpuHold, GpuPool, GpuRequest, Placement } from './gpus/place.ts';
import { gpuEnvironment } from './gpus/visible.ts';
import { lowestFree } from './plan.ts';
import type { Executable } from './providers/executable.ts';
import { engineEnvironment, inheritedNames } from './providers/environment.ts';
import { redactedArguments } from './redact.ts';
import { replicaName } from './replica-id.ts';
import { gpuRequest, wantedReplicas } from './replica-plan.ts';
import type { ReplicaPlan } from './replica-plan.ts';

/** GPUs by the driver's number, or by id where they are MIG instances. */
export type PlannedGpus =
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; readonly labels: readonly string[] }
  /** `after-drain`: there is room only once replicas that run now have gone. */
  | { readonly kind: 'placed'; readonly labels: readonly string[]; readonly when: 'now' | 'after-drain' }
  /** `possible`: the machine has enough for it, but others of the config hold them. */
  | { readonly kind: 'unplaced'; readonly reason: string; readonly possible: boolean };

interface Named {
  /** E.g. `smollm2-135m-0`. */
  readonly replica: string;
  readonly model: ModelName;
  readonly index: number;
  readonly engine: string;
}

/** A replica as it would be started, or as it runs on. */
export type PlannedReplica =
  | (Named & {
      readonly kind: 'process';
      readonly running: boolean;
      /** Started by the first request; its GPUs are found then. */
      readonly asleep: boolean;
      readonly source: ModelConfig['source'];
      /** The directory that a source is brought to: each version of it has one below, whose name only the store can tell. */
      readonly files?: string;
      /** `<port>`, `<inner port>` and `<key>` stand for what each run gets anew, `[redacted]` for a secret. */
      readonly argv: readonly string[];
      /** Why its executable cannot be started here. */
      readonly missing: string | undefined;
      /** Names only: values may be secrets. `set`: by the config, the engine's plugin and the gateway; `inherited`: the gateway's own. */
      readonly environment: { readonly set: readonly string[]; readonly inherited: readonly string[] };
      readonly gpus: PlannedGpus;
    })
  /** Run by others. */
  | (Named & { readonly kind: 'upstream'; readonly running: boolean; readonly url: string });

/** What the machine has, and who would have it. */
export interface PlannedDevice {
  readonly label: string;
  readonly name: string;
  readonly memoryBytes: number;
  readonly holders: readonly string[];
  readonly quarantined: string | undefined;
}

export interface LaunchPlan {
  /** Of which each process gets a free one, on 127.0.0.1. */
  readonly ports: { readonly first: number; readonly last: number };
  readonly stateDir: string;
  readonly gpus: readonly PlannedDevice[];
  /** The numbers of all cards there are, also of those that the gateway may not give. */
  readonly cards: readonly number[];
  /** Why the GPUs could not all be read. */
  readonly gpuProblem: string | undefined;
  /** In the order of the config. */
  readonly replicas: readonly PlannedReplica[];
  /** The models whose number of replicas follows their load from there on. */
  readonly scaling: readonly { readonly model: ModelName; readonly rule: Autoscaling }[];
  /** Those that run now and would not go on. */
  readonly leaving: readonly { readonly replica: string; readonly model: ModelName; readonly gpus: readonly string[] }[];
}

/** A replica that a gateway runs. */
export interface StandingReplica {
  readonly model: ModelName;
  readonly index: number;
  readonly fingerprint: string;
  /** Ends, whatever is planned. */
  readonly leaving: boolean;
}

export interface LaunchInput {
  readonly config: Pick<Config, 'enginePorts' | 'stateDir' | 'cache'>;
  readonly plans: readonly ReplicaPlan[];
  /** By model. */
  readonly executables: ReadonlyMap<ModelName, Executable>;
  /** The gateway's own environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly gpus: GpuSurvey;
  /** None where no gateway runs. */
  readonly standing: readonly StandingReplica[];
}

interface Wanted {
  readonly plan: ReplicaPlan;
  readonly index: number;
  readonly name: string;
  readonly running: boolean;
  readonly asleep: boolean;
  readonly upstream: StaticUpstream | undefined;
}

function wantedOf(plan: ReplicaPlan, standing: readonly StandingReplica[]): readonly Wanted[] {
  const replicas = wantedReplicas(plan);
  const own = standing.filter(({ model }) => model === plan.model.name);
  const kept = own
    .filter((replica) => replica.fingerprint === plan.fingerprint && !replica.leaving)
    .map(({ index }) => index)
    .sort((a, b) => a - b)
    .slice(0, replicas);
  // Of a model that sleeps the one is shown that would be started.
  const asleep = replicas === 0 && plan.model.autoscaling !== undefined;
  const fresh = lowestFree(asleep ? 1 : replicas - kept.length, new Set(own.map(({ index }) => index)));
  const { upstreams } = plan.model;
  return [...kept, ...fresh].map((index, at) => {
    const running = at < kept.length;
    return { plan, index, name: replicaName(plan.model.name, index), running, asleep, upstream: upstreams[at] };
  });
}

interface Placed {
  readonly placement: Placement;
  readonly when: 'now' | 'after-drain';
}

const holdsOf = (placements: readonly Placement[]): readonly GpuHold[] =>
  placements.flatMap((placement) =>
    placement.kind === 'pending'
      ? []
      : placement.devices.map(({ id }) => ({ holder: placement.request.holder, device: id, share: placement.request.share })),
  );

/** Beside what runs where there is room, and else in its place: a changed model is replaced one replica at a time. */
function placeFresh(requests: readonly GpuRequest[], pool: GpuPool, holds: readonly GpuHold[], going: Going): readonly Placed[] {
  const without = (names: ReadonlySet<string>): readonly GpuHold[] => holds.filter(({ holder }) => !names.has(holder));
  const beside = place(requests, pool, without(going.first));
  const placed = beside.filter(({ kind }) => kind === 'placed');
  const crowded = beside.filter(({ kind }) => kind === 'pending').map(({ request }) => request);
  const replacing = place(crowded, pool, [...without(new Set([...going.first, ...going.later])), ...holdsOf(placed)]);
  return [
    ...placed.map((placement): Placed => ({ placement, when: 'now' })),
    ...replacing.map((placement): Placed => ({ placement, when: 'after-drain' })),
  ];
}

const labelOf = (device: GpuDevice): string => (device.partition ? device.id : String(device.index));

function gpusOf(placed: Placed | undefined, held: readonly GpuDevice[]): PlannedGpus {
  if (placed === undefined) return held.length === 0 ? { kind: 'none' } : { kind: 'held', labels: held.map(labelOf) };
  const { placement, when } = placed;
  if (placement.kind === 'pending') return { kind: 'unplaced', reason: placement.reason, possible: placement.possible };
  if (placement.devices.length === 0) return { kind: 'none' };
  return { kind: 'placed', labels: placement.devices.map(labelOf), when };
}

function environmentOf(
  { plan: { model }, name }: Wanted,
  engineEnv: Readonly<Record<string, string>>,
  devices: readonly GpuDevice[],
  inheritable: readonly string[],
): { readonly set: readonly string[]; readonly inherited: readonly string[] } {
  const set = Object.keys(engineEnvironment({}, model.env, { ...engineEnv, ...gpuEnvironment(devices) }, name)).sort();
  return { set, inherited: inheritable.filter((key) => !set.includes(key)) };
}

/** What is the same for all replicas. */
interface Shared {
  readonly executables: LaunchInput['executables'];
  readonly inheritable: readonly string[];
  readonly cacheDir: string;
}

function described(
  wanted: Wanted,
  placed: Placed | undefined,
  held: readonly GpuDevice[],
  { executables, inheritable, cacheDir }: Shared,
): PlannedReplica {
  const { plan, index, name, running, asleep, upstream } = wanted;
  const { model, engine, command } = plan;
  const named: Named = { replica: name, model: model.name, index, engine: model.engine };
  if (upstream !== undefined) return { kind: 'upstream', ...named, running, url: upstream.url };
  let line: ReturnType<typeof commandLineOf> | undefined;
  // Only where somebody looks at it: a check of a thousand models does not.
  const commandLine = (): ReturnType<typeof commandLineOf> => (line ??= commandLineOf(model, engine, placeholders));
  const executable = executables.get(model.name);
  const [first, ...leading] = command;
  const devices = placed?.placement.kind === 'placed' ? placed.placement.devices : held;
  return {
    kind: 'process',
    ...named,
    running,
    asleep,
    source: model.source,
    ...(model.source.kind === 'remote' ? { files: entriesOf(cacheDir, model.source.value) } : {}),
    get argv() {
      const file = executable?.kind === 'found' ? executable.file : first;
      return redactedArguments([file, ...leading, ...commandLine().args], model.env);
    },
    missing: executable?.kind === 'missing' ? executable.reason : undefined,
    get environment() {
      return environmentOf(wanted, commandLine().env, devices, inheritable);
    },
    gpus: gpusOf(placed, held),
  };
}

interface Going {
  /** At once: nothing takes their place. */
  readonly first: ReadonlySet<string>;
  /** A changed model's replicas serve until those that replace them do. */
  readonly later: ReadonlySet<string>;
}

function goingOf(going: readonly StandingReplica[], plans: readonly ReplicaPlan[]): Going {
  const left = new Set(going.map(({ model }) => model));
  // Only of those that have replicas to replace: a fingerprint is made when it is looked at, and costs more than all else of a plan.
  const replaced = plans.filter(({ model }) => left.has(model.name));
  const fingerprints = new Map(replaced.map(({ model, fingerprint }) => [model.name, fingerprint]));
  const isReplaced = ({ model, fingerprint, leaving }: StandingReplica): boolean =>
    !leaving && fingerprints.has(model) && fingerprints.get(model) !== fingerprint;
  const names = (replicas: readonly StandingReplica[]): ReadonlySet<string> =>
    new Set(replicas.map(({ model, index }) => replicaName(model, index)));
  return { first: names(going.filter((replica) => !isReplaced(replica))), later: names(going.filter(isReplaced)) };
}

/** What starting `plans` would come to, or changing to them where a gateway runs; the end of it, not the steps. */
export function planLaunch(input: LaunchInput): LaunchPlan {
  const { config, plans, gpus, standing } = input;
  const { pool, holds, devices } = gpus;
  const wanted = plans.flatMap((plan) => wantedOf(plan, standing));
  const kept = new Set(wanted.filter(({ running }) => running).map(({ name }) => name));
  const leaving = standing.filter(({ model, index }) => !kept.has(replicaName(model, index)));
  const going = goingOf(leaving, plans);
  const fresh = wanted.filter(({ running, asleep, upstream }) => !running && !asleep && upstream === undefined);
  const requests = fresh.map(({ plan, index }) => gpuRequest(index, plan));
  const placed = placeFresh(requests, pool, holds, going);
  const byName = new Map(placed.map((each) => [each.placement.request.holder, each]));
  const held = (holder: string): readonly GpuDevice[] =>
    devices.filter(({ id }) => holds.some((hold) => hold.holder === holder && hold.device === id));
  const staying = holds.filter(({ holder }) => !going.first.has(holder) && !going.later.has(holder));
  const { first, count } = config.enginePorts;
  const shared = { executables: input.executables, inheritable: inheritedNames(input.env).toSorted(), cacheDir: config.cache.dir };
  return {
    ports: { first, last: first + count - 1 },
    stateDir: config.stateDir,
    gpus: describedDevices(pool, [...staying, ...holdsOf(placed.map(({ placement }) => placement))]),
    cards: [...new Set(devices.map(({ index }) => index))],
    gpuProblem: gpus.problem,
    replicas: wanted.map((each) => described(each, byName.get(each.name), held(each.name), shared)),
    scaling: plans.flatMap(({ model: { name, autoscaling } }) => (autoscaling === undefined ? [] : [{ model: name, rule: autoscaling }])),
    leaving: leaving.map(({ model, index }) => {
      const replica = replicaName(model, index);
      return { replica, model, gpus: held(replica).map(labelOf) };
    }),
  };
}

function describedDevices(pool: GpuPool, holds: readonly GpuHold[]): readonly PlannedDevice[] {
  return pool.devices.map((device) => ({
    label: labelOf(device),
    name: device.name,
    memoryBytes: device.memoryBytes,
    holders: holds.filter(({ device: id }) => id === device.id).map(({ holder }) => holder),
    quarantined: pool.quarantined.get(device.id),
  }));
}
