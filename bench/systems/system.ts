import type { Launched } from './process.ts';

/** Gateways of other projects, measured where they are installed. */
export const peerNames = ['smg', 'litellm'] as const;
export type PeerName = (typeof peerNames)[number];

/** In the order in which tables show them: the references, others, then what is measured. */
export const systemNames = ['nginx', 'relay', ...peerNames, 'roundhouse'] as const;
export type SystemName = (typeof systemNames)[number];

export const systemTitles: Readonly<Record<SystemName, string>> = {
  nginx: 'nginx',
  relay: 'bare relay',
  smg: 'smg',
  litellm: 'LiteLLM',
  roundhouse: 'roundhouse',
};

/** Where the upstream listens; the gateway starts it as its engine, else the benchmark does. */
export interface UpstreamAt {
  readonly port: number;
}

/** A system under test, in front of the upstream. */
export interface System {
  readonly name: SystemName;
  readonly port: number;
  readonly version: string;
  readonly launched: Launched;
  stop(): Promise<void>;
}

export interface Surroundings {
  readonly upstream: UpstreamAt;
  /** A folder of the system's own, which the benchmark removes. */
  readonly dir: string;
  readonly signal: AbortSignal;
  /** Threads of the gateway, or processes of nginx, that serve. */
  readonly workers: number;
}
