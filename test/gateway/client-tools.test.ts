import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool as langTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, isStepCount, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import { isMapping } from '../../src/core/json.ts';
import { dataPlane, event, model, scriptedEngine, type ScriptedEngine } from '../support/data-plane.ts';

/*
 * No small model calls a function when it should. This engine does, in the words of vLLM's replies (0.26.0): the first turn is a call, the one
 * that has its result is an answer with it in.
 */
const head = { id: 'chatcmpl-b80', created: 1_795_385_650, model };
const call = { id: 'chatcmpl-tool-af1', type: 'function', function: { name: 'set_light', arguments: '{"on": true}' } };
const usage = { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 };

interface Turn {
  readonly stream?: boolean;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
}

const chunk = (delta: object, finish: string | null = null): string =>
  event({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });

const callChunks = [
  chunk({ role: 'assistant', content: '' }),
  chunk({ tool_calls: [{ index: 0, id: call.id, type: 'function', function: { name: 'set_light' } }] }),
  ...['{"on"', ': tr', 'ue}'].map((piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
  chunk({}, 'tool_calls'),
];

function chatReply({ stream, messages }: Turn): string {
  const result = messages.findLast(({ role }) => role === 'tool')?.content;
  const done = result === undefined ? undefined : `Done: ${typeof result === 'string' ? result : JSON.stringify(result)}`;
  if (stream === true) {
    const chunks = done === undefined ? callChunks : [chunk({ role: 'assistant', content: done }), chunk({}, 'stop')];
    return [...chunks, event({ ...head, object: 'chat.completion.chunk', choices: [], usage }), event('[DONE]')].join('');
  }
  const message = { role: 'assistant', content: done ?? null, tool_calls: done === undefined ? [call] : [] };
  const choice = { index: 0, message, logprobs: null, finish_reason: done === undefined ? 'tool_calls' : 'stop' };
  return JSON.stringify({ ...head, object: 'chat.completion', choices: [choice], usage });
}

function messagesReply({ messages }: Turn): string {
  const blocks = messages.flatMap(({ content }): unknown[] => (Array.isArray(content) ? content : []));
  const result = blocks.find((block) => isMapping(block) && block['type'] === 'tool_result');
  const use = { type: 'tool_use', id: 'toolu_1', name: 'set_light', input: { on: true } };
  const content = result === undefined ? [use] : [{ type: 'text', text: 'Done: The light is on.' }];
  const reason = result === undefined ? 'tool_use' : 'end_turn';
  const counts = { input_tokens: 9, output_tokens: 5 };
  return JSON.stringify({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model,
    content,
    stop_reason: reason,
    stop_sequence: null,
    usage: counts,
  });
}

async function lights(t: TestContext): Promise<{ readonly url: string; readonly engine: ScriptedEngine }> {
  const engine = await scriptedEngine(t, (request, response, body) => {
    const turn = JSON.parse(body) as Turn;
    response.setHeader('content-type', turn.stream === true ? 'text/event-stream' : 'application/json');
    response.end(request.url === '/v1/messages' ? messagesReply(turn) : chatReply(turn));
  });
  return { url: (await dataPlane(t, [engine], { engine: 'vllm' })).url, engine };
}

const asked = 'Switch the light on.';
const parameters = { type: 'object' as const, properties: { on: { type: 'boolean' } }, required: ['on'] };
const on = z.object({ on: z.boolean() });

describe('a call of a tool, and its result, come through', () => {
  for (const stream of [false, true]) {
    test(`OpenAI's runTools, ${stream ? 'streamed' : 'whole'}`, async (t) => {
      const { url, engine } = await lights(t);
      const got: unknown[] = [];
      const run = (input: unknown): string => {
        got.push(input);
        return 'The light is on.';
      };
      const definition = {
        name: 'set_light',
        description: 'Switches the light.',
        parameters,
        parse: (text: string): unknown => JSON.parse(text),
        function: run,
      };
      const tools = [{ type: 'function' as const, function: definition }];
      const request = { model, messages: [{ role: 'user' as const, content: asked }], tools };
      const { completions } = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 }).chat;
      const runner = stream ? completions.runTools({ ...request, stream: true }) : completions.runTools(request);
      assert.equal(await runner.finalContent(), 'Done: The light is on.');
      assert.deepEqual(got, [{ on: true }]);
      assert.equal(engine.bodies.length, 2);
    });

    test(`the AI SDK, ${stream ? 'streamed' : 'whole'}`, async (t) => {
      const { url } = await lights(t);
      const got: unknown[] = [];
      const execute = (input: unknown): string => {
        got.push(input);
        return 'The light is on.';
      };
      const provider = createOpenAICompatible({ name: 'roundhouse', baseURL: `${url}/v1` });
      const set_light = tool({ inputSchema: on, execute });
      const request = { model: provider(model), prompt: asked, tools: { set_light }, stopWhen: isStepCount(3), maxRetries: 0 };
      const text = stream ? await streamText(request).text : (await generateText(request)).text;
      assert.match(text, /^Done: .*The light is on\./);
      assert.deepEqual(got, [{ on: true }]);
    });

    test(`LangChain, ${stream ? 'streamed' : 'whole'}`, async (t) => {
      const { url } = await lights(t);
      const bound = new ChatOpenAI({ model, apiKey: 'x', maxRetries: 0, configuration: { baseURL: `${url}/v1` } }).bindTools([
        langTool(() => 'The light is on.', { name: 'set_light', description: 'Switches the light.', schema: on }),
      ]);
      const first = stream ? await gathered(await bound.stream(asked)) : await bound.invoke(asked);
      assert.deepEqual(
        first.tool_calls?.map(({ id, name, args }) => ({ id, name, args })),
        [{ id: call.id, name: 'set_light', args: { on: true } }],
      );
      const result = new ToolMessage({ content: 'The light is on.', tool_call_id: call.id });
      assert.equal((await bound.invoke([new HumanMessage(asked), first, result])).text, 'Done: The light is on.');
    });
  }

  test("Anthropic's client", async (t) => {
    const { url } = await lights(t);
    const client = new Anthropic({ baseURL: url, apiKey: 'x', maxRetries: 0 });
    const request = { model, max_tokens: 64, tools: [{ name: 'set_light', input_schema: parameters }] };
    const question = { role: 'user' as const, content: asked };
    const first = await client.messages.create({ ...request, messages: [question] });
    const [use] = first.content;
    assert.deepEqual([first.stop_reason, use?.type], ['tool_use', 'tool_use']);
    const id = use?.type === 'tool_use' ? use.id : '';
    const result = { role: 'user' as const, content: [{ type: 'tool_result' as const, tool_use_id: id, content: 'The light is on.' }] };
    const after = await client.messages.create({ ...request, messages: [question, { role: 'assistant', content: first.content }, result] });
    assert.deepEqual(after.content, [{ type: 'text', text: 'Done: The light is on.' }]);
  });
});

async function gathered(stream: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | undefined;
  for await (const piece of stream) whole = whole?.concat(piece) ?? piece;
  return whole ?? new AIMessageChunk('');
}
