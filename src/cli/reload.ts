import type { Command } from 'commander';
import type { ChangeReply } from '../admin/api.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { changeText } from './change-text.ts';
import { exitCode } from './exit-code.ts';
import { print, type Run } from './verb.ts';

export function addReload(program: Command, run: Run): void {
  adminVerb(program, 'reload', 'apply the config file again; unchanged models keep their processes').action((where: Where) =>
    run(async () => {
      const reply = await askAdmin<ChangeReply>(await stateDirOf(where), { method: 'POST', path: '/api/reload', body: {} });
      print(where, reply, changeText);
      return exitCode.ok;
    }),
  );
}
