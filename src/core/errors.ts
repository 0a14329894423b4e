interface ErrorRow {
  /** HTTP status a client sees; 0 for errors no client ever sees. */
  readonly status: number;
  /** OpenAI's `error.type`. */
  readonly type: string;
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean;
  /** One sentence for `docs/errors.md`. */
  readonly meaning: string;
}

/** Every failure the product names: its code is stable, its status and type stand here and nowhere else. */
export const errorTable = {
  request_invalid: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The request body or a parameter is not valid; `param` names it.',
  },
  param_too_large: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'A parameter asks for more than a limit of the model allows; `param` names it, and the message the key of `gateway.limits`.',
  },
  param_refused: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    meaning:
      'A parameter that clients may not use: by it they could run code in an engine, or make it open files or connections. `gateway.allowed_params` lets it through.',
  },
  media_refused: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    meaning:
      'An image is named by a URL that the gateway does not fetch: not public, of another scheme, too large, too many (`gateway.media`).',
  },
  media_unavailable: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'An image that is named by a URL could not be fetched, or is none; the message has the cause.',
  },
  param_unsupported: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    meaning: "The model's engine cannot do what a parameter asks for, and `unsupported_params` is `reject`; `param` names it.",
  },
  operation_unsupported: {
    status: 404,
    type: 'invalid_request_error',
    retryable: false,
    meaning:
      "The model's engine has no such operation (embeddings, rerank, transcriptions, …); the message names the engine and the route.",
  },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'No model of that name is configured; the message lists those that are.',
  },
  adapter_not_found: {
    status: 404,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The model has no LoRA adapter of that name, or what is there is none; the message says where it was looked for.',
  },
  adapter_invalid: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    meaning: "The model's engine refuses the LoRA adapter; the message has its words.",
  },
  invalid_api_key: {
    status: 401,
    type: 'authentication_error',
    retryable: false,
    meaning: 'No key was given, or one that opens nothing here: unknown, expired, or that of another application.',
  },
  key_not_permitted: {
    status: 403,
    type: 'permission_error',
    retryable: false,
    meaning: 'The key is good, and not for this: a model that is not among its `models`, or the admin listener.',
  },
  admin_refused: {
    status: 403,
    type: 'invalid_request_error',
    retryable: false,
    meaning:
      'The admin listener refuses requests that a web page may have sent: a foreign `Host`, an `Origin`, or a body that is not JSON.',
  },
  route_not_found: { status: 404, type: 'invalid_request_error', retryable: false, meaning: 'The path is none of the routes served here.' },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The path exists, but not with this method; `Allow` lists the methods.',
  },
  request_timeout: {
    status: 408,
    type: 'invalid_request_error',
    retryable: true,
    meaning: 'The request did not arrive completely in time.',
  },
  body_too_large: {
    status: 413,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The body is larger than `gateway.limits.max_body_bytes`, or a form than `max_media_body_bytes`.',
  },
  media_type_unsupported: {
    status: 415,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The body is not `application/json` in UTF-8 (of a recording: a form), or is compressed.',
  },
  headers_too_large: {
    status: 431,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The request headers are larger than 16 KB, or more than 256.',
  },
  rate_limited: {
    status: 429,
    type: 'rate_limit_error',
    retryable: true,
    meaning: 'The key has used what its `limits` allow; `Retry-After` and `x-ratelimit-*` say when there is more.',
  },
  overloaded: {
    status: 429,
    type: 'rate_limit_error',
    retryable: true,
    meaning: "The model's waiting room is full (`max_queued_requests`).",
  },
  client_closed: {
    status: 499,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The client left before it was answered; only seen in metrics and logs.',
  },
  client_stalled: {
    status: 499,
    type: 'invalid_request_error',
    retryable: false,
    meaning: 'The client stopped reading its reply for a minute and was cut off; only seen in metrics.',
  },
  internal_error: {
    status: 500,
    type: 'server_error',
    retryable: false,
    meaning: 'A defect of the gateway itself; the log has the details under the request id.',
  },
  upstream_failed: {
    status: 502,
    type: 'server_error',
    retryable: true,
    meaning: 'The engine died or broke the connection while it worked on the request.',
  },
  upstream_invalid: {
    status: 502,
    type: 'server_error',
    retryable: true,
    meaning: 'The engine answered with something that is not a valid reply.',
  },
  wait_timeout: {
    status: 503,
    type: 'server_error',
    retryable: true,
    meaning: 'No replica could take the request before its waiting time (`gateway.timeouts.queue_s`) ended.',
  },
  start_failed: {
    status: 503,
    type: 'server_error',
    retryable: true,
    meaning: 'The engine of this model cannot start; the message has the cause.',
  },
  adapter_unavailable: {
    status: 503,
    type: 'server_error',
    retryable: true,
    meaning: 'The LoRA adapter could not be fetched or loaded now; the message has the cause.',
  },
  shutting_down: { status: 503, type: 'server_error', retryable: true, meaning: 'The gateway is draining and takes no new requests.' },
  upstream_timeout: {
    status: 504,
    type: 'server_error',
    retryable: true,
    meaning: 'The engine sent no byte within `gateway.timeouts.first_byte_s` or `gateway.timeouts.idle_s`.',
  },
  config_invalid: {
    status: 0,
    type: 'config',
    retryable: false,
    meaning: 'The config file has problems; each is listed with file, line and column. Exit code 4.',
  },
  usage_invalid: {
    status: 0,
    type: 'usage',
    retryable: false,
    meaning: 'The command line, or an environment variable it reads, is not valid. Exit code 2.',
  },
  port_in_use: {
    status: 0,
    type: 'startup',
    retryable: false,
    meaning: 'The address to listen on is taken by another process, or not one of this machine. Exit code 1.',
  },
  already_running: {
    status: 0,
    type: 'startup',
    retryable: false,
    meaning: 'Another gateway runs on the same state directory; the message names its pid. Exit code 3.',
  },
  not_running: {
    status: 0,
    type: 'usage',
    retryable: false,
    meaning: 'No gateway runs on the state directory that was named. Exit code 1.',
  },
  state_unusable: { status: 0, type: 'startup', retryable: false, meaning: 'The state directory cannot be created or written.' },
  file_unwritable: {
    status: 0,
    type: 'file',
    retryable: false,
    meaning: 'A file that was asked for cannot be written; the message names it.',
  },
  engine_missing: { status: 0, type: 'engine', retryable: false, meaning: "The engine's executable was not found or cannot be run." },
  start_timeout: {
    status: 0,
    type: 'engine',
    retryable: true,
    meaning: 'The engine did not become ready within `gateway.timeouts.startup_s`.',
  },
  engine_exited: { status: 0, type: 'engine', retryable: true, meaning: 'The engine process ended without being asked to.' },
  oom_killed: {
    status: 0,
    type: 'engine',
    retryable: true,
    meaning: "The kernel's out-of-memory killer ended the engine: the machine, or its container, has too little memory.",
  },
  gpu_lost: {
    status: 0,
    type: 'engine',
    retryable: true,
    meaning: 'The driver lost the GPU that the engine ran on; the engine was killed, and the GPU is given to nobody.',
  },
  engine_hung: {
    status: 0,
    type: 'engine',
    retryable: true,
    meaning: 'The engine had requests and made no progress with any of them for `gateway.timeouts.hang_s`; it was killed.',
  },
  sleep_failed: {
    status: 0,
    type: 'engine',
    retryable: true,
    meaning:
      'The engine slept (`gateway.idle.sleep_s`) and did not wake, or did not say in time that it sleeps; it was killed and starts anew.',
  },
  model_mismatch: {
    status: 0,
    type: 'engine',
    retryable: false,
    meaning: 'What answers on the port serves another model, or is not the process we started.',
  },
  artifact_unavailable: { status: 0, type: 'engine', retryable: false, meaning: 'The model files cannot be found or read.' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorDetails extends ErrorOptions {
  /** The request field at fault, as OpenAI's `error.param`. */
  readonly param?: string;
  /** Seconds until a retry may succeed: `Retry-After`. */
  readonly retryAfterS?: number;
}

/** The one error of the project. `message` gives the value at fault and what was expected. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly retryAfterS: number | undefined;
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.param = details.param;
    this.retryAfterS = details.retryAfterS;
  }
}

/** What any thrown thing says, in one line. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** `port_in_use`: why nothing can listen there. `key`: of the config, where another port can be set. */
export function cannotListen(error: unknown, host: string, port: number, key: string): GatewayError {
  const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  const message = inUse
    ? `${host}:${port} is in use by another process; stop it or set another port (${key}).`
    : `Cannot listen on ${host}:${port}: ${messageOf(error)}.`;
  return new GatewayError('port_in_use', message, { cause: error });
}
