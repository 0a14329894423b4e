import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { modelName } from '../../src/core/ids.ts';
import type { NormalizedRequest } from '../../src/core/request.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { ReplyMender } from '../../src/plugins/reply-mend.ts';
import { requestOf } from '../support/request.ts';

const mender = (engine: string, request: NormalizedRequest): ReplyMender =>
  engines.get(engine)?.dialect.mend?.(request) ?? assert.fail(`${engine} mends nothing`);
const bound = (mending: ReplyMender): { readonly mend: (bytes: Buffer) => Buffer } => ({ mend: (bytes) => mending.events(bytes) });
const stream = (operation: 'chat' | 'completions', more: object = {}): NormalizedRequest =>
  requestOf(operation, JSON.stringify({ stream: true, ...more }));
const events = (...data: readonly object[]): Buffer => Buffer.from(data.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
const chunk = (delta: object, more: object = {}): object => ({
  choices: [{ finish_reason: null, index: 0, delta }],
  id: 'chatcmpl-1',
  ...more,
});
const recorded = (file: string): Buffer => readFileSync(new URL(`../fixtures/engines/${file}`, import.meta.url));

for (const [engine, file] of [
  ['vllm', 'vllm/chat-stream.sse'],
  ['vllm', 'vllm/tools-named-stream.sse'],
  ['sglang', 'sglang/chat-stream.sse'],
  ['llamacpp', 'llamacpp/chat-stream.sse'],
] as const) {
  test(`a recorded stream that is right stays the same object: ${file}`, () => {
    const { mend } = bound(mender(engine, stream('chat', { tools: [] })));
    // In one piece first: a first chunk is looked at differently.
    const bytes = recorded(file);
    assert.equal(mend(bytes), bytes);
    assert.equal(mend(bytes), bytes);
  });
}

test('vLLM’s name for reasoning becomes the one clients know, and words in a text do not', () => {
  const text = String.raw`"reasoning": \"reasoning\":`;
  const bytes = events(chunk({ reasoning: 'r', content: text }));
  assert.deepEqual(mender('vllm', stream('chat')).events(bytes), events(chunk({ reasoning_content: 'r', content: text })));
  const whole = Buffer.from('{"choices":[{"message":{"reasoning":"r","x":9223372036854775807}}]}');
  assert.equal(
    mender('vllm', requestOf('chat', '{}')).whole(whole).toString(),
    '{"choices":[{"message":{"reasoning_content":"r","x":9223372036854775807}}]}',
  );
});

for (const engine of engines.keys()) {
  test(`${engine}: a reply has the model’s name as the client asked for it`, () => {
    const request = { ...stream('chat'), model: modelName('a:b'), requestedModel: 'alias"' };
    const said = { role: 'assistant', content: '"model":"x"' };
    const served = engine === 'sglang' ? 'a%3Ab' : 'a:b';
    const mended = mender(engine, request).events(events(chunk(said, { model: served, n: 1 })));
    assert.deepEqual(mended, events(chunk(said, { model: 'alias"', n: 1 })));
    assert.equal(
      mender(engine, request).whole(Buffer.from('{"model": "x", "n": 1e400}')).toString(),
      String.raw`{"model": "alias\"", "n": 1e400}`,
    );
  });
}

test('llama-server’s first chunk gets the role that it forgot, once for each choice', () => {
  const { mend } = bound(mender('llamacpp', stream('chat')));
  const second = { choices: [{ index: 1, delta: { content: 'b' } }] };
  assert.deepEqual(mend(events(chunk({ content: 'a' }))), events(chunk({ role: 'assistant', content: 'a' })));
  const more = events(chunk({ content: 'a' }));
  assert.equal(mend(more), more);
  assert.deepEqual(mend(events(second)), events({ choices: [{ index: 1, delta: { role: 'assistant', content: 'b' } }] }));
  const again = events(second);
  assert.equal(mend(again), again);
});

const usage = { completion_tokens: 1, prompt_tokens: 2, total_tokens: 3 };
test('llama-server’s usage in the last text chunk of completions goes apart, or where nobody asked for it, away', () => {
  const last = { choices: [{ text: 'x', index: 0, finish_reason: 'length' }], id: 'chatcmpl-1' };
  const named = { ...last, id: 'cmpl-1' };
  const unasked = mender('llamacpp', stream('completions')).events(events({ ...last, usage }));
  assert.deepEqual(unasked, events(named));
  const asked = mender('llamacpp', stream('completions', { stream_options: { include_usage: true } })).events(events({ ...last, usage }));
  assert.deepEqual(asked, events(named, { ...named, choices: [], usage }));
});

test('a call that a request names ends with tool_calls, where vLLM says stop; another end stays', () => {
  const named = { tool_choice: { type: 'function', function: { name: 'f' } } };
  const call = { id: 'c', type: 'function', index: 0, function: { name: 'f', arguments: '{}' } };
  const ending = (finish_reason: string): Buffer => events({ id: 'chatcmpl-1', choices: [{ index: 0, delta: {}, finish_reason }] });
  const streamed = mender('vllm', stream('chat', named));
  assert.equal(streamed.events(ending('stop')).toString(), ending('stop').toString(), 'nothing was called');
  const called = events(chunk({ tool_calls: [call] }));
  assert.equal(streamed.events(called), called);
  assert.deepEqual(streamed.events(ending('stop')), ending('tool_calls'));
  assert.deepEqual(streamed.events(ending('length')), ending('length'));
  const whole = (finish_reason: string): object => ({
    id: 'chatcmpl-1',
    choices: [{ index: 0, message: { tool_calls: [call] }, finish_reason }],
  });
  const asked = mender('vllm', requestOf('chat', JSON.stringify(named)));
  assert.deepEqual(JSON.parse(asked.whole(Buffer.from(JSON.stringify(whole('stop')))).toString()), whole('tool_calls'));
});

test('a tool call without id, type or text for its arguments gets them', () => {
  const call = { function: { name: 'f', arguments: { x: 1 } } };
  const mended = { function: { name: 'f', arguments: '{"x":1}' }, id: 'call_1_0_0', type: 'function' };
  for (const engine of ['vllm', 'sglang', 'llamacpp']) {
    const whole = Buffer.from(JSON.stringify({ id: 'chatcmpl-1', choices: [{ index: 0, message: { tool_calls: [call] } }] }));
    assert.deepEqual(JSON.parse(mender(engine, requestOf('chat', '{}')).whole(whole).toString()), {
      id: 'chatcmpl-1',
      choices: [{ index: 0, message: { tool_calls: [mended] } }],
    });
    const spaced = Buffer.from(`{"id":"chatcmpl-1","choices":[{"message":{"tool_calls":[{"function": {"name": "f"}}]}}]}`);
    assert.match(mender(engine, requestOf('chat', '{}')).whole(spaced).toString(), /"id":"call_1_0_0","type":"function"/u);
    const first = events(chunk({ role: 'assistant', tool_calls: [{ index: 0, ...call }] }));
    const later = events(chunk({ tool_calls: [{ index: 0, function: { arguments: '"name":"' } }] }));
    const { mend } = bound(mender(engine, stream('chat')));
    assert.deepEqual(mend(first), events(chunk({ role: 'assistant', tool_calls: [{ index: 0, ...mended }] })));
    assert.equal(mend(later), later);
  }
});
