import assert from 'node:assert/strict';
import { chat, rawClient, sawNothing, seenBy, type Told } from './support/raw.ts';
import { model, row, type Scene, type Victim } from './support/row.ts';

type Case = readonly [body: object, param: string, target?: string];

const responses = '/v1/responses';
const messages = '/v1/messages';
const response = (more: object): object => ({ model: 'm', input: 'hi', ...more });

async function started({ start }: Pick<Scene, 'start'>, models: readonly object[] = [model('m')]): Promise<Victim> {
  const gateway = await start(models);
  await gateway.pidOf('m');
  return gateway;
}

/** Asserts that each is refused with a code, naming its parameter, and that the engine sees none. */
async function areRefused(gateway: Victim, code: string, cases: readonly Case[]): Promise<readonly Told[]> {
  const told: Told[] = [];
  for (const [body, param, target] of cases) {
    const answer = await rawClient(gateway).post(body, target);
    assert.deepEqual([answer.status, answer.code, answer.param], [400, code, param], answer.message);
    told.push(answer);
  }
  await sawNothing(gateway);
  return told;
}

row(101, async (scene) => {
  const own = { limits: { max_output_tokens: 10 } };
  const gateway = await started(scene, [model('m'), model('small', {}, {}, own)]);
  const many = Array.from({ length: 5000 }, () => 'stop');
  const told = await areRefused(gateway, 'param_too_large', [
    [chat({ n: 1e9 }), 'n'],
    [chat({ best_of: 1e9 }), 'best_of'],
    [chat({ max_tokens: 1e18 }), 'max_tokens'],
    [chat({ max_completion_tokens: 1e9 }), 'max_completion_tokens'],
    [chat({ logprobs: true, top_logprobs: 1e6 }), 'top_logprobs'],
    [chat({ prompt_logprobs: 1e6 }), 'prompt_logprobs'],
    [{ model: 'm', prompt: 'a', logprobs: 1e6 }, 'logprobs', '/v1/completions'],
    [chat({ stop: many }), 'stop'],
    [response({ max_output_tokens: 1e9 }), 'max_output_tokens', responses],
    [chat({ max_tokens: 1e9 }), 'max_tokens', messages],
    [{ model: 'm', input: many }, 'input', '/v1/embeddings'],
    [chat({ model: 'small', max_tokens: 11 }), 'max_tokens'],
  ]);
  assert.match(told[0]?.message ?? '', /is 1000000000; at most 16 \(gateway\.limits\.max_choices\)/u);
  const all = await rawClient(gateway).post(chat({ prompt_logprobs: -1 }));
  assert.deepEqual([all.status, all.param], [400, 'prompt_logprobs'], 'those of the whole vocabulary');
  assert.equal((await rawClient(gateway).post(chat({ model: 'small', max_tokens: 10 }))).status, 200);
});

const format = (schema: object): object => ({ response_format: { type: 'json_schema', json_schema: { name: 'a', schema } } });

