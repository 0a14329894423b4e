import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMapping, type Mapping } from '../../../src/core/json.ts';
import { splitEvents } from '../../../src/core/server-sent-events.ts';
import { llamacpp } from '../../../src/plugins/llamacpp/index.ts';
import type { ReplyMender } from '../../../src/plugins/reply-mend.ts';
import { requestOf } from '../../support/request.ts';

const mender = (stream: boolean): ReplyMender =>
  llamacpp.dialect.mend?.(
    requestOf('responses', JSON.stringify({ tools: [{ type: 'function', name: 'set_light' }], tool_choice: 'required', stream })),
    { tools: false },
  ) ?? assert.fail('it mends nothing');

const written = '{\n  "name": "set_light",\n  "arguments": {"on": true}\n}';
const call = { id: 'fc_a', type: 'function_call', status: 'completed', arguments: '{"on": true}', call_id: 'call_a', name: 'set_light' };

/** As llama-server 0.7.0 (build 11669) says a text. */
function saidIn(pieces: readonly string[]): Buffer {
  const text = pieces.join('');
  const content = [{ type: 'output_text', annotations: [], logprobs: [], text }];
  const message = { type: 'message', status: 'completed', id: 'msg_a', content, role: 'assistant' };
  const events: readonly (Mapping & { readonly type: string })[] = [
    { type: 'response.created', response: { id: 'resp_1', object: 'response', status: 'in_progress' } },
    { type: 'response.output_item.added', item: { ...message, content: [], status: 'in_progress' } },
    { type: 'response.content_part.added', item_id: 'msg_a', part: { type: 'output_text', text: '' } },
    ...pieces.map((delta) => ({ type: 'response.output_text.delta', item_id: 'msg_a', delta })),
    { type: 'response.output_text.done', item_id: 'msg_a', text },
    { type: 'response.content_part.done', item_id: 'msg_a', part: content[0] },
    { type: 'response.output_item.done', item: message },
    { type: 'response.completed', response: { id: 'resp_1', object: 'response', status: 'completed', output: [message] } },
  ];
  return Buffer.from(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''));
}

function eventsOf(bytes: Buffer): readonly Mapping[] {
  return splitEvents(bytes.toString()).map((text) => {
    const [, name, data] = /^event: (.*)\ndata: (.*)\n\n$/u.exec(text) ?? assert.fail(text);
    const event: unknown = JSON.parse(data ?? '');
    assert.ok(isMapping(event) && event['type'] === name, text);
    return event;
  });
}

test('the events of a text become those of a call, numbered and in their places', () => {
  const events = eventsOf(mender(true).events(saidIn(['{\n  "name": "set_', 'light",\n  "arguments": {"on', '": true}\n}'])));
  assert.deepEqual(
    events.map(({ type, output_index: place, sequence_number: number }) => [type, place, number]),
    [
      ['response.created', undefined, 0],
      ['response.output_item.added', 0, 1],
      ['response.function_call_arguments.delta', 0, 2],
      ['response.function_call_arguments.delta', 0, 3],
      ['response.function_call_arguments.done', 0, 4],
      ['response.output_item.done', 0, 5],
      ['response.completed', undefined, 6],
    ],
  );
  assert.deepEqual(events[1]?.['item'], { ...call, status: 'in_progress', arguments: '' });
  assert.deepEqual([events[2]?.['delta'], events[3]?.['delta'], events[4]?.['arguments']], ['{"on', '": true}', '{"on": true}']);
  assert.deepEqual(events[5]?.['item'], call);
  assert.deepEqual(events[6]?.['response'], { id: 'resp_1', object: 'response', status: 'completed', output: [call] });
});

test('a text that is cut off before the name is known is no call', () => {
  const events = eventsOf(mender(true).events(saidIn(['{\n  "name": "set_'])));
  assert.deepEqual(
    events.map(({ type }) => type),
    ['response.created', 'response.completed'],
  );
});

test('a whole response has the call in the place of the message, and keeps what else there is', () => {
  const content = [{ type: 'output_text', text: written }];
  const reasoning = { id: 'rs_1', type: 'reasoning', content: [] };
  const reply = { id: 'resp_1', output: [reasoning, { id: 'msg_a', type: 'message', content }] };
  const mended: unknown = JSON.parse(
    mender(false)
      .whole(Buffer.from(JSON.stringify(reply)))
      .toString(),
  );
  assert.deepEqual(mended, { id: 'resp_1', output: [reasoning, call] });
});
