import assert from 'node:assert/strict';
import Anthropic, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from '@anthropic-ai/sdk';
import { capital, chatModel, clientKey, clientTest, leftNothing, onceKey, redSquare, story, tooLong } from '../support/real-clients.ts';

const question = { model: chatModel, messages: [{ role: 'user' as const, content: capital }], temperature: 0, max_tokens: 32 };
const light: Anthropic.Tool = {
  name: 'set_light',
  description: 'Switches the light on or off.',
  input_schema: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] },
};
const textOf = ({ content }: Anthropic.Message): string => content.map((block) => (block.type === 'text' ? block.text : '')).join('');

/** Whether an error is of that class, and its body in Anthropic's shape. */
const is =
  (kind: new (...args: never[]) => Error & { readonly error: unknown }, type: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof kind, String(error));
    const body = error.error as { readonly type: string; readonly error: { readonly type: string; readonly message: string } };
    assert.deepEqual([body.type, body.error.type], ['error', type]);
    assert.ok(body.error.message.length > 0);
    return true;
  };

clientTest("Anthropic's npm client", { embeddings: false }, async (t, gateway) => {
  const options = { baseURL: gateway.url, maxRetries: 0 };
  const client = new Anthropic({ ...options, apiKey: clientKey });

  await t.test('messages, whole and streamed by its helper, give the same text', async () => {
    const message = await client.messages.create(question);
    assert.match(textOf(message), /Paris/);
    assert.deepEqual([message.type, message.role, message.model, message.stop_reason], ['message', 'assistant', chatModel, 'end_turn']);
    assert.ok(message.usage.output_tokens > 0);
    let streamed = '';
    const stream = client.messages.stream(question).on('text', (delta) => {
      streamed += delta;
    });
    const whole = await stream.finalMessage();
    assert.equal(textOf(whole), textOf(message));
    assert.equal(streamed, textOf(message));
    assert.deepEqual([whole.model, whole.stop_reason], [chatModel, 'end_turn']);
  });

  await t.test('a reply that max_tokens ends says so; a system prompt and stop sequences are taken', async () => {
    const short = await client.messages.create({ ...question, system: 'Answer in English.', max_tokens: 2 });
    assert.equal(short.stop_reason, 'max_tokens');
    const stopped = await client.messages.create({ ...question, stop_sequences: ['of'] });
    assert.doesNotMatch(textOf(stopped), /of/);
  });

  await t.test('count_tokens counts what the message then has', async () => {
    const { input_tokens: counted } = await client.messages.countTokens({ model: chatModel, messages: question.messages });
    const { usage } = await client.messages.create({ ...question, max_tokens: 1 });
    assert.equal(counted, usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
  });

  await t.test('tools are offered, and the result of a call is taken', async () => {
    assert.equal((await client.messages.create({ ...question, tools: [light] })).role, 'assistant');
    const after = await client.messages.create({
      ...question,
      tools: [light],
      messages: [
        { role: 'user', content: 'Switch the light on.' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'set_light', input: { on: true } }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'The light is on.' }] },
      ],
    });
    assert.ok(textOf(after).length > 0);
  });

  await t.test('an image is seen', async () => {
    const image = { type: 'image' as const, source: { type: 'base64' as const, media_type: 'image/png' as const, data: redSquare } };
    const content = [image, { type: 'text' as const, text: 'What color is the image?' }];
    assert.match(textOf(await client.messages.create({ ...question, messages: [{ role: 'user', content }] })), /red/i);
  });

  await t.test('mistakes are its typed errors, in its own shape', async () => {
    const ask = (more: object): Promise<unknown> => client.messages.create({ ...question, ...more });
    await assert.rejects(ask({ model: 'nope' }), is(NotFoundError, 'not_found_error'));
    await assert.rejects(ask({ messages: 'hi' }), is(BadRequestError, 'invalid_request_error'));
    await assert.rejects(ask({ messages: [{ role: 'user', content: tooLong }] }), is(BadRequestError, 'invalid_request_error'));
    const stranger = new Anthropic({ ...options, apiKey: 'wrong' });
    await assert.rejects(stranger.messages.create(question), is(AuthenticationError, 'authentication_error'));
  });

  await t.test('a key that is used up is its RateLimitError, with when to try again', async () => {
    const once = new Anthropic({ ...options, apiKey: onceKey });
    await once.messages.create({ ...question, max_tokens: 1 });
    await assert.rejects(once.messages.create(question), (error) => {
      assert.ok(error instanceof RateLimitError);
      assert.match(error.headers.get('retry-after') ?? '', /^\d+$/);
      return true;
    });
  });

  await t.test('what it aborts ends at the engine too', async () => {
    const stream = client.messages.stream({ ...question, messages: [{ role: 'user', content: story }], max_tokens: 2000 });
    stream.on('streamEvent', () => stream.abort());
    await assert.rejects(stream.finalMessage(), APIUserAbortError);
    await leftNothing(gateway);
  });
});
