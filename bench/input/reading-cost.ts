import { defaultInputLimits, type InputPolicy } from '../../src/core/input-limits.ts';
import { modelName } from '../../src/core/ids.ts';
import type { NormalizedRequest } from '../../src/core/request.ts';
import type { RoutingTable } from '../../src/core/table.ts';
import { checkInput } from '../../src/gateway/input/check.ts';
import { normalize } from '../../src/gateway/openai/normalize.ts';
import { dialects } from '../../src/plugins/dialects.ts';
import { modelEntry } from '../../test/support/model-entry.ts';
import { chatBody, model, textOf } from '../load/bodies.ts';
import { median } from '../measure/statistics.ts';

const blocks = 15;
const bytesPerBlock = 10_000_000;
const policy: InputPolicy = { limits: defaultInputLimits, allowed: [] };
const id = modelName(model);
/** As a worker has it for one model. */
const table: RoutingTable = {
  version: 1,
  apps: new Map([['', new Map([[model, id]])]]),
  models: new Map([[id, modelEntry({ engine: 'vllm', input: policy })]]),
};

const location = { type: 'string', description: 'City and country' };
const tool = {
  type: 'function',
  function: { name: 'get_weather', description: 'The weather somewhere', parameters: { type: 'object', properties: { location } } },
};

/** With a tool, a schema for the reply, and what else clients set. */
function fullBody(content: string): Buffer {
  const body = {
    model,
    messages: [{ role: 'user', content }],
    temperature: 0.7,
    top_p: 0.95,
    max_tokens: 256,
    n: 1,
    seed: 7,
    stop: ['\n\n'],
    stream: true,
    stream_options: { include_usage: true },
    tools: [tool],
    tool_choice: 'auto',
    response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object', properties: { location } } } },
    user: 'somebody',
  };
  return Buffer.from(JSON.stringify(body));
}

export interface ReadingCost {
  readonly body: string;
  /** Nanoseconds of CPU of a request: to parse the body into objects; to prove it and find its model; to hold its members to the rules. */
  readonly parsed: number;
  readonly proved: number;
  readonly ruled: number;
}

/** CPU time of this thread: on a machine that others use too, the clock on the wall measures them. */
function threadNs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) * 1000;
}

const read = (bytes: Buffer): NormalizedRequest => normalize('chat', bytes, table, '');

/** Medians of blocks that take turns, so that whatever else the machine does meets all alike. */
export function readingCosts(): readonly ReadingCost[] {
  const own = dialects.get('vllm')?.parameters;
  const kinds: readonly (readonly [string, Buffer])[] = [
    ['1 KB, two messages', chatBody('1k')],
    ['1 KB, with a tool and a schema', fullBody(textOf(1024 - fullBody('').length))],
    ['32 KB, 60 messages', chatBody('32k-many')],
  ];
  return kinds.map(([body, bytes]) => {
    const works: readonly (() => unknown)[] = [
      () => JSON.parse(bytes.toString('utf8')),
      () => read(bytes),
      () => checkInput(read(bytes), own, policy),
    ];
    const turns = Math.round(bytesPerBlock / bytes.length);
    const samples = works.map((): number[] => []);
    for (let round = -3; round < blocks; round += 1) {
      for (const [at, work] of works.entries()) {
        const began = threadNs();
        for (let turn = 0; turn < turns; turn += 1) work();
        if (round >= 0) samples[at]?.push((threadNs() - began) / turns);
      }
    }
    const [parsed = 0, proved = 0, both = 0] = samples.map((each) => median(each));
    return { body, parsed, proved, ruled: both - proved };
  });
}
