import type { Dialect } from '../engine-plugin.ts';
import { readErrorReply } from '../error-reply.ts';
import { mendFastapiError } from '../fastapi-error.ts';
import { editRequest, isMapping, without } from '../request-edit.ts';
import type { Body } from '../request-edit.ts';
import { nameSchema } from '../response-format.ts';

/** What its HTTP server says while the engine behind it is being stopped, or for about 0.6 s after it was killed (0.26.0, on a GPU). */
const gone = ['cannot schedule new futures after shutdown', 'EngineCore encountered an issue'];

/** Checked against vLLM 0.26.0. Its replies carry the served name, which is the public id. */
export const dialect: Dialect = {
  toEngine: (request) => editRequest(request, marks, request.model, [dropToolChoice, nameSchema, structure, dropInternal]),
  readError: (status, body) => {
    const reply = readErrorReply(status, body);
    if (status === 500 && gone.some((words) => reply.message.includes(words))) {
      return { message: 'The engine has stopped.', type: 'server_error', status: 503 };
    }
    return mendFastapiError(status, reply);
  },
};

const marks = ['"tool', '"response_format"', '"guided_', '"kv_transfer_params"', '"request_id"', '"vllm_xargs"'].map((mark) =>
  Buffer.from(mark),
);

/** Fields that steer parts of the engine which are not a client's business: other engines' caches, ids of other requests. */
const internal: ReadonlySet<string> = new Set(['kv_transfer_params', 'request_id', 'vllm_xargs']);

function dropInternal(body: Body): Body {
  return without(body, internal);
}

const toolFields: ReadonlySet<string> = new Set(['tools', 'tool_choice']);

/** OpenAI takes an empty list of tools, and vLLM neither that nor a choice without tools. */
function dropToolChoice(body: Body): Body {
  const { tools } = body;
  const none = tools === undefined || tools === null || (Array.isArray(tools) && tools.length === 0);
  return none ? without(body, toolFields) : body;
}

/** The `guided_` fields of vLLM before 0.12, by their name in `structured_outputs`; vLLM ignores the old ones silently. */
const guided: ReadonlyMap<string, string> = new Map([
  ['guided_json', 'json'],
  ['guided_regex', 'regex'],
  ['guided_choice', 'choice'],
  ['guided_grammar', 'grammar'],
  ['guided_json_object', 'json_object'],
  ['guided_whitespace_pattern', 'whitespace_pattern'],
]);
const guidedFields: ReadonlySet<string> = new Set([...guided.keys(), 'guided_decoding_backend']);

function structure(body: Body): Body {
  const rest = without(body, guidedFields);
  if (rest === body) return body;
  const old = [...guided].flatMap(([from, to]) => (body[from] === undefined || body[from] === null ? [] : [[to, body[from]] as const]));
  if (old.length === 0 || isMapping(body['structured_outputs'])) return rest;
  return { ...rest, structured_outputs: Object.fromEntries(old) };
}
