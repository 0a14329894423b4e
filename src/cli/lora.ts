import { Argument, type Command } from 'commander';
import type { AdapterChangeReply, AdaptersReply } from '../admin/api.ts';
import { GatewayError } from '../core/errors.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { loraTable } from './lora-table.ts';
import { print, type Run } from './verb.ts';

const help = `
ls: which adapters are loaded where, in use or not, and which are waited for; --all: those that were found and are not loaded too.
load: loads one without a request, or its new weights.  unload: takes one from all replicas once its requests have ended; it comes back
when it is asked for.  refresh: looks for new adapters and new weights now, not only every lora_config.refresh_s.
An engine that takes adapters only when it starts is replaced, one replica at a time; the answer comes at once.

Examples:
  gateway lora ls -c configs/lora.yaml
  gateway lora load my-model:my-adapter

Exit codes: 0 done, 1 no gateway, no such model or adapter, or the engine refuses it, 2 usage.`;

interface LoraOptions extends Where {
  readonly all?: boolean;
}

const actions = ['ls', 'load', 'unload', 'refresh'] as const;
type Action = (typeof actions)[number];

/** Adds `gateway lora`: the LoRA adapters of the running gateway. */
export function addLora(program: Command, run: Run): void {
  adminVerb(program, 'lora', 'show, load, unload or look for LoRA adapters', 'ls')
    .addArgument(new Argument('<action>', 'what to do').choices(actions))
    .argument('[model]', 'ls, refresh: a model (default: all); load, unload: an adapter, as clients name it')
    .option('--all', 'ls: those that are not loaded too')
    .addHelpText('after', help)
    .action((action: Action, model: string | undefined, where: LoraOptions) => run(() => act(action, model, where)));
}

async function act(action: Action, model: string | undefined, where: LoraOptions): Promise<ExitCode> {
  const ask = async <T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> =>
    askAdmin<T>(await stateDirOf(where), { method, path, ...(body === undefined ? {} : { body }) });
  switch (action) {
    case 'ls': {
      const query = new URLSearchParams({ ...(model === undefined ? {} : { model }), ...(where.all === true ? { found: 'true' } : {}) });
      print(where, await ask<AdaptersReply>('GET', `/api/adapters?${query.toString()}`), loraTable);
      return exitCode.ok;
    }
    case 'refresh':
      print(where, await ask<AdaptersReply>('POST', '/api/adapters/refresh', model === undefined ? {} : { model }), refreshed);
      return exitCode.ok;
    case 'load':
    case 'unload': {
      if (model === undefined) throw new GatewayError('usage_invalid', `expected an adapter: gateway lora ${action} model:adapter`);
      const reply = await ask<AdapterChangeReply>('POST', `/api/adapters/${action}`, { adapter: model });
      print(where, reply, (change) => (action === 'load' ? loaded(change) : left(change)));
      return exitCode.ok;
    }
  }
}

function refreshed({ models }: AdaptersReply): string {
  return models.map(({ model, found }) => `${model}: ${found ?? 'unknown how many'} adapters found\n`).join('');
}

function loaded({ model, adapter, replicas }: AdapterChangeReply): string {
  const where = replicas.length === 0 ? 'room is made for it' : `on ${replicas.map((index) => `#${index}`).join(', ')}`;
  return `${model}:${adapter}: ${where}\n`;
}

function left({ model, adapter, replicas }: AdapterChangeReply): string {
  return `${model}:${adapter}: leaves ${replicas.map((index) => `#${index}`).join(', ')} once its requests have ended\n`;
}
