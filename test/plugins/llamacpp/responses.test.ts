import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitEvents } from '../../../src/core/server-sent-events.ts';
import { placedEvents } from '../../../src/plugins/llamacpp/responses.ts';

const event = (data: { readonly type: string; readonly [more: string]: unknown }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

/** Type, number, place of the item, place of the part; `-` where there is none. */
const placesIn = (bytes: Buffer): string[] =>
  splitEvents(bytes.toString()).map((text) => {
    const {
      type,
      sequence_number: number,
      output_index: item = '-',
      content_index: part = '-',
    } = JSON.parse(/^data: ([^\n]*)$/mu.exec(text)?.[1] ?? '{}') as Record<string, unknown>;
    return `${String(type)} ${String(number)} ${String(item)} ${String(part)}`;
  });

test('events of a Responses stream get their number and the places of what they are about, over all pieces of it', () => {
  const mender = placedEvents({ requestedModel: 'small' });
  const first = mender.events(
    Buffer.from(
      [
        event({ type: 'response.created', response: { id: 'r', status: 'in_progress' } }),
        event({ type: 'response.output_item.added', item: { id: 'rs_1', type: 'reasoning' } }),
        event({ type: 'response.reasoning_text.delta', item_id: 'rs_1', delta: 'hm' }),
        event({ type: 'response.output_item.added', item: { id: 'msg_1', type: 'message', content: [] } }),
        event({ type: 'response.content_part.added', item_id: 'msg_1', part: { type: 'output_text', text: '' } }),
        event({ type: 'response.output_text.delta', item_id: 'msg_1', delta: 'a\u2028b' }),
      ].join(''),
    ),
  );
  const second = mender.events(
    Buffer.from(
      [
        event({ type: 'response.content_part.done', item_id: 'msg_1', part: { type: 'output_text', text: 'a' } }),
        event({ type: 'response.output_item.added', item: { type: 'function_call', call_id: 'fc_1', name: 'f' } }),
        event({ type: 'response.function_call_arguments.delta', item_id: 'fc_1', delta: '{}' }),
        event({ type: 'response.output_item.done', item: { type: 'function_call', call_id: 'fc_1', name: 'f', arguments: '{}' } }),
        event({ type: 'response.completed', response: { id: 'r', output: [{ id: 'msg_1' }], model: 'small' } }),
      ].join(''),
    ),
  );
  assert.deepEqual(placesIn(Buffer.concat([first, second])), [
    'response.created 0 - -',
    'response.output_item.added 1 0 -',
    'response.reasoning_text.delta 2 0 0',
    'response.output_item.added 3 1 -',
    'response.content_part.added 4 1 0',
    'response.output_text.delta 5 1 0',
    'response.content_part.done 6 1 0',
    'response.output_item.added 7 2 -',
    'response.function_call_arguments.delta 8 2 -',
    'response.output_item.done 9 2 -',
    'response.completed 10 - -',
  ]);
  assert.match(first.toString(), /"response":\{"model":"small","output":\[\],"id":"r","status":"in_progress"\}/);
  assert.match(first.toString(), /"delta":"a\u2028b"/);
  assert.match(second.toString(), /"output":\[\{"id":"msg_1"\}\]/);
});

test('events that have a number already, and what is no event, stay as they are', () => {
  const mender = placedEvents({ requestedModel: 'small' });
  for (const text of [event({ type: 'response.created', sequence_number: 0 }), ': ping\n\n', 'data: [DONE]\n\n'])
    assert.equal(mender.events(Buffer.from(text)).toString(), text);
  const whole = Buffer.from('{"output":[]}');
  assert.equal(mender.whole(whole), whole);
});
