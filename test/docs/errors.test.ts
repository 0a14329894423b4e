import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { errorTable } from '../../src/core/errors.ts';

const file = fileURLToPath(new URL('../../docs/errors.md', import.meta.url));

function render(): string {
  const rows = Object.entries(errorTable).map(([code, { status, type, retryable, meaning }]) => ({
    code,
    status: status as number,
    type,
    retryable,
    meaning,
  }));
  const served = rows
    .filter(({ status }) => status > 0)
    .map(
      ({ code, status, type, retryable, meaning }) =>
        `| \`${code}\` | ${status} | \`${type}\` | ${retryable ? 'yes' : 'no'} | ${meaning} |`,
    );
  const local = rows.filter(({ status }) => status === 0).map(({ code, meaning }) => `| \`${code}\` | ${meaning} |`);
  return [
    '# Errors',
    '',
    'Every error has a stable `code`. Clients get OpenAI’s object, `{"error":{"message","type","param","code"}}`; after the first byte of a stream it is the stream’s last event, and no `[DONE]` follows.',
    'A refusal by the engine itself keeps the engine’s status and message, with the code the engine gave, else `engine_refused` (4xx) or `engine_error` (5xx).',
    '',
    '| code | status | type | may succeed later | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...served,
    '',
    'These are seen by who runs the gateway: in the terminal, the log, and as the cause in a 503.',
    '',
    '| code | meaning |',
    '| --- | --- |',
    ...local,
    '',
  ].join('\n');
}

test('docs/errors.md says what the error table says (UPDATE_DOCS=1 rewrites it)', async () => {
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, render());
  assert.equal(await readFile(file, 'utf8'), render());
});
