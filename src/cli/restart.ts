import type { Command } from 'commander';
import type { RestartReply } from '../admin/api.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode } from './exit-code.ts';
import { print, type Run } from './verb.ts';

const help = `
A replica that serves goes on until a new one serves in its place (or, where no GPU is free for that, until its requests have ended); of
a model one at a time, and no request is lost. The new one has another number. A replica that has failed, or waits after failures, is
tried again now as if it never had. The answer comes at once; 'gateway status --watch' shows the rest.

Exit codes: 0 begun, 1 no gateway, or no such model or replica, 2 usage.`;

const words = { replaced: 'a new one takes its place', retried: 'starts now' } as const;

/** Adds `gateway restart`: new processes for replicas of the running gateway. */
export function addRestart(program: Command, run: Run): void {
  adminVerb(program, 'restart', 'give replicas a new process each, one at a time', 'my-model')
    .argument('[target]', 'a model, or a replica: my-model#0, or its id (default: all)')
    .addHelpText('after', help)
    .action((target: string | undefined, where: Where) =>
      run(async () => {
        const body = target === undefined ? {} : { target };
        const reply = await askAdmin<RestartReply>(await stateDirOf(where), { method: 'POST', path: '/api/restart', body });
        print(where, reply, inWords);
        return exitCode.ok;
      }),
    );
}

export function inWords({ replicas }: RestartReply): string {
  if (replicas.length === 0) return 'No replica to restart.\n';
  return replicas.map(({ model, index, how }) => `${model} #${index}: ${words[how]}\n`).join('');
}
