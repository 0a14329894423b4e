import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { GatewayError, messageOf } from '../../core/errors.ts';
import { adapterName } from '../../core/ids.ts';
import type { ModelName, ReplicaId } from '../../core/ids.ts';
import { replaceFile } from '../replace-file.ts';

const version = 1;

const schema = z.object({
  version: z.literal(version),
  id: z.string().transform((id) => id as ReplicaId),
  model: z.string().transform((name) => name as ModelName),
  index: z.int().min(0),
  engine: z.string(),
  fingerprint: z.string(),
  port: z.int(),
  /** Ports that follow `port` and are the replica's own too; leases of 0.1 have none. */
  innerPorts: z.int().min(0).default(0),
  apiKey: z.string(),
  logFile: z.string(),
  gpus: z.array(z.string()),
  /** LoRA adapters on its command line, in order; leases of 0.1 have none. */
  adapters: z.array(z.object({ adapter: z.string().transform(adapterName), handle: z.string(), path: z.string() })).default([]),
  process: z.object({ pid: z.int().positive(), startTime: z.int(), bootId: z.string() }).optional(),
});

/**
 * What a gateway leaves on disk about a replica's run, so that the next one can find it: written before the process is started, and
 * again, with `process`, before anything else knows of it; removed when no process of the run is left.
 */
export type Lease = Readonly<Omit<z.infer<typeof schema>, 'process'>> & {
  /** Its first process, which leads its group and session; undefined when the gateway ended while it was starting it. */
  readonly process: { readonly pid: number; readonly startTime: number; readonly bootId: string } | undefined;
};

/** A file among the leases: what it says, or, where it cannot be read (another version wrote it), only whose it is. */
export type FoundLease =
  | { readonly kind: 'lease'; readonly id: string; readonly lease: Lease }
  | { readonly kind: 'unreadable'; readonly id: string; readonly reason: string };

/** The leases of a state directory: `<dir>/<id>.json`, mode 0600 because of the keys in them. */
export class Leases {
  readonly #dir: string;

  constructor(stateDir: string) {
    this.#dir = join(stateDir, 'leases');
  }

  /** Replaces the lease of that id as a whole. @throws GatewayError `state_unusable`. */
  write(lease: Lease): void {
    const file = this.#file(lease.id);
    try {
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      replaceFile(file, JSON.stringify(lease));
    } catch (thrown) {
      throw new GatewayError('state_unusable', `${file}: cannot be written: ${messageOf(thrown)}`, { cause: thrown });
    }
  }

  remove(id: string): void {
    rmSync(this.#file(id), { force: true });
  }

  /** All there are, in the order of their names. Other files in the directory are passed over. */
  read(): readonly FoundLease[] {
    let names: string[];
    try {
      names = readdirSync(this.#dir).sort();
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new GatewayError('state_unusable', `${this.#dir}: cannot be read: ${messageOf(thrown)}`, { cause: thrown });
    }
    return names.flatMap((name) => {
      const id = /^([A-Za-z0-9._-]+-[0-9a-f]{8})\.json$/.exec(name)?.[1];
      return id === undefined ? [] : [this.#readOne(id)];
    });
  }

  #readOne(id: string): FoundLease {
    try {
      const { process, ...lease } = schema.parse(JSON.parse(readFileSync(this.#file(id), 'utf8')));
      // The file's name is what the marker is looked for by.
      if (lease.id !== id) return { kind: 'unreadable', id, reason: `it names ${lease.id}` };
      return { kind: 'lease', id, lease: { ...lease, process } };
    } catch (thrown) {
      return { kind: 'unreadable', id, reason: messageOf(thrown) };
    }
  }

  #file(id: string): string {
    return join(this.#dir, `${id}.json`);
  }
}

/** A lease as this version of the program writes it. */
export function newLease(facts: Omit<Lease, 'version' | 'process'>): Lease {
  return { version, ...facts, process: undefined };
}
