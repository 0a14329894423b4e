interface Rule {
  /** What the name of any flag has by which a user tells V8 about this. */
  readonly word: string;
  readonly flags: readonly string[];
  /** Not for a process that serves. */
  readonly fetchOnly?: true;
}

/** What this process was started with of flags for V8, and of others. */
export const toldV8 = (): readonly string[] => [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''];

const isTold = (told: readonly string[], word: string): boolean => told.some((each) => each.includes(word));

const memoryWord = 'optimize-for-size';

/**
 * Which V8 is to favour, to be set while it runs: on its command line the same flag would also leave all threads one MiB of young memory. For
 * memory, full collections come when the heap has grown by a third, instead of to four times: 30 MiB less with 2000 streams that come and
 * go, and up to a third more time for a chunk where there are few.
 */
export function favouring(kind: 'memory' | 'time'): string {
  return kind === 'memory' ? `--${memoryWord}` : `--no-${memoryWord}`;
}

/** Whether V8 was told at its start what it is to favour. */
export const toldFavour = (told: readonly string[]): boolean => isTold(told, memoryWord);

const rules: readonly Rule[] = [
  // V8 doubles a thread's young memory as long as much of it survives, up to 16 MiB twice, and never gives it back: loading the modules is
  // enough for that. The main thread, which serves nobody, keeps the MiB that it has; workers begin with all that they may have
  // (`DataPlane`).
  { word: 'semi-space-size', flags: ['--semi-space-growth-factor=1', '--min-semi-space-size=4'] },
  // The compiler in the middle takes 20 MiB a worker while requests make functions hot, and glibc keeps them. The last one takes the same
  // functions a little later, and what a request costs from then on is the same.
  { word: 'maglev', flags: ['--no-maglev'] },
  // What lives long when it is made, such as the objects of a thousand idle streams, V8 makes among the old ones from then on, all of its
  // kind: what is dead a moment later then keeps what it refers to, bodies above all, until a full collection. A request of 32 KB cost half
  // as much again for ever.
  { word: 'pretenuring', flags: ['--no-allocation-site-pretenuring'] },
  // Of 20,000 small files' garbage less is kept by full collections that come when the heap has grown by a third, and leave no pages half empty.
  // What serves favours memory only while it has many requests (`memory-watch.ts`).
  { word: memoryWord, flags: [favouring('memory')], fetchOnly: true },
  // To make undici's parser fast takes 20 MiB for a moment, which a pull through a proxy is not the faster for.
  { word: 'wasm', flags: ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering'], fetchOnly: true },
];

/**
 * The flags with which V8 leaves a process that serves for days small: with 2000 streams that come and go about 70 MiB less, at the same
 * CPU. And one that fetches thousands of small files, each of which makes eighty kilobytes of garbage: 120 MiB less for 20,000. To be set
 * before the modules are loaded and workers begin.
 * @param told what the process was started with (`toldV8`): what V8 was told there holds.
 * @param does what the process is for
 */
export function memoryFlags(told: readonly string[], does: 'serve' | 'fetch'): readonly string[] {
  return rules
    .filter(({ word, fetchOnly = false }) => (does === 'fetch' || !fetchOnly) && !isTold(told, word))
    .flatMap(({ flags }) => flags);
}
