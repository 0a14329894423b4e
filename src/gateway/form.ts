import { GatewayError } from '../core/errors.ts';

/** Where the value of a part stands in the body. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Form {
  /** Names of its parts, in order. */
  readonly names: readonly string[];
  /** The value of its part `model`. */
  readonly model: Span | undefined;
}

const maxParts = 64;
const maxPartHeaderBytes = 4096;
const boundaryPattern = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([\w'()+,\-./:=?]{1,70}))\s*(?:;.*)?$/iu;
const crlf = Buffer.from('\r\n');
const blankLine = Buffer.from('\r\n\r\n');

function malformed(what: string): GatewayError {
  return new GatewayError('request_invalid', `The form is not valid: ${what}.`);
}

/**
 * Finds the parts of a `multipart/form-data` body (RFC 7578) and where the model's name stands, without changing a byte. Stricter than
 * engines are, so that none of them can see another model than we do: one `model`, plain names, CRLF line ends, nothing folded.
 * @throws GatewayError `request_invalid`
 */
export function scanForm(bytes: Buffer, contentType: string): Form {
  const [, quoted, plain] = boundaryPattern.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw malformed('its Content-Type has no usable boundary');
  if (contentType.match(/boundary/giu)?.length !== 1) throw malformed('its Content-Type has more than one boundary');
  const names: string[] = [];
  let model: Span | undefined;
  const delimiter = Buffer.from(`--${boundary}`);
  if (!bytes.subarray(0, delimiter.length).equals(delimiter)) throw malformed('it does not begin with its boundary');
  const next = Buffer.from(`\r\n--${boundary}`);
  for (let at = delimiter.length; ;) {
    if (bytes[at] === 0x2d && bytes[at + 1] === 0x2d) return { names, model };
    if (names.length >= maxParts) throw malformed(`more than ${maxParts} parts`);
    const { name, start } = partAt(bytes, at);
    const end = bytes.indexOf(next, start);
    if (end === -1) throw malformed(`the part '${name}' does not end`);
    if (name === 'model' && model !== undefined) throw malformed("there are two parts 'model'");
    if (name === 'model') model = { start, end };
    names.push(name);
    at = end + next.length;
  }
}

function partAt(bytes: Buffer, boundaryEnd: number): { name: string; start: number } {
  if (!bytes.subarray(boundaryEnd, boundaryEnd + 2).equals(crlf)) throw malformed('something stands behind a boundary');
  const end = bytes.subarray(0, boundaryEnd + maxPartHeaderBytes).indexOf(blankLine, boundaryEnd);
  if (end === -1) throw malformed(`a part has no end of its headers, or more than ${maxPartHeaderBytes} bytes of them`);
  const lines = bytes.toString('latin1', boundaryEnd + 2, end).split('\r\n');
  const dispositions = lines.filter((line) => /^content-disposition\s*:/iu.test(line));
  if (dispositions.length !== 1 || lines.some((line) => /^[ \t]|[\r\n]/u.test(line))) throw malformed('the headers of a part');
  const given = [...(dispositions[0] ?? '').matchAll(/;\s*name\*?\s*=\s*("([\w.[\]-]{1,64})"|[^;]*)/giu)];
  const name = given[0]?.[2];
  if (given.length !== 1 || name === undefined) throw malformed('a part without a plain name in quotes');
  return { name, start: end + blankLine.length };
}
