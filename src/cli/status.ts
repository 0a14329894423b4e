import type { Command } from 'commander';
import type { StatusReply } from '../admin/api.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode } from './exit-code.ts';
import { statusTable } from './status-table.ts';
import { print, type Run } from './verb.ts';

export function addStatus(program: Command, run: Run): void {
  adminVerb(program, 'status', 'show the models and replicas of the running gateway').action((where: Where) =>
    run(async () => {
      print(where, await askAdmin<StatusReply>(stateDirOf(where), { method: 'GET', path: '/api/status' }), statusTable);
      return exitCode.ok;
    }),
  );
}
