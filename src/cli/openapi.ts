import type { Command } from 'commander';
import { adminDocument } from '../admin/openapi.ts';
import { dataDocument } from '../gateway/openapi/document.ts';
import { exitCode } from './exit-code.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface OpenApiOptions extends OutputOptions {
  readonly admin?: boolean;
}

export function addOpenApi(program: Command, run: Run): void {
  const command = program
    .command('openapi')
    .description("print the API's OpenAPI document (3.1)")
    .option('--admin', 'of the admin plane instead')
    .addHelpText('after', '\nExample:\n  gateway openapi > openapi.json');
  withOutput(command).action((options: OpenApiOptions) =>
    run(async () => {
      const document = options.admin === true ? adminDocument() : dataDocument();
      print(options, document, (words) => `${JSON.stringify(words, undefined, 2)}\n`);
      return exitCode.ok;
    }),
  );
}