row(102, async (scene) => {
  const gateway = await started(scene);
  const slow = '(a+)+b'.repeat(50);
  const huge = 'x'.repeat(1024 * 1024);
  const deep = JSON.parse(`${'{"items":'.repeat(55)}{}${'}'.repeat(55)}`) as object;
  const inSchema = 'response_format.json_schema.schema';
  await areRefused(gateway, 'param_too_large', [
    [chat(format({ pattern: slow })), `${inSchema}.pattern`],
    [chat(format({ properties: { a: { patternProperties: { [slow]: {} } } } })), `${inSchema}.properties.a.patternProperties`],
    [chat(format({ description: huge })), 'response_format'],
    [chat(format(deep)), inSchema],
    [chat({ tools: [{ type: 'function', function: { name: 'f', description: huge } }] }), 'tools.0'],
    [response({ text: { format: { type: 'json_schema', schema: { pattern: slow } } } }), 'text.format.schema.pattern', responses],
  ]);
  await areRefused(gateway, 'request_invalid', [
    [chat(format({ pattern: '(a' })), `${inSchema}.pattern`],
    [chat(format({ $ref: '#' })), `${inSchema}.$ref`],
    [chat(format({ $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' })), `${inSchema}.$ref`],
    [chat(format({ $ref: 'file:///etc/passwd' })), `${inSchema}.$ref`],
  ]);
});

row(103, async ({ start }) => {
  const gateway = await started({ start });
  const template = '{% for i in range(10**9) %}{{ i }}{% endfor %}';
  const routes: readonly (readonly [object, string])[] = [
    [chat(), '/v1/chat/completions'],
    [response({}), responses],
    [chat(), messages],
  ];
  const cases = routes.flatMap(([body, target]): readonly Case[] => [
    [{ ...body, chat_template: template }, 'chat_template', target],
    [{ ...body, chat_template_kwargs: { chat_template: template } }, 'chat_template_kwargs.chat_template', target],
  ]);
  await areRefused(gateway, 'param_refused', cases);
  const allowing = await started({ start }, [model('m', {}, {}, { allowed_params: ['chat_template'] })]);
  assert.equal((await rawClient(allowing).post(chat({ chat_template: 'mine' }))).status, 200);
  assert.match((await seenBy(allowing)).bodies[0] ?? '', /"chat_template":"mine"/u);
});

const tool = (parameters: unknown): object => chat({ tools: [{ type: 'function', function: { name: 'f', parameters } }] });

row(104, async (scene) => {
  const gateway = await started(scene);
  const inTool = 'tools.0.function.parameters';
  await areRefused(gateway, 'request_invalid', [
    [chat({ tools: 'f' }), 'tools'],
    [chat({ tools: [7] }), 'tools.0'],
    [chat({ tools: [{ type: {} }] }), 'tools.0.type'],
    [chat({ tools: [{}] }), 'tools.0.function'],
    [chat({ tools: [{ function: { name: 7 } }] }), 'tools.0.function.name'],
    [tool('x'), inTool],
    [tool({ properties: { a: { type: 7 } } }), `${inTool}.properties.a.type`],
    [tool({ properties: { a: { pattern: '*' } } }), `${inTool}.properties.a.pattern`],
    [tool({ properties: { a: { pattern: 7 } } }), `${inTool}.properties.a.pattern`],
    [{ ...chat(), max_tokens: 5, tools: [{ name: 'f', input_schema: { pattern: '(' } }] }, 'tools.0.input_schema.pattern', messages],
  ]);
});

row(109, async (scene) => {
  const strict = model('strict', {}, {}, { unsupported_params: 'reject' });
  const gateway = await started(scene, [model('m'), strict]);
  const refused = ['custom_logit_processor', 'logits_processors', 'lora_path', 'prompt_embeds', 'mm_processor_kwargs', 'chat_parser'];
  await areRefused(
    gateway,
    'param_refused',
    refused.map((name) => [chat({ [name]: 'x' }), name]),
  );
  const unknown = ['grammar', 'cache_salt', 'priority', 'kv_transfer_params', 'rid', 'bootstrap_host', 'no_such_parameter'];
  for (const name of unknown) {
    const { status, text } = await rawClient(gateway).post(chat({ [name]: 'x' }));
    assert.deepEqual([status, /x-gateway-dropped-params: (.*)\r/iu.exec(text)?.[1]], [200, name]);
    const rejected = await rawClient(gateway).post(chat({ model: 'strict', [name]: 'x' }));
    assert.deepEqual([rejected.status, rejected.code, rejected.param], [400, 'param_unsupported', name]);
  }
  assert.deepEqual(
    (await seenBy(gateway)).bodies,
    Array.from(unknown, () => JSON.stringify(chat())),
  );
});

row(110, async (scene) => {
  const gateway = await started(scene);
  const tools = [
    { type: 'function', name: 'f', parameters: {} },
    { type: 'mcp', server_label: 'a', server_url: 'http://169.254.169.254/' },
  ];
  await areRefused(gateway, 'param_refused', [
    [response({ tools }), 'tools.1.server_url', responses],
    [response({ tools: [{ type: 'mcp', connector_id: 'c' }] }), 'tools.0.connector_id', responses],
    [{ ...chat(), max_tokens: 5, mcp_servers: [{ url: 'http://169.254.169.254/' }] }, 'mcp_servers', messages],
  ]);
});

row(113, async (scene) => {
  const gateway = await started(scene, [model('m', { max_model_len: 5 })]);
  const { status, code, message } = await rawClient(gateway).post({
    model: 'm',
    messages: [{ role: 'user', content: 'one two three four five six' }],
  });
  assert.deepEqual([status, code], [400, 'context_length_exceeded']);
  assert.match(message, /5/u);
});
