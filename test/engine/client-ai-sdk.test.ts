import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany, generateText, Output, streamText, tool } from 'ai';
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
const light = tool({
  description: 'Switches the light on or off.',
  inputSchema: z.object({ on: z.boolean() }),
  execute: () => 'The light is on.',
});

/** Whether an error is a refusal by the API with that status, and whether the SDK would try again. */
const is =
  (status: number, retryable: boolean, code: string) =>
  (error: unknown): boolean => {
    assert.ok(APICallError.isInstance(error), String(error));
    assert.deepEqual([error.statusCode, error.isRetryable], [status, retryable], error.responseBody);
    assert.equal((JSON.parse(error.responseBody ?? '{}') as { error: { code: string } }).error.code, code);
    assert.ok(error.message.length > 0 && !error.message.startsWith('{'), error.message);
    return true;
  };

clientTest('the AI SDK', { embeddings: true }, async (t, gateway) => {
  const provider = (apiKey: string) =>
    createOpenAICompatible({
      name: 'roundhouse',
      baseURL: `${gateway.url}/v1`,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
    });
  const ours = provider(clientKey);
  const settings = { model: ours(chatModel), temperature: 0, maxOutputTokens: 32, maxRetries: 0 };
  const question = { ...settings, prompt: capital };

  await t.test('text, whole and streamed, is the same', async () => {
    const whole = await generateText(question);
    assert.match(whole.text, /Paris/);
    assert.equal(whole.finishReason, 'stop');
    const streamed = streamText(question);
    let text = '';
    for await (const piece of streamed.textStream) text += piece;
    assert.equal(text, whole.text);
    assert.deepEqual((await streamed.usage).outputTokens, whole.usage.outputTokens);
    assert.ok((whole.usage.outputTokens ?? 0) > 0);
  });

  await t.test('structured output is parsed by a zod schema', async () => {
    const { output } = await generateText({ ...question, maxOutputTokens: 120, output: Output.object({ schema: answer }) });
    assert.ok(answer.safeParse(output).success, JSON.stringify(output));
  });

  await t.test('a call that toolChoice asks for is made and carried out, whole and streamed', async () => {
    const asked = { ...question, maxOutputTokens: 120, tools: { light }, toolChoice: 'required' as const };
    const results = [await generateText(asked), streamText(asked)];
    for (const result of results) {
      const [called] = await result.toolResults;
      assert.deepEqual([called?.toolName, called?.output, await result.finishReason], ['light', 'The light is on.', 'tool-calls']);
    }
  });

  await t.test('tools are offered, and the result of a call is taken', async () => {
    assert.equal((await generateText({ ...question, tools: { light } })).finishReason, 'stop');
    const call = { toolCallId: 'call_1', toolName: 'light' };
    const { text } = await generateText({
      ...settings,
      tools: { light },
      messages: [
        { role: 'user', content: 'Switch the light on.' },
        { role: 'assistant', content: [{ type: 'tool-call', ...call, input: { on: true } }] },
        { role: 'tool', content: [{ type: 'tool-result', ...call, output: { type: 'text', value: 'The light is on.' } }] },
      ],
    });
    assert.ok(text.length > 0);
  });

  await t.test('an image is seen', async () => {
    const content = [
      { type: 'file' as const, data: redSquare, mediaType: 'image/png' },
      { type: 'text' as const, text: 'What color is the image?' },
    ];
    const { text } = await generateText({ ...settings, messages: [{ role: 'user', content }] });
    assert.match(text, /red/i);
  });

  await t.test('embeddings', async () => {
    const { embeddings } = await embedMany({ model: ours.embeddingModel(embeddingModel), values: ['a cat', 'a kitten'], maxRetries: 0 });
    assert.equal(embeddings.length, 2);
    assert.ok(embeddings.every((vector) => vector.length > 100 && vector.every(Number.isFinite)));
  });

  await t.test('mistakes are its APICallError, and it knows which may be tried again', async () => {
    await assert.rejects(generateText({ ...question, model: ours('nope') }), is(404, false, 'model_not_found'));
    await assert.rejects(generateText({ ...question, prompt: tooLong }), is(400, false, 'context_length_exceeded'));
    await assert.rejects(generateText({ ...question, model: provider('wrong')(chatModel) }), is(401, false, 'invalid_api_key'));
    const once = { ...question, model: provider(onceKey)(chatModel), maxOutputTokens: 1 };
    await generateText(once);
    await assert.rejects(generateText(once), is(429, true, 'rate_limited'));
  });

  await t.test('what it aborts ends at the engine too', async () => {
    const left = new AbortController();
    const { textStream } = streamText({
      ...question,
      prompt: story,
      maxOutputTokens: 2000,
      abortSignal: left.signal,
      onError: () => undefined,
    });
    for await (const _ of textStream) left.abort();
    await leftNothing(gateway);
  });
});
