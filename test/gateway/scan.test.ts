import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { maxDepth, scanObject, stringAt } from '../../src/gateway/openai/scan.ts';

const scan = (text: string) => scanObject(Buffer.from(text));
const long = 'x'.repeat(200);
const deep = (levels: number): string => `{"a":${'['.repeat(levels)}"${long}${long}"${']'.repeat(levels)},"n":1}`;
const kindOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

const named = (text: string): string[] => [...scan(text)].filter(([, { namesUrl }]) => namesUrl).map(([key]) => key);
const image = (key: string): string => `{"a":[{"role":"user","content":[{"type":"x","${key}":"http://a/"}]}],"b":[{"n":1}],"url":"x"}`;

describe('scanObject', () => {
  test('finds each top-level member, its kind and its bytes', () => {
    const text = ' {"model" : "m", "n":-1.5e+3,"stream":true,"stop":null,"tools":[{"a":[]},{}], "o":{} } \n';
    const bytes = Buffer.from(text);
    const found = [...scanObject(bytes)].map(([key, field]) => [key, field.kind, bytes.toString('utf8', field.start, field.end)]);
    assert.deepEqual(found, [
      ['model', 'string', '"m"'],
      ['n', 'number', '-1.5e+3'],
      ['stream', 'boolean', 'true'],
      ['stop', 'null', 'null'],
      ['tools', 'array', '[{"a":[]},{}]'],
      ['o', 'object', '{}'],
    ]);
  });

  const bad: readonly [name: string, text: string, message: RegExp][] = [
    ['nothing', '', /an object at byte 0/],
    ['an array', '[]', /an object at byte 0/],
    ['a cut object', '{"a":1', /',' or '}' at byte 6/],
    ['a cut string', '{"a":"b', /closing quote/],
    ['a cut long string', `{"a":"${long}`, /closing quote/],
    ['a trailing comma', '{"a":1,}', /a key in double quotes at byte 7/],
    ['a trailing comma in an array', '{"a":[1,]}', /a value at byte 8/],
    ['single quotes', "{'a':1}", /a key in double quotes at byte 1/],
    ['a bare word', '{"a":nope}', /null at byte 5/],
    ['a cut word', '{"a":tru}', /true at byte 5/],
    ['a leading zero', '{"a":01}', /',' or '}' at byte 6/],
    ['a lone minus', '{"a":-}', /a digit at byte 6/],
    ['a dot without digits', '{"a":1.}', /a digit/],
    ['a raw newline in a string', '{"a":"b\nc"}', /control character/],
    ['a raw newline in a long string', `{"a":"${long}\n${long}"}`, /control character/],
    ['a bad escape', '{"a":"\\x"}', /an escape/],
    ['a bad escape in a long string', `{"a":"${long}\\x"}`, /an escape/],
    ['a bad unicode escape', '{"a":"\\u00g0"}', /hexadecimal/],
    ['text after the object', '{"a":1} x', /the end of the body at byte 8/],
    ['mismatched brackets', '{"a":[1}]', /',' or ']' at byte 7/],
    ['a missing colon', '{"a" 1}', /':' after a key at byte 5/],
    ['a key twice', '{"model":"a","model":"b"}', /"model" stands twice/],
    ['a key twice, once escaped', '{"model":"a","mod\\u0065l":"b"}', /"model" stands twice/],
    ['too deep', `{"a":${'['.repeat(maxDepth)}${']'.repeat(maxDepth)}}`, /nested deeper than 64/],
    ['100 000 open brackets', `{"a":${'['.repeat(100_000)}`, /nested deeper than 64/],
  ];
  for (const [name, text, message] of bad) {
    test(`refuses ${name}`, () => assert.throws(() => scan(text), { code: 'request_invalid', message }));
  }

  test('a key may stand twice below the top level, where no decision is taken', () => {
    assert.equal(scan('{"o":{"model":1,"model":2}}').get('o')?.kind, 'object');
  });

  test('takes the deepest nesting allowed', () => {
    const depth = maxDepth - 1;
    assert.equal(scan(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`).get('a')?.kind, 'array');
  });

  test('agrees with JSON.parse on every object, compact or indented', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })),
        fc.constantFrom(undefined, 2),
        fc.nat(3),
        (object, indent, offset) => {
          // Any alignment: the scan reads whole words where it can.
          const text = Buffer.from(JSON.stringify(object, undefined, indent));
          const bytes = Buffer.concat([Buffer.alloc(offset), text]).subarray(offset);
          const fields = scanObject(bytes);
          assert.deepEqual([...fields.keys()].sort(), Object.keys(object).sort());
          for (const [key, field] of fields) {
            const value: unknown = JSON.parse(bytes.toString('utf8', field.start, field.end));
            assert.equal(JSON.stringify(value), JSON.stringify(object[key]));
            assert.equal(field.kind, kindOf(object[key]));
            if (field.kind === 'string') assert.equal(stringAt(bytes, field), object[key]);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('agrees with JSON.parse on long values in any place, and on what stands behind them', () => {
    const message = fc.record({ role: fc.constantFrom('user', 'assistant'), content: fc.string({ maxLength: 400 }) });
    const values = {
      messages: fc.array(message, { maxLength: 6 }),
      model: fc.string({ maxLength: 20 }),
      prompt: fc.string({ maxLength: 2000 }),
      stop: fc.array(fc.string()),
      stream_options: fc.record({ include_usage: fc.boolean() }),
      tools: fc.array(fc.jsonValue({ maxDepth: 4 }), { maxLength: 20 }),
      n: fc.integer(),
    };
    const members = fc
      .record(values, { requiredKeys: [] })
      .chain((object) => fc.shuffledSubarray(Object.entries(object), { minLength: Object.keys(object).length }));
    fc.assert(
      fc.property(members, fc.constantFrom(undefined, 1), (entries, indent) => {
        const object: Record<string, unknown> = Object.fromEntries(entries);
        const bytes = Buffer.from(JSON.stringify(object, undefined, indent));
        const found = [...scanObject(bytes)].map(([key, field]) => [
          key,
          JSON.parse(bytes.toString('utf8', field.start, field.end)) as unknown,
        ]);
        assert.deepEqual(found, Object.entries(JSON.parse(bytes.toString('utf8')) as object));
      }),
      { numRuns: 500 },
    );
  });

  test('says of each member whether a key inside it, at any depth, ends in url', () => {
    for (const key of ['url', 'image_url', String.raw`\u0075r\u006c`, String.raw`ur\u006C`, String.raw`\u0075rl`, 'é url'])
      assert.deepEqual(named(image(key)), ['a'], key);
    for (const key of ['urls', 'URL', 'ul', 'l', '', 'source', 'c', String.raw`ur\u004c`, String.raw`url\"`])
      assert.deepEqual(named(image(key)), [], key);
    assert.deepEqual(named('{"a":{"c":"url"},"b":["url"],"n":1}'), [], 'values are no keys');
    assert.deepEqual(named('{"a":{"b":{"url":1}},"c":{"d":1},"e":[{},{"url":null}]}'), ['a', 'e']);
  });

  test('a second member hidden behind a long value is found', () => {
    const messages = JSON.stringify([{ role: 'user', content: long + long }]);
    for (const behind of ['"model":"b"', '"messages":[]', '"n":1,"messages":[{"a":"]"}]', '"tools":[[]],"mod\\u0065l":"b"']) {
      assert.throws(() => scan(`{"model":"a","messages":${messages},${behind}}`), { message: /stands twice/ }, behind);
    }
  });

  test('a long value is not nested deeper than others', () => {
    assert.equal(scan(deep(maxDepth - 1)).get('n')?.kind, 'number');
    assert.throws(() => scan(deep(maxDepth)), { message: /nested deeper than 64/ });
  });

  test('accepts a mutilated body exactly when JSON.parse does and no top-level key stands twice', () => {
    const body = JSON.stringify({
      model: 'm',
      messages: [{ role: 'user', content: `${long}\\"\n${long}` }],
      n: -1.5e3,
      stop: null,
      s: true,
    });
    fc.assert(
      fc.property(
        fc.nat(body.length - 1),
        fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', '0', 'e', '-', ' ', '\n', '\u0001'),
        fc.nat(2),
        (at, insert, drop) => {
          const text = body.slice(0, at) + insert + body.slice(at + drop);
          let parsed = true;
          try {
            JSON.parse(text);
          } catch {
            parsed = false;
          }
          let scanned = true;
          try {
            scan(text);
          } catch (error) {
            scanned = /stands twice/.test((error as Error).message) ? parsed : false;
          }
          assert.equal(scanned, parsed, text);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
