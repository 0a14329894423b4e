/** What commands that stay, or bring models, load of Node.js (24), most of it through others' packages. One that is not needed costs a millisecond. */
const names = [
  'child_process',
  'crypto',
  'fs/promises',
  'http',
  'http2',
  'https',
  'net',
  'perf_hooks',
  'sqlite',
  'timers/promises',
  'tls',
  'tty',
  'worker_threads',
  'zlib',
] as const;

/**
 * Loads modules of Node.js before V8 is told anything: they come compiled with the program, which V8 does not trust any more once one of its
 * flags is another (24.21: 86 modules, 40 ms).
 */
export function loadBuiltins(): void {
  for (const name of names) process.getBuiltinModule(`node:${name}`);
}
