import type { LogSign } from '../engine-plugin.ts';
import { firstSign } from '../log-pattern.ts';
import type { LogPattern } from '../log-pattern.ts';

const patterns: readonly LogPattern[] = [
  { pattern: /^fake: loading model/u, sign: { kind: 'phase', phase: 'loading model' } },
  { pattern: /^fake: warming up/u, sign: { kind: 'phase', phase: 'warming up' } },
  {
    pattern: /out of memory/iu,
    sign: {
      kind: 'cause',
      cause: 'out of memory',
      remedy: 'Lower max_model_len or the memory share, or free the GPU: another process may hold it.',
      permanent: false,
    },
  },
  {
    pattern: /address already in use|EADDRINUSE/iu,
    sign: { kind: 'cause', cause: 'port in use', remedy: 'Another process took the port; the next start picks another.', permanent: false },
  },
  {
    pattern: /^fake: error: invalid argument/u,
    sign: { kind: 'cause', cause: 'invalid option', remedy: 'Correct the option in engine_kwargs.', permanent: true },
  },
];

export function readLog(line: string): LogSign | undefined {
  return firstSign(patterns, line);
}
