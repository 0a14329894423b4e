import { choicesOf, contentOf, finishOf, streamText } from './api.ts';
import { at, list, parse, short } from './json.ts';
import { droppedOf, errorOf, fails, question, refusal, unshown, works, type Outcome, type Scenario } from './scenario.ts';

/** Longer than any limit that the scenarios set. */
const longQuestion = 'Count from one to one hundred, in words, without leaving a number out.';

const models: Scenario = {
  name: 'models',
  title: 'GET /v1/models lists the model, GET /v1/models/{id} shows it',
  required: true,
  async run({ api, model }) {
    const all = await api.get('/v1/models');
    if (all.status !== 200) return fails(errorOf(all));
    const ids = list(at(all.json, 'data')).map((card) => at(card, 'id'));
    const one = await api.get(`/v1/models/${model}`);
    if (one.status !== 200) return fails(`GET /v1/models/${model}: ${errorOf(one)}`);
    if (at(one.json, 'id') !== model) return fails(`GET /v1/models/${model} shows ${short(at(one.json, 'id'))}`);
    return ids.includes(model) ? works(`${ids.length} listed`) : works(`shown by id; the list has ${short(ids)}`);
  },
};

const chat: Scenario = {
  name: 'chat',
  title: 'a chat completion: id, model, role, text, finish_reason, usage',
  required: true,
  async run({ api, model }) {
    const reply = await api.chat(question(model));
    if (reply.status !== 200) return fails(errorOf(reply));
    const content = contentOf(reply);
    const expected: readonly (readonly [string, boolean])[] = [
      ['object', at(reply.json, 'object') === 'chat.completion'],
      ['id', typeof at(reply.json, 'id') === 'string'],
      ['created', typeof at(reply.json, 'created') === 'number'],
      ['model', at(reply.json, 'model') === model],
      ['choices[0].message.role', at(reply.json, 'choices', 0, 'message', 'role') === 'assistant'],
      ['choices[0].message.content', typeof content === 'string' && content !== ''],
      ['choices[0].finish_reason', finishOf(reply) === 'stop' || finishOf(reply) === 'length'],
      ['usage', addsUp(at(reply.json, 'usage'))],
    ];
    const wrong = expected.filter(([, right]) => !right).map(([field]) => field);
    return wrong.length === 0 ? works(short(content, 60)) : fails(`wrong ${wrong.join(', ')}: ${short(reply.text, 300)}`);
  },
};

function addsUp(usage: unknown): boolean {
  const [prompt, completion, total] = ['prompt_tokens', 'completion_tokens', 'total_tokens'].map((field) => at(usage, field));
  return typeof prompt === 'number' && prompt > 0 && typeof completion === 'number' && completion > 0 && total === prompt + completion;
}

const stream: Scenario = {
  name: 'stream',
  title: 'a streamed chat: one role, one finish_reason, [DONE] at the end, the text of the whole reply',
  required: true,
  async run({ api, model }) {
    const whole = await api.chat(question(model));
    const { status, text, events } = await api.stream('/v1/chat/completions', question(model));
    if (status !== 200) return fails(`${status}: ${short(text)}`);
    const choices = choicesOf(events);
    const roles = choices.filter((choice) => typeof at(choice, 'delta', 'role') === 'string').length;
    const ends = choices.filter((choice) => typeof at(choice, 'finish_reason') === 'string').length;
    if (events.at(-1) !== '[DONE]') return fails(`the last event is ${short(events.at(-1))}; expected [DONE]`);
    if (roles !== 1) return fails(`${roles} events with a role; expected 1`);
    if (ends !== 1) return fails(`${ends} events with a finish_reason; expected 1`);
    if (events.some((event) => at(parse(event), 'error') !== undefined)) return fails('an error event in the stream');
    const said = streamText(events);
    if (said === '') return fails('no text in the stream');
    const same = said === contentOf(whole) ? 'the text of the whole reply' : 'another text than the whole reply';
    return works(`${events.length} events, ${same}`);
  },
};

const streamUsage: Scenario = {
  name: 'stream-usage',
  title: 'stream_options.include_usage: one last chunk with usage and no choices; without it none',
  required: true,
  async run({ api, model }) {
    const path = '/v1/chat/completions';
    const asked = await api.stream(path, { ...question(model), stream_options: { include_usage: true } });
    if (asked.status !== 200) return fails(`${asked.status}: ${short(asked.text)}`);
    const chunks = asked.events.filter((event) => event !== '[DONE]').map((event) => parse(event));
    const withUsage = chunks.filter((chunk) => typeof at(chunk, 'usage') === 'object' && at(chunk, 'usage') !== null);
    if (withUsage.length !== 1) return fails(`${withUsage.length} chunks with usage; expected 1`);
    const last = chunks.at(-1);
    if (last !== withUsage[0]) return fails('the chunk with usage is not the last one');
    if (list(at(last, 'choices')).length > 0) return fails('the chunk with usage has choices; OpenAI gives it an empty list');
    if (!addsUp(at(last, 'usage'))) return fails(`usage: ${short(at(last, 'usage'))}`);
    const unasked = await api.stream(path, question(model));
    const extra = unasked.events.some((event) => typeof at(parse(event), 'usage') === 'object' && at(parse(event), 'usage') !== null);
    return extra ? fails('usage in a stream that did not ask for it') : works(short(at(last, 'usage')));
  },
};

