import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { chatUrl } from '../../../src/cli/chat/ask-model.ts';
import { begin, hear, readTyped, say } from '../../../src/cli/chat/conversation.ts';
import { EventReader } from '../../../src/cli/chat/event-reader.ts';
import { readFailure, readPieces } from '../../../src/cli/chat/pieces.ts';

describe('a stream of events', () => {
  const stream = ': a comment\n\ndata: {"a":1}\n\ndata:two\r\n\r\nevent: x\ndata: 1\ndata: 2\n\ndata: not complete';

  it('gives the same data wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 8 }), (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), stream.length];
        const reader = new EventReader();
        const data = at.slice(1).flatMap((end, index) => reader.read(stream.slice(at[index], end)));
        assert.deepEqual(data, ['{"a":1}', 'two', '1\n2']);
      }),
    );
  });
});

describe('an event of an answer', () => {
  for (const [what, data, pieces] of [
    ['text', { choices: [{ delta: { content: 'hi' } }] }, [{ kind: 'text', text: 'hi' }]],
    ['a thought', { choices: [{ delta: { reasoning_content: 'hm' } }] }, [{ kind: 'thought', text: 'hm' }]],
    [
      'an end',
      { choices: [{ delta: { content: '.' }, finish_reason: 'length' }] },
      [
        { kind: 'text', text: '.' },
        { kind: 'finished', reason: 'length' },
      ],
    ],
    ['the role', { choices: [{ delta: { role: 'assistant', content: '' }, finish_reason: null }] }, []],
    ['usage', { choices: [], usage: { total_tokens: 3 } }, []],
  ] as const) {
    it(`says ${what}`, () => assert.deepEqual(readPieces(JSON.stringify(data)), pieces));
  }

  it('is the end', () => assert.deepEqual(readPieces('[DONE]'), [{ kind: 'done' }]));

  it('may be an error, with its code', () => {
    const data = JSON.stringify({ error: { message: 'it died', type: 'server_error', param: null, code: 'upstream_failed' } });
    assert.throws(() => readPieces(data), { name: 'GatewayError', code: 'upstream_failed', message: 'it died (upstream_failed)' });
    assert.equal(readFailure('{"error":{"message":"no","code":"engine_refused"}}')?.message, 'no (engine_refused)');
    assert.equal(readFailure('<html>'), undefined);
  });

  it('is refused when it is none', () => {
    for (const data of ['{', '[]', '{"choices":[{"delta":{"content":3}}]}'])
      assert.throws(() => readPieces(data), { code: 'upstream_invalid' });
  });
});

describe('a conversation', () => {
  it('remembers questions with their answers, and the system message', () => {
    const asked = say(begin('be short'), 'hi');
    const heard = hear(asked, { text: 'hello', finish: 'stop' });
    assert.deepEqual(
      heard.map(({ role, content }) => `${role}: ${content}`),
      ['system: be short', 'user: hi', 'assistant: hello'],
    );
  });

  it('forgets a question of whose answer nothing came', () => {
    assert.deepEqual(hear(say(begin(undefined), 'hi'), undefined), []);
    assert.deepEqual(hear(say(begin(undefined), 'hi'), { text: '', finish: undefined }), []);
  });

  for (const [typed, line] of [
    [undefined, { kind: 'leave' }],
    ['/exit ', { kind: 'leave' }],
    ['/clear', { kind: 'clear' }],
    ['  ', { kind: 'nothing' }],
    [' a\nb ', { kind: 'message', text: 'a\nb' }],
    ['/etc/hosts', { kind: 'message', text: '/etc/hosts' }],
  ] as const) {
    it(`reads ${JSON.stringify(typed)} as ${line.kind}`, () => assert.deepEqual(readTyped(typed), line));
  }
});

describe('where a model is asked', () => {
  const status = {
    dataHost: '0.0.0.0',
    dataPort: 8000,
    apps: [
      { prefix: '', names: ['a', 'alias'] },
      { prefix: '/other', names: ['b'] },
    ],
  };

  it('is under the route prefix of its application, at an address of this machine', () => {
    assert.equal(chatUrl(status, 'alias'), 'http://127.0.0.1:8000/v1/chat/completions');
    assert.equal(chatUrl({ ...status, dataHost: '::1' }, 'b'), 'http://[::1]:8000/other/v1/chat/completions');
  });

  it('is unknown for a model that is not there', () => {
    assert.throws(() => chatUrl(status, 'aliaz'), { code: 'model_not_found', message: /"aliaz".*a, alias, b.*did you mean "alias"/ });
  });
});
