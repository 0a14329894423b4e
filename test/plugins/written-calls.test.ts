import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { llamacpp } from '../../src/plugins/llamacpp/index.ts';
import type { ReplyMender } from '../../src/plugins/reply-mend.ts';
import { sglang } from '../../src/plugins/sglang/index.ts';
import { WrittenCalls } from '../../src/plugins/written-calls.ts';
import { requestOf } from '../support/request.ts';

const asked = {
  tools: [{ type: 'function', function: { name: 'set_light' } }],
  tool_choice: 'required',
};

function mender(stream: boolean, can: object = { tools: false }): ReplyMender {
  return llamacpp.dialect.mend?.(requestOf('chat', JSON.stringify({ ...asked, stream })), can) ?? assert.fail('it mends nothing');
}

interface Said {
  readonly content?: string | null;
  readonly tool_calls?: readonly { index?: number; id?: string; type?: string; function: { name?: string; arguments?: string } }[];
}

interface Choice {
  readonly index: number;
  readonly finish_reason: string | null;
  readonly message?: Said;
  readonly delta?: Said;
}

function whole(content: string, finish: string): Choice {
  const message = { role: 'assistant', content };
  const reply = { id: 'chatcmpl-1', choices: [{ index: 0, finish_reason: finish, message }], usage: { completion_tokens: 1 } };
  const mended = mender(false).whole(Buffer.from(JSON.stringify(reply)));
  const [choice] = (JSON.parse(mended.toString()) as { choices: readonly Choice[] }).choices;
  return choice ?? assert.fail(mended.toString());
}

function event(choice: object): Buffer {
  return Buffer.from(`data: ${JSON.stringify({ id: 'chatcmpl-1', choices: [{ index: 0, ...choice }] })}\n\n`);
}

/** What clients make of a stream: the first choice's calls put together, and how each of its events came. */
function streamed(pieces: readonly string[], finish = 'stop'): { readonly calls: readonly object[]; readonly choices: readonly Choice[] } {
  const mending = mender(true);
  const choices = [
    { finish_reason: null, delta: { role: 'assistant', content: null } },
    ...pieces.map((content) => ({ finish_reason: null, delta: { content } })),
    { finish_reason: finish, delta: {} },
  ].flatMap((choice) =>
    mending
      .events(event(choice))
      .toString()
      .split('\n\n')
      .filter((text) => text !== '')
      .flatMap((text) => (JSON.parse(text.slice('data: '.length)) as { choices: readonly Choice[] }).choices),
  );
  const calls: { id: string; type: string; name: string; arguments: string }[] = [];
  for (const { delta } of choices) {
    for (const { index, id, type, function: called } of delta?.tool_calls ?? []) {
      assert.equal(index, 0);
      if (called.name !== undefined) calls.push({ id: id ?? '', type: type ?? '', name: called.name, arguments: '' });
      const last = calls.at(-1) ?? assert.fail('arguments before the name');
      last.arguments += called.arguments ?? '';
    }
  }
  return { calls, choices };
}

const given = '{"on": true, "note": "a } and a \\" in a text", "deep": [{"x": []}]}';
const text = `{\n  "name": "set_light", "arguments": ${given}\n}  `;
const call = { id: 'call_1_0_0', type: 'function', name: 'set_light', arguments: given };

test('a whole reply becomes a call, with the arguments as they were written', () => {
  const { finish_reason: finish, message } = whole(text, 'stop');
  assert.equal(finish, 'tool_calls');
  assert.deepEqual(message, {
    role: 'assistant',
    content: null,
    tool_calls: [{ type: 'function', function: { name: 'set_light', arguments: given }, id: 'call_1_0_0' }],
  });
});

test('a call that the limit cut off says so, with what there is of its arguments', () => {
  const { finish_reason: finish, message } = whole('{"name":"set_light","arguments":{"on":tr', 'length');
  assert.deepEqual([finish, message?.tool_calls?.[0]?.function.arguments], ['length', '{"on":tr']);
  const nothing = whole('{"name":"set_', 'length');
  assert.deepEqual([nothing.finish_reason, nothing.message], ['length', { role: 'assistant', content: null }]);
  assert.equal(streamed(['{"name":"set_light","arguments":{"on":tr'], 'length').choices.at(-1)?.finish_reason, 'length');
});

