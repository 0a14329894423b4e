import { readFile } from 'node:fs/promises';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { Exit, ReplicaHandle, ReplicaProvider } from './provider.ts';

async function readSecret(file: string, what: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (thrown) {
    throw new GatewayError('start_failed', `${file}: cannot be read: ${messageOf(thrown)} (${what} of an upstream)`, { cause: thrown });
  }
}

/**
 * Replicas that others run: to launch one is to read its key and certificate authority, so that both can be changed on disk; to stop one
 * is to forget it. Whether it serves is for the probes to say.
 */
export const staticProvider: ReplicaProvider = {
  async launch({ model, upstream }, _watch, signal): Promise<ReplicaHandle> {
    if (upstream === undefined) throw new Error(`${model.name}: no upstream was given`);
    const { url, keyFile, caFile } = upstream;
    const apiKey = keyFile === undefined ? '' : await readSecret(keyFile, 'key_file');
    const ca = caFile === undefined ? undefined : await readSecret(caFile, 'ca_file');
    signal.throwIfAborted();
    const exit = Promise.withResolvers<Exit>();
    return {
      upstream: url,
      apiKey,
      ...(ca === undefined ? {} : { ca }),
      pid: undefined,
      logFile: undefined,
      exited: exit.promise,
      listener: () => Promise.resolve('external'),
      tail: () => [],
      stop() {
        exit.resolve({ code: null, signal: null });
        return exit.promise;
      },
      release: () => undefined,
    };
  },
};
