// Entry of every npm script: `node setup/run.mjs <start|gateway|test|test-engines|test-clients|bench|soak> [arguments]`.
// Plain JavaScript with old syntax, so that a Node too old for the rest can still say so.
const oldestMajor = 20;

if (Number(process.versions.node.split('.')[0]) < oldestMajor) {
  console.error(
    `setup: Node.js ${oldestMajor} or newer is needed, and this is ${process.version} (${process.execPath}). Install a newer one and run this again.`,
  );
  process.exitCode = 1;
} else {
  const { bootstrap } = await import('./bootstrap.mjs');
  process.exitCode = await bootstrap(process.argv.slice(2));
}
