import { textOf } from '../engine-version.ts';
import type { EngineVersion } from '../engine-version.ts';

/** `vllm --version` of 0.32.0 prints `0.32.0+cpu` alone on the last line, after warnings of its libraries; it takes 5 to 15 s. */
export const version: EngineVersion = {
  installed: {
    args: ['--version'],
    timeoutMs: 120_000,
    read: (output) => /^(?:vllm )?v?(\d+\.\d+\S*)\s*$/m.exec(output)?.[1],
  },
  running: {
    probe: { path: '/version', timeoutMs: 10_000 },
    read: (body) => textOf(body, 'version'),
  },
  floor: { version: '0.32.0', advisory: 'it lacks the chat-template fixes of October 2026 (CVE-2026-115911, CVE-2026-115918)' },
};
