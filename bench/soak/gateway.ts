import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRssMib } from '../measure/proc.ts';
import { freePort, Launched, untilAnswering } from '../systems/process.ts';
import type { Counters } from './judge.ts';
import { type Kill, models } from './schedule.ts';

/** The command's program. */
export const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** A variable in the environment of the run's engines, by which they are told from all others. */
const marker = 'ROUNDHOUSE_SOAK_RUN';

interface ReplicaReport {
  readonly index: number;
  readonly state: string;
  readonly pid?: number;
}

interface StatusReport {
  readonly models: readonly { readonly name: string; readonly replicas: readonly ReplicaReport[] }[];
}

/** `gateway:` of a config: two workers, and only what is wrong in the log. */
export const gatewaySection = (listen: number, admin: number, stateDir: string): object => ({
  listen: { host: '127.0.0.1', port: listen },
  admin: { host: '127.0.0.1', port: admin },
  workers: 2,
  state_dir: stateDir,
  log: { level: 'error' },
});

function config(listen: number, admin: number, stateDir: string): string {
  return JSON.stringify({
    llm_configs: models.map(({ id, replicas, resumes, tokensPerS, maxTokens }) => ({
      model_loading_config: { model_id: id },
      llm_engine: 'fake',
      engine_kwargs: { tokens: maxTokens, tokens_per_s: tokensPerS },
      deployment_config: { num_replicas: replicas },
      runtime_env: { env_vars: { [marker]: stateDir } },
      gateway: { resume_streams: resumes },
    })),
    gateway: gatewaySection(listen, admin, stateDir),
  });
}

/** A gateway of the run's own, with its engines. */
export class GatewayUnderSoak {
  readonly url: string;
  readonly #adminUrl: string;
  readonly #stateDir: string;
  readonly #launched: Launched;

  /** Resolves when every replica is ready. @throws Error with its last words when it ends first, or takes too long. */
  static async start(dir: string, signal: AbortSignal): Promise<GatewayUnderSoak> {
    await mkdir(dir, { recursive: true });
    const [listen, admin] = [await freePort(), await freePort()];
    const stateDir = join(dir, 'state');
    const file = join(dir, 'gateway.yaml');
    // JSON is YAML.
    await writeFile(file, config(listen, admin, stateDir));
    const launched = await Launched.start('roundhouse', [process.execPath, entry, 'start', '-c', file], { ipc: false });
    const gateway = new GatewayUnderSoak(launched, listen, admin, stateDir);
    try {
      await untilAnswering(`${gateway.url}/ready`, launched, signal);
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    return gateway;
  }

  private constructor(launched: Launched, listen: number, admin: number, stateDir: string) {
    this.#launched = launched;
    this.url = `http://127.0.0.1:${listen}`;
    this.#adminUrl = `http://127.0.0.1:${admin}`;
    this.#stateDir = stateDir;
  }

  get running(): boolean {
    return this.#launched.running;
  }

  /** Lines of level error and above among the last that it logged. */
  get errorsLogged(): number {
    return this.#launched.output.match(/"level":[56]0/gu)?.length ?? 0;
  }

  /** MiB. */
  rss(): Promise<number> {
    return readRssMib([this.#launched.pid]);
  }

  async readyReplicas(): Promise<number> {
    const { models: reports } = await this.#status();
    return reports.flatMap(({ replicas }) => replicas).filter(({ state }) => state === 'ready').length;
  }

  /** Kills a replica that is up; false when it is not, or its process is none of this run's. */
  async kill({ model, index, signal }: Kill): Promise<boolean> {
    const { models: reports } = await this.#status();
    const replica = reports.find(({ name }) => name === model)?.replicas.find((each) => each.index === index);
    if (replica?.state !== 'ready' || replica.pid === undefined || !(await this.#isOurs(replica.pid))) return false;
    process.kill(replica.pid, signal);
    return true;
  }

  async counters(): Promise<Counters> {
    const page = await (await fetch(`${this.#adminUrl}/metrics`)).text();
    const byOutcome = new Map<string, number>();
    for (const [labels, value] of series(page, 'roundhouse_requests_total')) {
      const outcome = /outcome="([^"]*)"/u.exec(labels)?.[1] ?? '?';
      byOutcome.set(outcome, (byOutcome.get(outcome) ?? 0) + value);
    }
    const sum = (name: string): number => series(page, name).reduce((total, [, value]) => total + value, 0);
    byOutcome.set('rejected', sum('roundhouse_rejected_requests_total'));
    return {
      byOutcome,
      inFlight: sum('roundhouse_model_in_flight'),
      waiting: sum('roundhouse_model_waiting'),
      retries: sum('roundhouse_retries_total'),
      resumed: sum('roundhouse_resumed_streams_total'),
    };
  }

  /** SIGTERM, and what it ended with; null for a signal. */
  async stop(): Promise<number | null> {
    await this.#launched.stop(30_000);
    return this.#launched.child.exitCode;
  }

  /** Processes of its engines. */
  async engines(): Promise<readonly number[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
    const ours = await Promise.all(pids.map((pid) => this.#isOurs(pid)));
    return pids.filter((_, at) => ours[at]);
  }

  async #isOurs(pid: number): Promise<boolean> {
    // A process may end while it is looked at; a zombie's environment is empty.
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    return `\0${environment}`.includes(`\0${marker}=${this.#stateDir}\0`);
  }

  async #status(): Promise<StatusReport> {
    return (await (await fetch(`${this.#adminUrl}/api/status`)).json()) as StatusReport;
  }
}

/** Labels and value of each sample of a Prometheus series. */
export function series(page: string, name: string): readonly (readonly [string, number])[] {
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]);
}
