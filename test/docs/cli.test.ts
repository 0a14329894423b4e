import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exitCode } from '../../src/cli/exit-code.ts';
import { helpOf, program, verbsOf } from '../support/command-line.ts';

const file = fileURLToPath(new URL('../../docs/cli.md', import.meta.url));

/** What stands above it is written by hand. */
const mark = '<!-- From here on written from the program: UPDATE_DOCS=1 node --test test/docs/cli.test.ts -->';

const inHand = (text: string): string => text.slice(0, text.indexOf(mark));

function section(name: string, help: string): string {
  return `## gateway ${name}\n\n\`\`\`text\n${help.trim()}\n\`\`\`\n`;
}

const all = await program();

function render(): string {
  const overview = `## All commands\n\n\`\`\`text\n${helpOf(all).trim()}\n\`\`\`\n`;
  return [`${mark}\n`, overview, ...verbsOf(all).map(({ name, command }) => section(name, helpOf(command)))].join('\n');
}

test('docs/cli.md has the help of every verb as it is (UPDATE_DOCS=1 rewrites it)', async () => {
  const written = inHand(await readFile(file, 'utf8'));
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, `${written}${render()}`);
  assert.equal(await readFile(file, 'utf8'), `${written}${render()}`, 'run UPDATE_DOCS=1 node --test test/docs/cli.test.ts');
});

test('docs/cli.md lists every verb, every option, and every exit code', async () => {
  const text = await readFile(file, 'utf8');
  for (const { name, command } of verbsOf(all)) {
    const at = text.indexOf(`\n## gateway ${name}\n`);
    assert.notEqual(at, -1, name);
    const body = text.slice(at + 1).split('\n## ')[0] ?? '';
    for (const { long, hidden } of command.options) assert.ok(hidden || long === undefined || body.includes(long), `${name} ${long}`);
  }
  for (const code of Object.values(exitCode)) assert.match(inHand(text), new RegExp(`^\\| (?:\\d+, )*${code}[ ,]`, 'm'));
});