const completions: Scenario = {
  name: 'completions',
  title: 'POST /v1/completions, whole and streamed',
  required: true,
  async run({ api, model }) {
    const body = { model, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 };
    const reply = await api.post('/v1/completions', body);
    if (reply.status !== 200) return fails(errorOf(reply));
    const text = at(reply.json, 'choices', 0, 'text');
    if (typeof text !== 'string' || text === '') return fails(`no text: ${short(reply.text)}`);
    if (at(reply.json, 'model') !== model) return fails(`model is ${short(at(reply.json, 'model'))}; expected ${model}`);
    const { status, events } = await api.stream('/v1/completions', body);
    if (status !== 200 || events.at(-1) !== '[DONE]') return fails(`streamed: ${status}, last event ${short(events.at(-1))}`);
    const streamed = choicesOf(events).some((choice) => typeof at(choice, 'text') === 'string' && at(choice, 'text') !== '');
    return streamed ? works(short(text, 60)) : fails('no text in the stream');
  },
};

const maxCompletionTokens: Scenario = {
  name: 'max_completion_tokens',
  title: 'a reply ends at max_completion_tokens, with finish_reason length',
  required: true,
  async run({ api, model }) {
    const { max_tokens: _, ...asked } = question(model, longQuestion);
    const reply = await api.chat({ ...asked, max_completion_tokens: 4 });
    if (reply.status !== 200) return fails(errorOf(reply));
    const made = at(reply.json, 'usage', 'completion_tokens');
    if (typeof made !== 'number' || made > 4) return fails(`${short(made)} tokens; expected at most 4`);
    return finishOf(reply) === 'length' ? works(`${made} tokens`) : fails(`finish_reason ${short(finishOf(reply))}; expected length`);
  },
};

const stop: Scenario = {
  name: 'stop',
  title: 'a reply ends before a stop sequence',
  required: false,
  async run({ api, model }) {
    const whole = await api.chat(question(model));
    if (whole.status !== 200) return fails(errorOf(whole));
    const text = contentOf(whole);
    const letter = typeof text === 'string' ? /[a-z]/.exec(text.slice(2))?.[0] : undefined;
    if (letter === undefined) return unshown(`no letter to stop at in ${short(text)}`);
    const reply = await api.chat({ ...question(model), stop: [letter] });
    if (reply.status !== 200) return refusal(reply);
    const dropped = droppedOf(reply);
    if (dropped !== undefined) return unshown(dropped);
    const said = contentOf(reply);
    if (typeof said === 'string' && said.includes(letter)) return fails(`stop ${short(letter)}, but the reply is ${short(said)}`);
    if (typeof said !== 'string' && said !== null) return fails(`no text: ${short(reply.text)}`);
    return finishOf(reply) === 'stop' ? works(`before ${short(letter)}: ${short(said)}`) : fails(`finish_reason ${short(finishOf(reply))}`);
  },
};

const n: Scenario = {
  name: 'n',
  title: 'n: 2 gives two choices',
  required: false,
  async run({ api, model }) {
    const reply = await api.chat({ ...question(model), n: 2, temperature: 1, max_tokens: 8 });
    if (reply.status !== 200) return refusal(reply);
    const dropped = droppedOf(reply);
    if (dropped !== undefined) return unshown(dropped);
    const choices = list(at(reply.json, 'choices'));
    const indexes = choices.map((choice) => String(at(choice, 'index')));
    return indexes.toSorted().join() === '0,1' ? works('indexes 0 and 1') : fails(`choices with the indexes ${short(indexes)}`);
  },
};

const seed: Scenario = {
  name: 'seed',
  title: 'the same seed gives the same text',
  required: false,
  async run({ api, model }) {
    const ask = async (value: number): Promise<Outcome | string> => {
      const reply = await api.chat({ ...question(model, 'Tell me a story.'), temperature: 1, max_tokens: 16, seed: value });
      if (reply.status !== 200) return refusal(reply);
      const dropped = droppedOf(reply);
      return dropped === undefined ? String(contentOf(reply)) : unshown(dropped);
    };
    const texts: string[] = [];
    for (const value of [7, 7, 8]) {
      const text = await ask(value);
      if (typeof text !== 'string') return text;
      texts.push(text);
    }
    const [first = '', same = '', other = ''] = texts;
    if (first !== same) return fails(`${short(first, 60)}, then ${short(same, 60)}`);
    return first === other ? unshown(`another seed gives the same text too: ${short(first, 60)}`) : works(short(first, 60));
  },
};

const logprobs: Scenario = {
  name: 'logprobs',
  title: 'logprobs and top_logprobs',
  required: false,
  async run({ api, model }) {
    const reply = await api.chat({ ...question(model), max_tokens: 3, logprobs: true, top_logprobs: 2 });
    if (reply.status !== 200) return refusal(reply);
    const dropped = droppedOf(reply);
    if (dropped !== undefined) return unshown(dropped);
    const tokens = list(at(reply.json, 'choices', 0, 'logprobs', 'content'));
    if (tokens.length === 0) return fails(`logprobs: ${short(at(reply.json, 'choices', 0, 'logprobs'))}`);
    const wrong = tokens.find((token) => {
      const logprob = at(token, 'logprob');
      return typeof logprob !== 'number' || logprob > 0 || list(at(token, 'top_logprobs')).length !== 2;
    });
    return wrong === undefined ? works(`${tokens.length} tokens`) : fails(short(wrong));
  },
};

export const textScenarios: readonly Scenario[] = [
  models,
  chat,
  stream,
  streamUsage,
  completions,
  maxCompletionTokens,
  stop,
  n,
  seed,
  logprobs,
];
