import { join } from 'node:path';
import { onPath } from '../../setup/kit/machine.ts';
import type { Options } from '../options.ts';
import type { Cleanup } from './cleanup.ts';
import { startNginx } from './nginx.ts';
import { peers, startPeer } from './peers.ts';
import { freePort } from './process.ts';
import { startRelay } from './relay.ts';
import { startRoundhouse } from './roundhouse.ts';
import { peerNames, type Surroundings, type System } from './system.ts';
import { startUpstream } from './upstream.ts';

export interface Starting {
  readonly options: Options;
  readonly dir: string;
  readonly cleanup: Cleanup;
  readonly signal: AbortSignal;
  say(line: string): void;
  readonly workers: number;
  /** The gateway's main module. */
  readonly gatewayEntry: string;
  /** Flags for the Node of the system of that name. */
  nodeFlags(name: string): readonly string[];
}

/** Starts the systems asked for and, by the gateway or by itself, one upstream behind all of them. */
export async function startSystems(starting: Starting): Promise<{ readonly systems: readonly System[]; readonly upstreamPort: number }> {
  const { options, cleanup, signal } = starting;
  const systems: System[] = [];
  const started = async (starts: Promise<System>): Promise<void> => {
    const system = await starts;
    cleanup.add(() => system.stop());
    systems.push(system);
  };
  const around = (port: number, name: string): Surroundings => ({
    upstream: { port },
    dir: join(starting.dir, name),
    signal,
    workers: starting.workers,
  });
  let upstreamPort: number;
  if (options.systems.has('roundhouse')) {
    upstreamPort = await freePort();
    await started(startRoundhouse(around(upstreamPort, 'roundhouse'), starting.gatewayEntry, starting.nodeFlags('roundhouse')));
  } else {
    const upstream = await startUpstream(signal);
    cleanup.add(() => upstream.stop());
    upstreamPort = upstream.port;
  }
  // The relay has one thread.
  if (options.systems.has('relay') && starting.workers === 1)
    await started(startRelay(around(upstreamPort, 'relay'), starting.nodeFlags('relay')));
  if (options.systems.has('nginx') && options.profileDir === undefined) {
    // Debian puts it where only root's PATH leads.
    const nginx = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx']
      .map((name) => onPath(name, process.env))
      .find((file) => file !== undefined);
    if (nginx === undefined) starting.say('nginx: left out, not found on PATH or in /usr/sbin; on Debian: apt-get install nginx-light');
    else await started(startNginx(nginx, around(upstreamPort, 'nginx')));
  }
  for (const name of peerNames) {
    // Those of one thread are told apart by what they cost, not by how they carry thousands of streams.
    if (!options.systems.has(name) || options.profileDir !== undefined || starting.workers > 1) continue;
    const program = onPath(name, process.env);
    if (program === undefined) starting.say(`${name}: left out, not found on PATH; ${peers[name].install}`);
    else await started(startPeer(name, program, around(upstreamPort, name)));
  }
  return { systems, upstreamPort };
}