test('however a stream is cut into pieces, it gives the same call, and no text', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(text.length)), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
      const { calls, choices } = streamed(places.slice(1).map((end, at) => text.slice(places[at], end)));
      assert.deepEqual(calls, [call]);
      assert.ok(choices.every(({ delta }) => typeof delta?.content !== 'string'));
      assert.equal(choices.at(-1)?.finish_reason, 'tool_calls');
    }),
    { numRuns: 200 },
  );
});

test('the choices of one stream are told apart', () => {
  const mending = mender(true);
  const said = (index: number, content: string): string => mending.events(event({ index, delta: { content } })).toString();
  said(0, '{"name":"a","arguments":');
  assert.match(said(1, '{"name":"b","arguments":{'), /"index":1.*"name":"b","arguments":"\{"/u);
  assert.match(said(0, '{}'), /"index":0.*"arguments":"\{\}"/u);
});

test('an engine that keeps to the choice itself is not mended', () => {
  const reply = Buffer.from('{"id":"chatcmpl-1","choices":[{"index":0,"message":{"content":"{}"}}]}');
  assert.equal(mender(false, { tools: true }).whole(reply), reply);
  assert.equal(mender(false, {}).whole(reply), reply);
});

test('a list of calls, however it is cut, gives each of them', () => {
  const list = `[ {"name": "set_light", "parameters": ${given}} ,\n {"name": "a\\"b", "parameters": {}}]\n`;
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(list.length)), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), list.length];
      const calls = new WrittenCalls();
      const found: { name: string; arguments: string }[] = [];
      for (const [at, end] of places.slice(1).entries()) {
        for (const piece of calls.push(list.slice(places[at], end))) {
          if (piece.name !== undefined) found.push({ name: piece.name, arguments: '' });
          assert.equal(piece.index, found.length - 1);
          (found.at(-1) ?? assert.fail('arguments before the name')).arguments += piece.arguments;
        }
      }
      assert.deepEqual(found, [
        { name: 'set_light', arguments: given },
        { name: 'a"b', arguments: '{}' },
      ]);
    }),
    { numRuns: 200 },
  );
});

/** Seen on SGLang 0.5.23 without `--tool-call-parser`. */
const leftAsText = '[{ "name": "set_light", "parameters": { "on": true } } ]';

test('calls that SGLang leaves in the text, having no parser of the model’s own, are calls', () => {
  for (const choice of ['required', { type: 'function', function: { name: 'set_light' } }]) {
    const mending = sglang.dialect.mend?.(requestOf('chat', JSON.stringify({ ...asked, tool_choice: choice }))) ?? assert.fail();
    const message = { role: 'assistant', content: leftAsText, reasoning_content: null, tool_calls: null };
    const reply = { id: 'chatcmpl-1', choices: [{ index: 0, message, finish_reason: 'stop' }] };
    const { choices } = JSON.parse(mending.whole(Buffer.from(JSON.stringify(reply))).toString()) as { choices: readonly Choice[] };
    const called = { type: 'function', function: { name: 'set_light', arguments: '{ "on": true }' }, id: 'call_1_0_0' };
    assert.deepEqual(choices, [
      {
        index: 0,
        message: { role: 'assistant', content: null, reasoning_content: null, tool_calls: [called] },
        finish_reason: 'tool_calls',
      },
    ]);
  }
});

test('what SGLang says in words, or calls by itself, stays so', () => {
  const forced = (): ReplyMender => sglang.dialect.mend?.(requestOf('chat', JSON.stringify(asked))) ?? assert.fail();
  const words = event({ delta: { content: 'Sorry, ' }, finish_reason: null });
  const mending = forced();
  assert.equal(mending.events(words).toString(), words.toString());
  const listed = event({ delta: { content: '[{"name": "set_light", "parameters": {}}]' }, finish_reason: 'stop' });
  assert.equal(mending.events(listed).toString(), listed.toString(), 'a list behind words is words');
  const auto = sglang.dialect.mend?.(requestOf('chat', JSON.stringify({ ...asked, tool_choice: 'auto' }))) ?? assert.fail();
  assert.equal(auto.events(listed).toString(), listed.toString(), 'where no call is asked for, a list is text');
  const call = { index: 0, id: 'call_x', type: 'function', function: { name: 'set_light', arguments: '{}' } };
  const calls = event({ delta: { content: null, tool_calls: [call] }, finish_reason: 'tool_calls' });
  assert.equal(forced().events(calls).toString(), calls.toString());
});
