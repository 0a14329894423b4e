import type { CommandLine, Launch } from '../engine-plugin.ts';
import type { LlamaOptions } from './options.ts';

/**
 * Flags checked against the `--help` of llama-server 0.7.0 (build 11669). The context size is left to the engine unless
 * given: the model's own. The slots are always given, because the gateway must know how many there are.
 */
export function command(options: LlamaOptions, launch: Launch): CommandLine {
  const { model } = launch;
  return {
    args: [
      model.kind === 'path' ? '-m' : '-hf',
      model.value,
      '--host',
      '127.0.0.1',
      '--port',
      String(launch.port),
      '-a',
      launch.servedName,
      '-np',
      String(options.parallel),
      '--metrics',
      '--no-ui',
      // No pings: they come from the HTTP thread, so a hung generation would look alive to the gateway's idle timeout.
      '--sse-ping-interval',
      '-1',
      ...options.args,
    ],
    env: { LLAMA_API_KEY: launch.apiKey },
  };
}
