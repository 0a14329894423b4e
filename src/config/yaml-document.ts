import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument, type ErrorCode, type YAMLParseError } from 'yaml';
import { at, type Position, type SourceDocument } from './positions.ts';

/** Errors that leave the structure of the rest of the file clear. After any other, what follows is noise. */
const localErrors: ReadonlySet<ErrorCode> = new Set([
  'BAD_DQ_ESCAPE',
  'BAD_SCALAR_START',
  'NON_STRING_KEY',
  'TAB_AS_INDENT',
  'TAG_RESOLVE_FAILED',
]);

/** Syntax that is wrong, and where. */
export interface SyntaxProblem extends Position {
  readonly message: string;
}

/**
 * Parses YAML 1.2 (core schema, one document). `file` is what messages show. Nothing in the text makes it throw; tags, aliases and
 * duplicate keys are left to whoever reads the nodes.
 */
export function parseYaml(text: string, file: string): { readonly source: SourceDocument; readonly problems: readonly SyntaxProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    schema: 'core',
    stringKeys: true,
    prettyErrors: false,
    // Quadratic in the library; readValue looks for duplicates itself and can say where the first one stands.
    uniqueKeys: false,
    // Below `error` the library does not report that more documents follow.
    logLevel: 'error',
  });
  const source = { file, directory: dirname(resolve(file)), document, lines };
  return { source, problems: syntaxProblems(source, text, document.errors) };
}

function syntaxProblems(source: SourceDocument, text: string, errors: readonly YAMLParseError[]): SyntaxProblem[] {
  const deep = errors.find((error) => error.code === 'RESOURCE_EXHAUSTION');
  if (deep !== undefined) return [{ ...at(source, deep.pos[0]), message: 'nested too deeply; expected no more levels than a config has' }];
  const end = errors.findIndex((error) => !localErrors.has(error.code));
  const telling = end === -1 ? errors : errors.slice(0, end + 1);
  return telling.map((error) => ({ ...at(source, error.pos[0]), message: explain(error, text) }));
}

function explain(error: YAMLParseError, text: string): string {
  if (error.code === 'MULTIPLE_DOCS') return 'a second document begins here (`---`); expected one document in the file';
  if (error.code === 'NON_STRING_KEY') return 'a mapping or list as key; expected plain text';
  const [start] = error.pos;
  if (text[start] === '{' && text[start - 1] === '$') return 'not valid YAML: inside { } and [ ] a variable must be quoted: "${NAME}"';
  if (error.code === 'TAB_AS_INDENT') return 'not valid YAML: a tab as indentation; expected spaces';
  const quote = /^Missing closing (["'])quote/.exec(error.message)?.[1];
  if (quote !== undefined) return `not valid YAML: a quoted text has no end; expected another ${quote} before this`;
  return `not valid YAML: ${error.message.split('\n', 1)[0] ?? error.message}`;
}
