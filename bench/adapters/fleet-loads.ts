import { AdapterFleet } from '../../test/support/adapter-fleet.ts';
import { clairvoyant, frequenciesKnown, twoChoicesThenLoad } from './rivals.ts';
import { zipf, type ZipfTrace } from './zipf.ts';

/** Replicas, the adapters each has room for, and in milliseconds how requests come, how long each runs and how long a load takes. */
const fleet = { replicas: 4, room: 16, everyMs: 20, serviceMs: 200, loadMs: 30 } as const;
/** Requests under way at a time. */
const inFlight = fleet.serviceMs / fleet.everyMs;

export interface FleetLoads {
  readonly loads: number;
  /** Requests of the replica that had most, by the mean. */
  readonly spread: number;
  /** Requests that another adapter answered, or none. */
  readonly wrong: number;
  /** Loads of Ray's way. */
  readonly twoChoices: number;
  /** Loads of one cache for all that knows the future, and of one that knows only frequencies; neither throws out what is in use. */
  readonly clairvoyant: number;
  readonly frequenciesKnown: number;
  /** As `clairvoyant`, were nothing ever in use. */
  readonly clairvoyantIdle: number;
}

/** What a trace costs four replicas with the gateway's own `AdapterPool`, in virtual time, and what it costs others. */
export async function fleetLoads(of: ZipfTrace): Promise<FleetLoads> {
  const trace = zipf(of);
  const { replicas, room, everyMs, serviceMs, loadMs } = fleet;
  const simulated = new AdapterFleet({ maxPerReplica: room, loadMs });
  for (let adapter = 0; adapter < of.adapters; adapter += 1) simulated.revisions.set(`adapter-${adapter}`, 1);
  for (let index = 0; index < replicas; index += 1) simulated.start(index);
  await simulated.clock.advance(0);
  const answers: Promise<string>[] = [];
  for (const adapter of trace) {
    answers.push(simulated.request(`adapter-${adapter}`, serviceMs));
    await simulated.clock.advance(everyMs);
  }
  await simulated.clock.advance(30_000);
  const wrong = (await Promise.all(answers)).filter((handle, at) => handle !== `adapter-${trace[at]}.1`).length;
  const served = [...simulated.members.values()].map((member) => member.served);
  simulated.pool.close();
  return {
    loads: simulated.counts.loaded,
    spread: Math.max(...served) / (trace.length / replicas),
    wrong,
    twoChoices: twoChoicesThenLoad(trace, replicas, room, inFlight),
    clairvoyant: clairvoyant(trace, replicas * room, inFlight),
    frequenciesKnown: frequenciesKnown(trace, replicas * room, inFlight),
    clairvoyantIdle: clairvoyant(trace, replicas * room, 0),
  };
}
