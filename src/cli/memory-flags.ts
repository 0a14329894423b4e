interface Rule {
  /** What the name of any flag has by which a user tells V8 about this. */
  readonly word: string;
  readonly flags: readonly string[];
  /** Not for a process that serves. */
  readonly fetchOnly?: true;
}

const rules: readonly Rule[] = [
  // V8 doubles a thread's young memory as long as much of it survives, up to 16 MiB twice, and never gives it back: loading the modules is
  // enough for that. The main thread, which serves nobody, keeps the MiB that it has; workers begin with all that they may have
  // (`DataPlane`).
  { word: 'semi-space-size', flags: ['--semi-space-growth-factor=1', '--min-semi-space-size=4'] },
  // The compiler in the middle takes 20 MiB a worker while requests make functions hot, and glibc keeps them. The last one takes the same
  // functions a little later, and what a request costs from then on is the same.
  { word: 'maglev', flags: ['--no-maglev'] },
  // Full collections when the heap has grown by a third, instead of to four times: what streams leave is old when they end. To be set while
  // V8 runs: on the command line it would also leave all threads one MiB of young memory.
  { word: 'optimize-for-size', flags: ['--optimize-for-size'] },
  // What a fetch costs is the kernel's and the checksums': as fast without the last compiler, whose memory is 16 MiB of 140.
  { word: 'turbofan', flags: ['--no-turbofan'], fetchOnly: true },
];

/**
 * The flags with which V8 leaves a process that serves for days small: with 2000 streams that come and go about 100 MiB less, at the same
 * CPU. And one that fetches thousands of small files, each of which makes eighty kilobytes of garbage: 120 MiB less for 20,000. To be set
 * before the modules are loaded and workers begin.
 * @param told what the process was started with (`process.execArgv`, NODE_OPTIONS): what V8 was told there holds.
 * @param does what the process is for
 */
export function memoryFlags(told: readonly string[], does: 'serve' | 'fetch'): readonly string[] {
  return rules
    .filter(({ word, fetchOnly = false }) => (does === 'fetch' || !fetchOnly) && !told.some((each) => each.includes(word)))
    .flatMap(({ flags }) => flags);
}
