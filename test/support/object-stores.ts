import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { programOf } from '../../setup/stores/store-server.ts';
import type { StoreServer } from '../../setup/stores/store-server.ts';
import { storeServers } from '../../setup/stores/stores.ts';
import { until } from './until.ts';

const promised = (process.env['ROUNDHOUSE_TEST_STORES'] ?? '').split(',');

/** Why tests on that server cannot run here; false where they can. Where set-up has promised it, they run and fail. */
function skipWithout(server: StoreServer): string | false {
  const program = programOf(server, process.env);
  return existsSync(program) || promised.includes(server.name)
    ? false
    : `no ${server.name}: ${program} is not there (npm test makes it where it can)`;
}

export const skipS3 = skipWithout(storeServers.versitygw);
export const skipGcs = skipWithout(storeServers.fakeGcsServer);

/** A store's process, with a folder of its own; both are gone when it is disposed of. */
export class StoreProcess implements AsyncDisposable {
  readonly url: string;
  /** Where the server keeps what it has. */
  readonly dir: string;
  readonly #stop: () => Promise<void>;

  private constructor(url: string, dir: string, stop: () => Promise<void>) {
    this.url = url;
    this.dir = dir;
    this.#stop = stop;
  }

  /**
   * Starts a server and waits until it answers.
   * @param args of a port and an empty folder
   * @throws Error with what it said, where it ended instead
   */
  static async start(server: StoreServer, args: (port: number, dir: string) => readonly string[]): Promise<StoreProcess> {
    const dir = mkdtempSync(join(tmpdir(), `roundhouse-${server.name}-`));
    const port = await freePort();
    const child = spawn(programOf(server, process.env), [...args(port, dir)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (said = (said + chunk).slice(-4000)));
    const exited = once(child, 'exit');
    exited.catch(() => undefined);
    const stop = async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    };
    const url = `http://127.0.0.1:${port}`;
    try {
      await until(
        `${server.name} answers`,
        async () => {
          if (child.exitCode !== null) throw new Error(`${server.name} ended with ${child.exitCode}: ${said}`);
          return await fetch(url).then(
            async (reply) => (await reply.arrayBuffer(), true),
            () => false,
          );
        },
        60_000,
      );
    } catch (thrown) {
      await stop();
      throw thrown;
    }
    return new StoreProcess(url, dir, stop);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }
}
