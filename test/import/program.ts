import { Command, CommanderError } from 'commander';
import { addImport } from '../../src/cli/import.ts';
import { GatewayError, messageOf } from '../../src/core/errors.ts';

/** `gateway` with nothing but `import`, run as a process of its own. Exit codes as in main.ts; 4 for a config that is not valid. */
const program = new Command('gateway').exitOverride();
addImport(program, async (action) => {
  process.exitCode = await action();
});
try {
  await program.parseAsync(process.argv.slice(2), { from: 'user' });
} catch (error) {
  if (!(error instanceof GatewayError || error instanceof CommanderError)) throw error;
  process.stderr.write(`gateway: ${messageOf(error)}\n`);
  process.exitCode = error instanceof CommanderError || error.code === 'usage_invalid' ? 2 : error.code === 'config_invalid' ? 4 : 1;
}
