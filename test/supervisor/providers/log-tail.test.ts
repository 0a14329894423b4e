import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/core/clock.ts';
import { defaultTailLimits, LogTail } from '../../../src/supervisor/providers/log-tail.ts';
import type { TailLimits } from '../../../src/supervisor/providers/log-tail.ts';

interface Tailed {
  readonly file: string;
  readonly tail: LogTail;
  readonly lines: string[];
  /** Resolves when `line` has been seen. */
  readonly seen: (line: string) => Promise<void>;
}

async function tailed(t: TestContext, content: string, limits: Partial<TailLimits> = {}): Promise<Tailed> {
  const dir = await mkdtemp(join(tmpdir(), 'roundhouse-log-'));
  const file = join(dir, 'engine.log');
  await writeFile(file, content);
  const lines: string[] = [];
  const waiting = new Map<string, () => void>();
  const onLine = (line: string): void => {
    lines.push(line);
    waiting.get(line)?.();
  };
  const tail = await LogTail.open(file, systemClock, onLine, Object.assign(limits, { ...defaultTailLimits, ...limits }));
  t.after(async () => {
    await tail.close();
    await rm(dir, { recursive: true, force: true });
  });
  const seen = (line: string): Promise<void> => new Promise((resolve) => (lines.includes(line) ? resolve() : waiting.set(line, resolve)));
  return { file, tail, lines, seen };
}

test('lines are passed on as they are written, the last one at the close', async (t) => {
  const { file, tail, lines, seen } = await tailed(t, 'first\n');
  await seen('first');
  await appendFile(file, 'second\nthi');
  await seen('second');
  await appendFile(file, 'rd');
  await tail.close();
  await tail.close();
  assert.deepEqual(lines, ['first', 'second', 'third']);
  assert.deepEqual(tail.lines(), lines);
});

test('what was written just before the close is read', async (t) => {
  const { file, tail, lines } = await tailed(t, '');
  await appendFile(file, 'the cause\n');
  await tail.close();
  assert.deepEqual(lines, ['the cause']);
});

test('far behind, the reader jumps to the end instead of reading it all', async (t) => {
  const many = Array.from({ length: 20_000 }, (_, at) => `line ${at}`).join('\n');
  const { lines, seen, tail } = await tailed(t, `${many}\nlast\n`, { chunk: 1024, behind: 4096, file: 1_000_000_000 });
  await seen('last');
  assert.ok(lines.length < 300, `${lines.length} lines were read`);
  assert.equal(lines[lines.length - 2], 'line 19999');
  assert.deepEqual(tail.loss, { unread: `${many}\nlast\n`.length - 1024, unkept: 0 });
});

test('a file that grows too large is emptied, its content kept once', async (t) => {
  const { file, seen } = await tailed(t, `${'x'.repeat(5000)}\nbefore\n`, { chunk: 100_000, behind: 100_000, file: 4096 });
  await seen('before');
  // The cut comes after the line was passed on, and what is written just before it is lost.
  while ((await stat(file)).size > 0);
  await appendFile(file, 'after\n');
  await seen('after');
  assert.match(await readFile(`${file}.1`, 'utf8'), /before\n/);
  assert.ok((await stat(file)).size < 100);
});

test('only the last lines are kept, and of long ones only as many as fit', async (t) => {
  const { tail, seen } = await tailed(t, `${Array.from({ length: 300 }, (_, at) => `line ${at}`).join('\n')}\nend\n`);
  await seen('end');
  assert.equal(tail.lines().length, 200);
  assert.equal(tail.lines().at(-1), 'end');
  const long = await tailed(t, `${Array.from({ length: 20 }, () => 'x'.repeat(60_000)).join('\n')}\nend\n`, {
    chunk: 10_000_000,
    behind: 10_000_000,
    file: 1e9,
  });
  await long.seen('end');
  assert.ok(long.tail.lines().join('').length <= 262_144);
});

test('where no copy can be made the file is emptied all the same: what is lost is counted, and it is not tried for ever', async (t) => {
  const { file, tail, seen } = await tailed(t, '', { chunk: 100_000, behind: 100_000, file: 4096 });
  // As a full disk does, this refuses the copy.
  await mkdir(`${file}.1`);
  const text = `${'x'.repeat(5000)}\nbefore\n`;
  await appendFile(file, text);
  await seen('before');
  while ((await stat(file)).size > 0);
  await appendFile(file, 'after\n');
  await seen('after');
  assert.deepEqual(tail.loss, { unread: 0, unkept: text.length });
  await assert.rejects(stat(`${file}.1`), { code: 'ENOENT' }, 'nothing half done takes room');
});

test('a log that has been read is cut once the disk is full and somebody needs room, not before', async (t) => {
  const text = `${'x'.repeat(100_000)}\nlast\n`;
  const limits = { scarce: 0 };
  const { file, tail, seen } = await tailed(t, text, limits);
  await seen('last');
  assert.equal(await tail.makeRoom(), false);
  assert.equal((await stat(file)).size, text.length);
  // Somebody else has filled it: the log grows no more, and nothing is heard of it.
  limits.scarce = Number.POSITIVE_INFINITY;
  assert.equal(await tail.makeRoom(), true);
  assert.equal((await stat(file)).size, 0);
  assert.deepEqual(tail.loss, { unread: 0, unkept: text.length });
  await appendFile(file, 'after\n');
  await seen('after');
  assert.equal(await tail.makeRoom(), false, 'a small one makes none');
  await tail.close();
  assert.equal(await tail.makeRoom(), false);
});
