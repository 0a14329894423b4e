import { GatewayError } from '../../core/errors.ts';
import type { Dialect } from '../engine-plugin.ts';
import { readErrorReply } from '../error-reply.ts';
import { mendFastapiError } from '../fastapi-error.ts';
import { editRequest, isMapping, without } from '../request-edit.ts';
import type { Body } from '../request-edit.ts';
import { nameSchema } from '../response-format.ts';
import { toServedName } from './served-name.ts';

/**
 * Checked against SGLang 0.5.17. It answers any model name from the base model and repeats the name it was sent, so that a request must
 * carry the served name; replies carry it too.
 */
export const dialect: Dialect = {
  toEngine: (request) => editRequest(request, marks, toServedName(request.model), [nameSchema, constrain, dropInternal, refuseRemoteMedia]),
  readError: (status, body) => mendFastapiError(status, readErrorReply(status, body)),
};

/** Fields that choose adapters and other engines, name requests (to abort them), or carry code: not a client's business. */
const internal: ReadonlySet<string> = new Set([
  'lora_path',
  'rid',
  'routed_dp_rank',
  'data_parallel_rank',
  'bootstrap_host',
  'bootstrap_port',
  'bootstrap_room',
  'bootstrap_pair_key',
  'custom_logit_processor',
]);

const marks = ['"response_format"', '"guided_', '_url"', ...[...internal].map((name) => `"${name}"`)].map((mark) => Buffer.from(mark));

function dropInternal(body: Body): Body {
  return without(body, internal);
}

const guidedFields: ReadonlySet<string> = new Set(['guided_json', 'guided_regex', 'guided_grammar', 'guided_decoding_backend']);

/** vLLM's `guided_` fields that mean exactly what a field of SGLang does; what the client says in SGLang's own words stands above them. */
function constrain(body: Body): Body {
  const rest = without(body, guidedFields);
  if (rest === body) return body;
  const { guided_json: schema, guided_regex: regex, guided_grammar: grammar } = body;
  return {
    ...(isMapping(schema) ? { response_format: { type: 'json_schema', json_schema: { name: 'response', schema } } } : {}),
    ...(typeof regex === 'string' ? { regex } : {}),
    ...(typeof grammar === 'string' ? { ebnf: grammar } : {}),
    ...rest,
  };
}

/**
 * SGLang has no list of hosts that it may fetch images from, and reads local files too: a client could make it fetch anything.
 * @throws GatewayError `request_invalid`
 */
function refuseRemoteMedia(body: Body): Body {
  const { messages } = body;
  if (!Array.isArray(messages)) return body;
  for (const [index, message] of messages.entries()) {
    const content: unknown = isMapping(message) ? message['content'] : undefined;
    const url = Array.isArray(content)
      ? content.flatMap((part: unknown) => mediaUrls(part)).find((url) => !/^data:/iu.test(url))
      : undefined;
    if (url === undefined) continue;
    const param = `messages.${index}.content`;
    const shown = JSON.stringify(url.slice(0, 200));
    throw new GatewayError('request_invalid', `${param}: ${shown} would have to be fetched by the engine; expected a data: URL`, { param });
  }
  return body;
}

function mediaUrls(part: unknown): readonly string[] {
  if (!isMapping(part)) return [];
  return Object.entries(part).flatMap(([name, value]) => {
    if (!name.endsWith('_url')) return [];
    const url = isMapping(value) ? value['url'] : value;
    return typeof url === 'string' ? [url] : [];
  });
}
