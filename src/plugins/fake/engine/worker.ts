/** A child of the fake engine: holds nothing and does nothing, but outlives its parent as real workers do. */
const orphanLifeMs = 60_000;
const parent = process.ppid;

const watch = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(watch);
  // Long enough for anyone who looks for leftovers; not for ever on the machine of a user who tries this out.
  setTimeout(() => process.exit(0), orphanLifeMs);
}, 1000);
