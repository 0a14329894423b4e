import { contentOf, finishOf } from './api.ts';
import { at, list, parse, short } from './json.ts';
import { droppedOf, fails, question, refusal, unshown, works, type Outcome, type Scenario, type Subject } from './scenario.ts';

/** So small that a model of any quality is done with it at once, and nothing one answers to the question by chance. */
const schema = {
  type: 'object',
  properties: { colour: { type: 'string', enum: ['red', 'green'] }, certain: { type: 'boolean' } },
  required: ['colour', 'certain'],
  additionalProperties: false,
};

function obeys(value: unknown): boolean {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value).sort().join() : '';
  return keys === 'certain,colour' && ['red', 'green'].includes(String(at(value, 'colour'))) && typeof at(value, 'certain') === 'boolean';
}

/** Asks with `more`, and has `judge` look at the text. */
async function ask(subject: Subject, more: object, judge: (text: string, ended: boolean) => Outcome): Promise<Outcome> {
  const { api, model } = subject;
  const reply = await api.chat({ ...question(model, 'Tell me about horses.'), max_tokens: 120, ...more });
  if (reply.status !== 200) return refusal(reply);
  const dropped = droppedOf(reply);
  if (dropped !== undefined) return unshown(dropped);
  const text = contentOf(reply);
  return typeof text === 'string' ? judge(text, finishOf(reply) === 'stop') : fails(`no text: ${short(reply.text)}`);
}

const bySchema = (name: string, title: string, format: object): Scenario => ({
  name,
  title,
  required: false,
  run: async (subject) =>
    await ask(subject, { response_format: format }, (text) =>
      obeys(parse(text)) ? works(short(text)) : fails(`not what the schema asks for: ${short(text)}`),
    ),
});

const describe = (animal: string): string => `Describe a ${animal} as a JSON object with the keys colour and legs.`;

const jsonObject: Scenario = {
  name: 'json_object',
  title: 'response_format json_object: the reply is a JSON object',
  required: false,
  async run(subject) {
    // Shown one, even a model of a hundred million parameters comes to an end.
    const messages = [
      { role: 'user', content: describe('duck') },
      { role: 'assistant', content: '{"colour": "white", "legs": 2}' },
      { role: 'user', content: describe('horse') },
    ];
    const more = { messages, response_format: { type: 'json_object' } };
    return await ask(subject, more, (text, ended) => {
      const value = parse(text);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return works(short(text, 60));
      return !ended && /^\s*\{/.test(text)
        ? unshown(`not at its end after 120 tokens: ${short(text, 60)}`)
        : fails(`no JSON: ${short(text)}`);
    });
  },
};

const guidedChoice: Scenario = {
  name: 'guided_choice',
  title: 'guided_choice: the reply is one of the choices',
  required: false,
  run: async (subject) =>
    await ask(subject, { guided_choice: ['crimson', 'emerald'] }, (text) =>
      ['crimson', 'emerald'].includes(text.trim()) ? works(text.trim()) : fails(`none of the choices: ${short(text)}`),
    ),
};

const tool = {
  type: 'function',
  function: {
    name: 'set_light',
    description: 'Switches the light on or off.',
    parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'], additionalProperties: false },
  },
};

/** Engines that force a call hold its arguments to the schema only where it is strict, and some make calls without end unless told one. */
const strictTool = { ...tool, function: { ...tool.function, strict: true } };

const request = 'Switch the light on.';

function callProblem(call: unknown): string | undefined {
  if (typeof at(call, 'id') !== 'string' || at(call, 'id') === '') return `id ${short(at(call, 'id'))}`;
  if (at(call, 'type') !== 'function') return `type ${short(at(call, 'type'))}`;
  if (at(call, 'function', 'name') !== 'set_light') return `function.name ${short(at(call, 'function', 'name'))}`;
  const given = at(call, 'function', 'arguments');
  return typeof at(parse(given), 'on') === 'boolean' ? undefined : `function.arguments ${short(given)}`;
}

const toolChoice = (name: string, title: string, choice: unknown): Scenario => ({
  name,
  title,
  required: false,
  async run({ api, model }) {
    const reply = await api.chat({
      ...question(model, request),
      max_tokens: 120,
      tools: [strictTool],
      tool_choice: choice,
      parallel_tool_calls: false,
    });
    if (reply.status !== 200) return refusal(reply);
    const dropped = droppedOf(reply);
    if (dropped !== undefined) return unshown(dropped);
    const calls = list(at(reply.json, 'choices', 0, 'message', 'tool_calls'));
    if (calls.length === 0) return fails(`no tool call; the reply is ${short(contentOf(reply))}`);
    const problem = callProblem(calls[0]);
    return problem === undefined ? works(short(at(calls[0], 'function', 'arguments'))) : fails(`the call's ${problem}`);
  },
});

const tools: Scenario = {
  name: 'tools',
  title: 'tools are offered, and the result of a call is taken',
  required: false,
  async run({ api, model }) {
    const offered = await api.chat({ ...question(model, request), tools: [tool] });
    if (offered.status !== 200) return refusal(offered);
    const dropped = droppedOf(offered);
    if (dropped !== undefined) return unshown(dropped);
    const [call] = list(at(offered.json, 'choices', 0, 'message', 'tool_calls'));
    const problem = call === undefined ? undefined : callProblem(call);
    if (problem !== undefined) return fails(`the call's ${problem}`);
    const made = { id: 'call_1', type: 'function', function: { name: 'set_light', arguments: '{"on":true}' } };
    const turns = [
      { role: 'user', content: request },
      { role: 'assistant', content: null, tool_calls: [made] },
      { role: 'tool', tool_call_id: 'call_1', content: 'The light is on.' },
    ];
    const after = await api.chat({ ...question(model), messages: turns, tools: [tool] });
    if (after.status !== 200) return refusal(after);
    return works(call === undefined ? 'taken; this model answers in words' : 'called, and its result taken');
  },
};

export const structureScenarios: readonly Scenario[] = [
  bySchema('json_schema', 'response_format json_schema, as OpenAI has it: the reply obeys it', {
    type: 'json_schema',
    json_schema: { name: 'answer', strict: true, schema },
  }),
  bySchema('json_schema-raw', "response_format json_schema with the schema itself, as in Ray's documents: the reply obeys it", {
    type: 'json_schema',
    json_schema: schema,
  }),
  jsonObject,
  guidedChoice,
  tools,
  toolChoice('tool_choice-required', 'tool_choice required: there is a call', 'required'),
  toolChoice('tool_choice-named', 'tool_choice with a name: that function is called', {
    type: 'function',
    function: { name: 'set_light' },
  }),
];
