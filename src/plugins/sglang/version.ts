import { textOf } from '../engine-version.ts';
import type { EngineVersion } from '../engine-version.ts';

/** `sglang version` of 0.5.23 prints `sglang version: 0.5.23` and a git revision; it takes 4 to 10 s. */
export const version: EngineVersion = {
  installed: {
    args: ['version'],
    timeoutMs: 120_000,
    read: (output) => /^sglang version:\s*(\S+)/im.exec(output)?.[1],
  },
  running: {
    // Of the scheduler too, which answers between two batches. Before 0.5.17 or so it was called /get_server_info.
    probe: { path: '/server_info', timeoutMs: 25_000 },
    read: (body) => textOf(body, 'version'),
  },
  // Not the first one with the fix, which was merged in April 2026 (sgl-project/sglang#23660): the oldest in which it was seen.
  floor: { version: '0.5.23', advisory: 'the chat template of a model that is used for reranking can run code in it (CVE-2026-5760)' },
};
