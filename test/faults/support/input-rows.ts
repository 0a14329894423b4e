import type { Fault } from './catalogue.ts';

/** Requests that are wrong, or meant to do harm. */
export const input = {
  89: {
    happens: 'JSON that is malformed, cut off anywhere, empty, or random bytes',
    holds: '400 `request_invalid`; the engine sees none of it, and no log has its text',
  },
  90: {
    happens: 'a body of 100 MB, with its length told or in chunks',
    holds: '413 before a byte is read, or as soon as the limit is reached; memory stays flat; forms have a larger limit',
  },
  91: { happens: 'JSON nested 100 000 deep', holds: '400, wherever in the body' },
  92: {
    happens: 'invalid UTF-8, a raw NUL; escaped NULs and halves of characters',
    holds: '400 for what is no JSON; what is goes on byte for byte',
  },
  93: {
    happens: 'a Content-Type that is wrong, malformed or not UTF-8; a compressed body',
    holds: '415; each right way to write JSON’s type is taken',
  },
  94: {
    happens: '`model` twice in a body, also written with escapes',
    holds: '400; a key that stands twice deeper inside means the same to gateway and engine, which gets the bytes as they came',
  },
  95: { happens: 'parameters called `__proto__`, `constructor`, `prototype`', holds: '400 `param_refused`' },
  96: {
    happens: 'requests that two servers in a row read differently: two lengths, length and chunks, folded lines, bare line ends, …',
    holds: '400, the connection is closed, and nothing behind it is read',
  },
  97: {
    happens: 'two `Host`s, one that is none, an absolute target; a key for one path and the path of another',
    holds: '400; the key is judged by the route that is served',
  },
  98: { happens: 'a header of 17 KB, 2500 headers', holds: '431, none is dropped silently' },
  99: {
    happens: '5000 connections that send a byte now and then, of headers or of a body',
    holds: 'others are served meanwhile; the slow ones get 408 after `headers_timeout_s` or `request_timeout_s`, and are closed',
  },
  100: {
    happens: 'paths with `..%2f`, `%00`, `//`, `;`, capitals, broken escapes',
    holds: '404; no path of an engine is reached',
  },
  101: {
    happens: 'a billion choices or tokens, log probabilities of the whole vocabulary, thousands of stop texts',
    holds: '400 `param_too_large` with the key of the limit; a model’s own limits stand above the gateway’s',
  },
  102: {
    happens: 'regular expressions and grammars that are huge or malformed, schemas that are huge, deep or circular',
    holds: '400 before an engine sees them; one that is short and slow all the same ends as row 6',
  },
  103: {
    happens: 'a chat template in a request, or in its `chat_template_kwargs`, on three routes',
    holds: '400 `param_refused`; `allowed_params` lets it through',
  },
  104: { happens: 'malformed tools, and schemas in them', holds: '400 that names the tool' },
  105: {
    happens: 'an image at a private, loopback or metadata address, however written, or in a file',
    holds: '400 `media_refused`, and nobody is asked; of a host that `gateway.media.allowed_hosts` names the engine gets the image as data',
  },
  106: {
    happens: 'an allowed host leads to another address by a redirect, or by a second answer of DNS',
    holds: 'each redirect is refused as the URL would be; a name is looked up once, and what was looked at is what is connected to',
  },
  107: {
    happens: 'an image of 50 MB in a data URL',
    holds: '413 by the size of the body, or 400 by that of the image; how many pixels come out of few bytes is the engine’s to limit',
  },
  108: {
    happens: 'names of adapters that lead elsewhere: `../x`, absolute, escaped, 4 KB, letters that look alike',
    holds: '404 `adapter_not_found`; nothing outside of the adapters’ directory is loaded',
  },
  109: {
    happens: 'parameters that choose code, files, tensors or caches of an engine, and ones that nobody knows',
    holds: '400 `param_refused`, or left out and named in `x-gateway-dropped-params`; with `unsupported_params: reject` a 400',
  },
  110: { happens: 'a tool with a `server_url` in `/v1/responses`', holds: '400 `param_refused`' },
  111: {
    happens: '100 000 names of models that there are not',
    holds: '404 each; series, log and memory stay as they were',
  },
  112: {
    happens: 'line breaks and terminal escapes in model, user, request id and headers',
    holds: 'every line of the log is one JSON object, and no answer, log or status has a raw one',
  },
  113: { happens: 'a prompt that is longer than the model’s context', holds: 'the engine’s own 400 and its words' },
  114: { happens: '10 000 users and request ids', holds: 'no series is labelled by them' },
} as const satisfies Record<number, Fault>;
