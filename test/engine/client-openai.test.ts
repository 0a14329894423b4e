import assert from 'node:assert/strict';
import OpenAI, {
  APIConnectionTimeoutError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import {
  answerSchema,
  capital,
  chatModel,
  clientKey,
  clientTest,
  embeddingModel,
  leftNothing,
  onceKey,
  redSquare,
  tooLong,
} from '../support/real-clients.ts';

const question = { model: chatModel, messages: [{ role: 'user' as const, content: capital }], temperature: 0, max_tokens: 32 };
const answer = z.object({ colour: z.enum(['red', 'green']), certain: z.boolean() });
const light = {
  type: 'function' as const,
  function: {
    name: 'set_light',
    description: 'Switches the light on or off.',
    parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'], additionalProperties: false },
  },
};

/** Whether an error is of that class, and says what was wrong. */
const is =
  (kind: typeof BadRequestError | typeof NotFoundError, code: string, param?: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof kind, String(error));
    assert.deepEqual([error.code, error.param, typeof error.type], [code, param ?? null, 'string'], String(error));
    return true;
  };

clientTest("OpenAI's npm client", { embeddings: true }, async (t, gateway) => {
  const options = { baseURL: `${gateway.url}/v1`, maxRetries: 0 };
  const client = new OpenAI({ ...options, apiKey: clientKey });
  const ask = (more: object): Promise<unknown> => client.chat.completions.create({ ...question, ...more });

  await t.test('chat, whole and streamed by its helper, gives the same text', async () => {
    const chat = await client.chat.completions.create(question);
    assert.match(chat.choices[0]?.message.content ?? '', /Paris/);
    const stream = client.chat.completions.stream({ ...question, stream_options: { include_usage: true } });
    const whole = await stream.finalChatCompletion();
    assert.equal(whole.choices[0]?.message.content, chat.choices[0]?.message.content);
    assert.equal(whole.choices[0]?.message.role, 'assistant');
    assert.equal(whole.choices[0]?.finish_reason, 'stop');
    assert.equal(whole.model, chatModel);
    assert.deepEqual((await stream.totalUsage()).completion_tokens, chat.usage?.completion_tokens);
  });

  await t.test('completions, with echo left out and said so, and usage in a last chunk of its own', async () => {
    const prompt = { model: chatModel, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 };
    const { data, response } = await client.completions.create({ ...prompt, echo: true }).withResponse();
    assert.equal(data.object, 'text_completion');
    assert.match(response.headers.get('x-gateway-dropped-params') ?? '', /echo/);
    const chunks: OpenAI.Completion[] = [];
    for await (const chunk of await client.completions.create({ ...prompt, stream: true, stream_options: { include_usage: true } }))
      chunks.push(chunk);
    assert.equal(chunks.map(({ choices }) => choices[0]?.text ?? '').join(''), data.choices[0]?.text);
    assert.deepEqual(chunks.map(({ usage }) => usage?.completion_tokens).filter(Boolean), [8]);
    assert.deepEqual(chunks.at(-1)?.choices, []);
  });

  await t.test('structured output is parsed by a zod schema, in chat and in responses', async () => {
    const chat = await client.chat.completions.parse({
      ...question,
      max_tokens: 120,
      response_format: zodResponseFormat(answer, 'answer'),
    });
    assert.ok(answer.safeParse(chat.choices[0]?.message.parsed).success, JSON.stringify(chat.choices));
    const response = await client.responses.parse({
      model: chatModel,
      input: capital,
      temperature: 0,
      max_output_tokens: 120,
      text: { format: zodTextFormat(answer, 'answer') },
    });
    assert.ok(answer.safeParse(response.output_parsed).success, response.output_text);
  });

  await t.test('structured output by the schema itself', async () => {
    const format = { type: 'json_schema' as const, json_schema: { name: 'answer', strict: true, schema: answerSchema } };
    const chat = await client.chat.completions.create({ ...question, max_tokens: 120, response_format: format });
    assert.ok(answer.safeParse(JSON.parse(chat.choices[0]?.message.content ?? '')).success);
  });

  await t.test('a call that tool_choice asks for is made, whole and streamed by its helper', async () => {
    const asked = { ...question, max_tokens: 120, tools: [light], tool_choice: 'required' as const };
    const { choices } = await client.chat.completions.create(asked);
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    for (const choice of [choices[0], streamed.choices[0]]) {
      assert.equal(choice?.finish_reason, 'tool_calls');
      const [call] = choice.message.tool_calls ?? [];
      assert.ok(call?.type === 'function' && call.function.name === 'set_light' && call.id !== '', JSON.stringify(choice));
      assert.equal(typeof (JSON.parse(call.function.arguments) as { on: unknown }).on, 'boolean');
    }
  });

  await t.test('so in the Responses API', async () => {
    const tool = { type: 'function' as const, strict: true, ...light.function };
    const asked = {
      model: chatModel,
      input: capital,
      temperature: 0,
      max_output_tokens: 120,
      tools: [tool],
      tool_choice: 'required' as const,
    };
    const whole = await client.responses.create(asked);
    const streamed = await client.responses.stream(asked).finalResponse();
    for (const { output } of [whole, streamed]) {
      const [call] = output;
      assert.ok(call?.type === 'function_call' && call.name === 'set_light' && call.call_id !== '', JSON.stringify(output));
      assert.equal(typeof (JSON.parse(call.arguments) as { on: unknown }).on, 'boolean');
    }
  });

  await t.test('tools are offered, and the result of a call is taken', async () => {
    const offered = await client.chat.completions.create({ ...question, tools: [light], tool_choice: 'auto' });
    assert.equal(offered.choices[0]?.message.role, 'assistant');
    const call = { id: 'call_1', type: 'function' as const, function: { name: 'set_light', arguments: '{"on":true}' } };
    const after = await client.chat.completions.create({
      ...question,
      messages: [
        { role: 'user', content: 'Switch the light on.' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'call_1', content: 'The light is on.' },
      ],
      tools: [light],
    });
    assert.ok((after.choices[0]?.message.content ?? '').length > 0);
  });

  await t.test('an image is seen', async () => {
    const image = { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${redSquare}` } };
    const content = [image, { type: 'text' as const, text: 'What color is the image?' }];
    const chat = await client.chat.completions.create({ ...question, messages: [{ role: 'user', content }] });
    assert.match(chat.choices[0]?.message.content ?? '', /red/i);
  });

  await t.test('responses, whole and streamed by its helper', async () => {
    const asked = { model: chatModel, input: capital, temperature: 0, max_output_tokens: 32 };
    const response = await client.responses.create(asked);
    assert.match(response.output_text, /Paris/);
    assert.equal(response.status, 'completed');
    const numbers: number[] = [];
    const stream = client.responses.stream(asked).on('event', (event) => numbers.push(event.sequence_number));
    assert.equal((await stream.finalResponse()).output_text, response.output_text);
    assert.deepEqual(
      numbers,
      numbers.map((_, at) => at),
    );
  });

  await t.test('embeddings, as base64 (its default) and as numbers', async () => {
    const input = ['a cat', 'a kitten', 'the stock market'];
    const coded = await client.embeddings.create({ model: embeddingModel, input });
    const plain = await client.embeddings.create({ model: embeddingModel, input, encoding_format: 'float' });
    assert.deepEqual(
      coded.data.map(({ index }) => index),
      [0, 1, 2],
    );
    for (const [at, { embedding }] of plain.data.entries()) {
      assert.ok(embedding.length > 100);
      assert.ok(embedding.every((value, place) => Math.abs(value - (coded.data[at]?.embedding[place] ?? NaN)) < 1e-4));
    }
    assert.ok(plain.usage.prompt_tokens > 0);
  });

  await t.test('models are listed, with what is known of each, and shown by id', async () => {
    const { data } = await client.models.list();
    assert.deepEqual(
      data.map(({ id }) => id),
      [chatModel, embeddingModel],
    );
    assert.deepEqual(await client.models.retrieve(chatModel), data[0]);
    assert.deepEqual(Object.keys(data[0] ?? {}).sort(), ['created', 'id', 'max_model_len', 'object', 'owned_by', 'parent', 'status']);
    await assert.rejects(client.models.retrieve('nope'), NotFoundError);
  });

  await t.test('mistakes are its typed errors, with code and param', async () => {
    await assert.rejects(ask({ model: 'nope' }), is(NotFoundError, 'model_not_found', 'model'));
    await assert.rejects(ask({ messages: 'hi' }), is(BadRequestError, 'request_invalid', 'messages'));
    await assert.rejects(ask({ messages: [{ role: 'user', content: tooLong }] }), is(BadRequestError, 'context_length_exceeded'));
    await assert.rejects(ask({ messages: [{ content: 'no role' }] }), BadRequestError);
    await assert.rejects(ask({ tools: [{ type: 'function' }] }), BadRequestError);
    await assert.rejects(new OpenAI({ ...options, apiKey: 'wrong' }).models.list(), AuthenticationError);
  });

  await t.test('a key that is used up is its RateLimitError, with when to try again', async () => {
    const once = new OpenAI({ ...options, apiKey: onceKey });
    const { response } = await once.chat.completions.create({ ...question, max_tokens: 1 }).withResponse();
    assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '0');
    await assert.rejects(once.chat.completions.create(question), (error) => {
      assert.ok(error instanceof RateLimitError);
      assert.equal(error.code, 'rate_limited');
      assert.match(error.headers.get('retry-after') ?? '', /^\d+$/);
      assert.match(error.headers.get('retry-after-ms') ?? '', /^\d+$/);
      return true;
    });
  });

  await t.test('what it aborts, and what it has no time for, ends at the engine too', async () => {
    const long = { ...question, max_tokens: 2000, ignore_eos: true, stream: true as const };
    const stream = await client.chat.completions.create(long);
    for await (const _ of stream) stream.controller.abort();
    const left = new AbortController();
    const asked = client.chat.completions.create({ ...long, stream: false }, { signal: left.signal });
    setImmediate(() => left.abort());
    await assert.rejects(asked, APIUserAbortError);
    await assert.rejects(client.chat.completions.create({ ...long, stream: false }, { timeout: 200 }), APIConnectionTimeoutError);
    await leftNothing(gateway);
  });
});
