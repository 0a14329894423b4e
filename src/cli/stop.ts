import type { Command } from 'commander';
import type { StopReply } from '../admin/api.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode } from './exit-code.ts';
import { print, type Run } from './verb.ts';

export function addStop(program: Command, run: Run): void {
  adminVerb(program, 'stop', 'stop the running gateway, after its requests have ended').action((where: Where) =>
    run(async () => {
      const reply = await askAdmin<StopReply>(stateDirOf(where), { method: 'POST', path: '/api/stop', body: {} });
      print(where, reply, ({ pid }) => `The gateway with pid ${pid} stops.\n`);
      return exitCode.ok;
    }),
  );
}
