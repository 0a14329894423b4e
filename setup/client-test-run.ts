import { homedir } from 'node:os';
import { join } from 'node:path';
import { relay } from './child.mjs';
import { pythonClients } from './clients/python-clients.ts';
import { interruptible } from './interrupt.mjs';
import { ensureKit } from './kit/kit.ts';
import { describeMachine } from './kit/machine.ts';

/** A fuzz run has four minutes, and its gateway a start and an end; several times that where the machine is busy. */
const testLimitMs = 900_000;

/**
 * Installs clients from PyPI, outside the clone in `$XDG_CACHE_HOME/roundhouse`, and runs them against the gateway, before a real engine; then
 * has a fuzzer hold the gateway to its OpenAPI documents.
 * @returns exit code
 * @throws GatewayError `engine_missing`, `artifact_unavailable`
 */
export async function runClientTests(root: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  process.chdir(root);
  const python = await interruptible(async (signal) => {
    await ensureKit(root, env, signal);
    const cache = join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'roundhouse');
    return await pythonClients({ machine: describeMachine(env), env, cache, signal });
  });
  const runner = ['--test', '--test-concurrency=1', `--test-timeout=${testLimitMs}`, '--test-reporter=spec'];
  const files = args.length === 0 ? ['test/clients/*.client-test.ts'] : args;
  return await relay(process.execPath, [...runner, ...files], { env: { ...env, ROUNDHOUSE_TEST_CLIENTS: python } });
}
