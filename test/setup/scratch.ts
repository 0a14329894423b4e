import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A directory of the test's own, with a blank and a quote in its name; removed after the test. */
export function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "round house's "));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** An executable script. */
export function script(file: string, interpreter: string, text: string): string {
  writeFileSync(file, `#!${interpreter}\n${text}`);
  chmodSync(file, 0o755);
  return file;
}

/** Says its version and serves like llama-server; `broken` dies as soon as it should compute. */
export function fakeServer(file: string, { broken = false } = {}): string {
  return script(
    file,
    process.execPath,
    `const http = require('node:http');
const args = process.argv.slice(2);
if (args.includes('--version')) { console.error('version: 1 (fake)'); process.exit(0); }
const port = Number(args[args.indexOf('--port') + 1]);
http.createServer((request, response) => {
  if (request.url === '/health') response.end('{}');
  else if (${broken}) { console.error('illegal instruction'); process.exit(132); }
  else response.end(JSON.stringify({ content: 'x', pid: process.pid }));
}).listen(port, '127.0.0.1');
`,
  );
}
