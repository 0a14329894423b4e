import assert from 'node:assert/strict';
import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { z } from 'zod';
import {
  capital,
  chatModel,
  clientKey,
  clientTest,
  embeddingModel,
  leftNothing,
  onceKey,
  redSquare,
  story,
  tooLong,
} from '../support/real-clients.ts';

const answer = z.object({ colour: z.enum(['red', 'green']), certain: z.boolean() });
const light = tool(() => 'The light is on.', {
  name: 'set_light',
  description: 'Switches the light on or off.',
  schema: z.object({ on: z.boolean() }),
});

/** What a message says that it cost; its own types lose that member here. */
const tokensOf = (message: object): number =>
  (message as { usage_metadata?: { output_tokens: number } }).usage_metadata?.output_tokens ?? 0;

const is =
  (status: number, code: string) =>
  (error: unknown): boolean => {
    const { status: seen, code: said } = error as { status?: number; code?: string };
    assert.deepEqual([seen, said], [status, code], String(error));
    return true;
  };

clientTest('LangChain', { embeddings: true }, async (t, gateway) => {
  const configuration = { baseURL: `${gateway.url}/v1` };
  const chat = (more: object = {}): ChatOpenAI =>
    new ChatOpenAI({ model: chatModel, apiKey: clientKey, temperature: 0, maxTokens: 32, maxRetries: 0, configuration, ...more });

  await t.test('invoke and stream give the same text, with usage', async () => {
    const whole = await chat().invoke(capital);
    assert.match(whole.text, /Paris/);
    let text = '';
    let made = 0;
    for await (const chunk of await chat().stream(capital)) {
      text += chunk.text;
      made += tokensOf(chunk);
    }
    assert.equal(text, whole.text);
    assert.ok(made > 0);
    assert.equal(made, tokensOf(whole));
  });

  await t.test('structured output is parsed by a zod schema', async () => {
    const parsed = await chat({ maxTokens: 120 }).withStructuredOutput(answer, { method: 'jsonSchema' }).invoke(capital);
    assert.ok(answer.safeParse(parsed).success, JSON.stringify(parsed));
  });

  await t.test('structured output by a call of a function', async () => {
    const parsed = await chat({ maxTokens: 120 }).withStructuredOutput(answer, { method: 'functionCalling' }).invoke(capital);
    assert.ok(answer.safeParse(parsed).success, JSON.stringify(parsed));
  });

  await t.test('tools are offered, and the result of a call is taken', async () => {
    const bound = chat().bindTools([light]);
    assert.equal((await bound.invoke(capital)).type, 'ai');
    const after = await bound.invoke([
      new HumanMessage('Switch the light on.'),
      new AIMessage({ content: '', tool_calls: [{ id: 'call_1', name: 'set_light', args: { on: true } }] }),
      new ToolMessage({ content: 'The light is on.', tool_call_id: 'call_1' }),
    ]);
    assert.ok(after.text.length > 0);
  });

  await t.test('an image is seen', async () => {
    const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${redSquare}` } };
    const seen = await chat().invoke([new HumanMessage({ content: [image, { type: 'text', text: 'What color is the image?' }] })]);
    assert.match(seen.text, /red/i);
  });

  await t.test('the Responses API, whole and streamed', async () => {
    const responses = chat({ useResponsesApi: true });
    const whole = await responses.invoke(capital);
    assert.match(whole.text, /Paris/);
    let text = '';
    for await (const chunk of await responses.stream(capital)) text += chunk.text;
    assert.equal(text, whole.text);
  });

  await t.test('embeddings', async () => {
    const embeddings = new OpenAIEmbeddings({ model: embeddingModel, apiKey: clientKey, maxRetries: 0, configuration });
    const vectors = await embeddings.embedDocuments(['a cat', 'a kitten']);
    assert.equal(vectors.length, 2);
    assert.ok(vectors.every((vector) => vector.length > 100 && vector.every(Number.isFinite)));
  });

  await t.test('mistakes keep their status and code', async () => {
    await assert.rejects(chat({ model: 'nope' }).invoke(capital), is(404, 'model_not_found'));
    await assert.rejects(chat().invoke(tooLong), is(400, 'context_length_exceeded'));
    await assert.rejects(chat({ apiKey: 'wrong' }).invoke(capital), is(401, 'invalid_api_key'));
    const once = chat({ apiKey: onceKey, maxTokens: 1 });
    await once.invoke(capital);
    await assert.rejects(once.invoke(capital), is(429, 'rate_limited'));
  });

  await t.test('what it aborts ends at the engine too', async () => {
    const left = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const _ of await chat({ maxTokens: 2000 }).stream(story, { signal: left.signal })) left.abort();
    };
    await assert.rejects(reading(), /abort/i);
    await leftNothing(gateway);
  });
});
