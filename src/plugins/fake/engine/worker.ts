/** A child of the fake engine: takes part in its steps by answering, and outlives its parent as real workers do. */
const orphanLifeMs = 60_000;
const parent = process.ppid;

// An engine that has died meanwhile is no reason to go at once.
process.on('message', (step) => process.send?.(step, undefined, undefined, () => undefined));

const watch = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(watch);
  // Long enough for anyone who looks for leftovers; not for ever on the machine of a user who tries this out.
  setTimeout(() => process.exit(0), orphanLifeMs);
}, 1000);
