import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import wabt from 'wabt';

const folder = join(import.meta.dirname, '../../src/gateway/openai');
const source = join(folder, 'plain-end.wat');
const file = join(folder, 'plain-end.wasm.ts');

async function assemble(): Promise<Buffer> {
  const tools = await wabt();
  const module = tools.parseWat('plain-end.wat', await readFile(source), { simd: true });
  try {
    module.validate();
    return Buffer.from(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

function render(binary: Buffer): string {
  const lines = binary.toString('base64').match(/.{1,120}/g) ?? [];
  const literal = lines.map((line) => `  '${line}'`).join(' +\n');
  return `/** plain-end.wat, assembled: UPDATE_DOCS=1 node --test test/docs/plain-end.test.ts */\nexport const plainEndWasm: string =\n${literal};\n`;
}

test('plain-end.wasm.ts is plain-end.wat assembled (UPDATE_DOCS=1 rewrites it)', async () => {
  const rendered = render(await assemble());
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, rendered);
  else assert.equal(await readFile(file, 'utf8'), rendered, 'run UPDATE_DOCS=1 node --test test/docs/plain-end.test.ts');
});
