import { type Command, InvalidArgumentError } from 'commander';
import type { ScaleReply } from '../admin/api.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode } from './exit-code.ts';
import { print, type Run } from './verb.ts';

/** For commander. @throws InvalidArgumentError */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

export function addScale(program: Command, run: Run): void {
  adminVerb(program, 'scale', 'set the number of replicas of a model until the next reload', 'my-model 2')
    .argument('<model>', 'its id')
    .argument('<replicas>', 'how many', wholeNumber)
    .action((model: string, replicas: number, where: Where) =>
      run(async () => {
        const reply = await askAdmin<ScaleReply>(await stateDirOf(where), {
          method: 'POST',
          path: '/api/scale',
          body: { model, replicas },
        });
        print(
          where,
          reply,
          ({ from, to, autoscaled }) =>
            `${model}: ${from} → ${to} replicas${autoscaled ? '; its load changes the number from there on' : ''}\n`,
        );
        return exitCode.ok;
      }),
    );
}
