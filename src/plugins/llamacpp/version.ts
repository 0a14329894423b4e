import { textOf } from '../engine-version.ts';
import type { EngineVersion } from '../engine-version.ts';

/**
 * The build number: `version: 9701 (…)` of upstream's releases, `version: 0.7.0 (build 11669, commit Debian)` of Debian's; on stderr.
 * A build from sources without their history counts 0 or 1, which says nothing.
 */
export const version: EngineVersion = {
  installed: {
    args: ['--version'],
    timeoutMs: 10_000,
    read: (output) => /^version: (?:.*\(build )?(\d{3,})\b/m.exec(output)?.[1],
  },
  running: {
    // `b11669-Debian`.
    probe: { path: '/props', timeoutMs: 5000 },
    read: (body) => /^b?(\d{3,})\b/.exec(textOf(body, 'build_info') ?? '')?.[1],
  },
  // Not the first build with the fix, which was merged in April 2026 (ggml-org/llama.cpp#22267): one of June 2026, which has it.
  floor: { version: '9701', advisory: 'a request with a negative n_discard writes outside of its memory (CVE-2026-21869)' },
};
