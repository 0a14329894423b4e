import { contentOf } from './api.ts';
import { at, list, short } from './json.ts';
import { plainPng } from './png.ts';
import { errorOf, fails, malformedError, question, refusal, unshown, works, type Scenario } from './scenario.ts';

const vision: Scenario = {
  name: 'vision',
  title: 'an image as data URL is seen',
  required: false,
  async run({ api, model }) {
    const url = `data:image/png;base64,${plainPng(64, [255, 0, 0]).toString('base64')}`;
    const content = [
      { type: 'image_url', image_url: { url } },
      { type: 'text', text: 'What color is the image?' },
    ];
    const reply = await api.chat({ ...question(model), messages: [{ role: 'user', content }] });
    if (reply.status !== 200) return refusal(reply);
    const text = String(contentOf(reply));
    return /\bred\b/i.test(text) ? works(short(text)) : fails(`the image is red, the reply is ${short(text)}`);
  },
};

const embeddings: Scenario = {
  name: 'embeddings',
  title: 'POST /v1/embeddings: a vector each, in order, alike for alike texts',
  required: false,
  async run({ api, model }) {
    const input = ['A cat sleeps on the sofa.', 'A kitten naps on the couch.', 'The stock market fell by two percent.'];
    const reply = await api.post('/v1/embeddings', { model, input });
    if (reply.status !== 200) return refusal(reply);
    const entries = list(at(reply.json, 'data'));
    if (entries.map((entry) => at(entry, 'index')).join() !== '0,1,2') return fails(`data: ${short(reply.text)}`);
    const vectors = entries.map((entry) => list(at(entry, 'embedding')).map(Number));
    const [cat = [], kitten = [], stocks = []] = vectors;
    const lengths = new Set(vectors.map(({ length }) => length));
    if (lengths.size !== 1 || cat.length === 0) return fails(`vectors of ${[...lengths].join(', ')} numbers`);
    const [near, far] = [cosine(cat, kitten), cosine(cat, stocks)];
    const seen = `${cat.length} numbers; alike ${near.toFixed(2)}, unlike ${far.toFixed(2)}`;
    return near > far ? works(seen) : fails(seen);
  },
};

function dot(left: readonly number[], right: readonly number[]): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}

function cosine(left: readonly number[], right: readonly number[]): number {
  return dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right));
}

const adapter: Scenario = {
  name: 'lora',
  title: 'an adapter answers differently from its base',
  required: false,
  async run({ api, model, adapter: name }) {
    if (name === undefined) return unshown('no adapter named (--adapter)');
    const text = 'Tell me about horses.';
    const base = await api.chat(question(model, text));
    if (base.status !== 200) return fails(`the base: ${errorOf(base)}`);
    const adapted = await api.chat({ ...question(name, text) });
    if (adapted.status !== 200) return fails(`${name}: ${errorOf(adapted)}`);
    if (at(adapted.json, 'model') !== name) return fails(`model is ${short(at(adapted.json, 'model'))}; expected ${name}`);
    const said = short(contentOf(adapted), 60);
    return contentOf(adapted) === contentOf(base) ? fails(`the same answer: ${said}`) : works(said);
  },
};

const errors: Scenario = {
  name: 'errors',
  title: "mistakes of the client: 4xx with OpenAI's error object",
  required: true,
  async run({ api, model }) {
    const mistakes: readonly (readonly [string, object])[] = [
      ['messages is text', { ...question(model), messages: 'hello' }],
      ['no messages', { model }],
      ['a message without a role', { ...question(model), messages: [{ content: 'hello' }] }],
      ['temperature is text', { ...question(model), temperature: 'hot' }],
    ];
    for (const [mistake, body] of mistakes) {
      const reply = await api.chat(body);
      if (reply.status < 400 || reply.status >= 500) return fails(`${mistake}: ${reply.status} ${short(reply.text)}; expected 4xx`);
      const malformed = malformedError(reply);
      if (malformed !== undefined) return fails(`${mistake}: ${malformed}`);
    }
    return works(`${mistakes.length} mistakes`);
  },
};

const unknownModel: Scenario = {
  name: 'unknown-model',
  title: 'a model that is not there: 404, code model_not_found',
  required: true,
  async run({ api }) {
    const name = 'no-such-model-here';
    for (const reply of [await api.chat(question(name)), await api.get(`/v1/models/${name}`)]) {
      if (reply.status !== 404) return fails(`${errorOf(reply)}; expected 404`);
      const malformed = malformedError(reply);
      if (malformed !== undefined) return fails(malformed);
      const code = at(reply.json, 'error', 'code');
      if (code !== 'model_not_found') return fails(`error.code ${short(code)}; expected model_not_found`);
    }
    return works('404, model_not_found');
  },
};

/** A client that leaves must have freed its place by then; an engine notices within a few steps. */
const abortLimitMs = 5000;

const abort: Scenario = {
  name: 'abort',
  title: 'a client that leaves is felt: nothing of it stays in flight',
  required: true,
  async run({ api, model, inFlight, clock }) {
    if (inFlight === undefined) return unshown("the gateway's admin socket is not reached (-c, --state-dir)");
    const before = await inFlight();
    if (before > 0) return unshown(`${before} other requests in flight`);
    const long = { ...question(model, 'Count from one to one thousand, in words.'), max_tokens: 1000, ignore_eos: true };
    const { status, first } = await api.leaveStream('/v1/chat/completions', long);
    if (status !== 200) return fails(`${status}: ${short(first)}`);
    if (first.includes('[DONE]')) return unshown('the reply had ended before its client could leave');
    const left = clock.now();
    while ((await inFlight()) > 0) {
      if (clock.now() - left > abortLimitMs) return fails(`still in flight ${abortLimitMs / 1000} s after the client left`);
      await clock.sleep(20);
    }
    return works(`gone after ${Math.round(clock.now() - left)} ms`);
  },
};

export const otherScenarios: readonly Scenario[] = [vision, embeddings, adapter, errors, unknownModel, abort];
