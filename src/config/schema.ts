import { z } from 'zod';
import { choice, dictionary, inert, later, list, mapping, openMapping, refused, seconds, text, textLike, whole } from './fields.ts';
import { allowedParamsSchema, modelLimitsSchema, modelLimitsShape } from './input-limits.ts';
import { keySchema, keyShape } from './key-schema.ts';

/**
 * The file, as people write it: Ray Serve LLM's shape, in snake_case, with our own settings under `gateway:`. Every default that
 * does not depend on the machine stands here. Ray's keys are those of Ray 2.5x (`ray.serve.schema`, `ray.serve.llm`).
 */

/** Ray's value where `llm_engine` is not given. */
export const defaultEngine = 'vLLM';

/** Where the API listens if neither `gateway.listen` nor `http_options` says. Loopback: nothing is open to a network unasked. */
export const defaultListen = { host: '127.0.0.1', port: 8000 } as const;
export const defaultMaxConnections = 4096;
export const defaultAdmin = { host: '127.0.0.1', port: 9464 } as const;

/** Ray's builder for an OpenAI-compatible app. Others are refused in resolve.ts, each with its reason. */
export const defaultBuilder = 'ray.serve.llm:build_openai_app';

const port = whole(0, 65_535);
const host = textLike(
  /^(?:[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/,
  'a host name or IP address, without port or brackets',
);
const ownEnvironment = 'the engine runs in the environment its command has';
const noMeaning = 'it concerns a Ray cluster';
const plainHttp = 'the API is plain HTTP in this version; put a proxy that speaks TLS in front';

const envVars = dictionary(z.string({ error: 'expected text; quote it' }));

const runtimeEnvSchema = mapping({
  env_vars: envVars.optional(),
  pip: inert(ownEnvironment),
  uv: inert(ownEnvironment),
  conda: inert(ownEnvironment),
  working_dir: inert(ownEnvironment),
  py_modules: inert(ownEnvironment),
  py_executable: inert(ownEnvironment),
  excludes: inert(ownEnvironment),
  container: inert(ownEnvironment),
  image_uri: inert(ownEnvironment),
  config: inert(ownEnvironment),
  nsight: inert(ownEnvironment),
  worker_process_setup_hook: inert(ownEnvironment),
});

const modelTimeoutsSchema = mapping({
  queue_s: seconds(0).optional(),
  first_byte_s: seconds(0.001).optional(),
  idle_s: seconds(0.001).optional(),
  startup_s: seconds(0.001).optional(),
  hang_s: seconds(1).optional(),
  drain_s: seconds(0).optional(),
});

const modelSource = 'a local path, a name the engine resolves itself, a URL (s3, gs, hf, https), or a mapping with bucket_uri';
const noExtraFiles = 'files beside the model are not fetched; put them below bucket_uri';

const modelLoadingSchema = mapping(
  {
    model_id: textLike(/^(?=.{1,256}$)\S(?:[^\p{Cc}]*\S)?$/u, 'a name of 1 to 256 characters, with no blank at either end'),
    model_source: z
      .union(
        [text(modelSource), mapping({ bucket_uri: text('s3://bucket/prefix or gs://bucket/prefix'), extra_files: refused(noExtraFiles) })],
        {
          error: `expected ${modelSource}`,
        },
      )
      .optional(),
    tokenizer_source: text('a local path, or a name the engine resolves itself').optional(),
  },
  'a mapping with model_id',
);

const replicaCount = whole(0, 10_000);
const factor = z.number({ error: 'expected a number above 0' }).positive({ error: 'expected a number above 0' });

/** Ray's `AutoscalingConfig`. */
const autoscalingSchema = mapping({
  min_replicas: replicaCount.optional(),
  initial_replicas: replicaCount.nullish(),
  max_replicas: whole(1, 10_000).optional(),
  target_ongoing_requests: factor.optional(),
  metrics_interval_s: seconds(0.001).optional(),
  look_back_period_s: seconds(0.001).optional(),
  upscaling_factor: factor.nullish(),
  downscaling_factor: factor.nullish(),
  upscale_delay_s: seconds(0).optional(),
  downscale_delay_s: seconds(0).optional(),
  downscale_to_zero_delay_s: seconds(0).nullish(),
  aggregation_function: choice(['mean', 'max', 'min']).optional(),
  policy: inert('autoscaling policies of your own are code, which is not run'),
  smoothing_factor: factor.optional(),
  upscale_smoothing_factor: factor.nullish(),
  downscale_smoothing_factor: factor.nullish(),
  target_num_ongoing_requests_per_replica: inert('Ray renamed it: write target_ongoing_requests'),
});

const routerSchema = mapping({
  request_router_class: text('the import path of a request router').optional(),
  request_router_kwargs: inert('routers are set by gateway.routing of the model'),
  request_routing_stats_period_s: inert('load is counted, not polled'),
  request_routing_stats_timeout_s: inert('load is counted, not polled'),
  initial_backoff_s: inert('requests wait until a place is free'),
  backoff_multiplier: inert('requests wait until a place is free'),
  max_backoff_s: inert('requests wait until a place is free'),
});

const deploymentSchema = mapping({
  num_replicas: z
    .union([whole(1, 10_000, ', or auto'), z.literal('auto')], { error: 'expected a whole number from 1 to 10000, or auto' })
    .optional(),
  max_ongoing_requests: whole(1, Number.MAX_SAFE_INTEGER).optional(),
  max_queued_requests: whole(-1, Number.MAX_SAFE_INTEGER).default(256),
  health_check_period_s: seconds(0.001).default(10),
  health_check_timeout_s: seconds(0.001).default(30),
  graceful_shutdown_timeout_s: seconds(0).optional(),
  autoscaling_config: autoscalingSchema.optional(),
  max_concurrent_queries: refused('Ray renamed it: write max_ongoing_requests'),
  graceful_shutdown_wait_loop_s: inert('a drain ends as soon as the last request has'),
  name: inert('replicas are named after the model'),
  user_config: inert(noMeaning),
  version: inert(noMeaning),
  ray_actor_options: inert(noMeaning),
  placement_group_bundles: inert(noMeaning),
  placement_group_strategy: inert(noMeaning),
  placement_group_bundle_label_selector: inert(noMeaning),
  placement_group_fallback_strategy: inert(noMeaning),
  max_replicas_per_node: inert(noMeaning),
  max_constructor_retry_count: inert('starts are tried again for as long as trying can help'),
  logging_config: inert('see gateway.log'),
  request_router_config: routerSchema.optional(),
});

const command = z.union([text('an executable'), list(text('text'), 'an executable and its leading arguments')], {
  error: 'expected an executable, or a list of an executable and its leading arguments',
});

const bundle = dictionary(z.number({ error: 'expected a number' }).min(0, { error: 'expected a number, at least 0' }));

const placementSchema = mapping({
  bundles: list(bundle, 'a list of at least one bundle, such as {GPU: 1}').optional(),
  bundle_per_worker: bundle.optional(),
  strategy: choice(['PACK', 'STRICT_PACK', 'SPREAD', 'STRICT_SPREAD']).optional(),
});

const loraSchema = mapping({
  dynamic_lora_loading_path: text('the path of a bucket or directory').nullish(),
  max_num_adapters_per_replica: whole(1, 10_000).default(16),
  adapters: z
    .array(
      mapping(
        {
          name: textLike(/^(?:[A-Za-z0-9._-]{1,96}\/)?[A-Za-z0-9._-]{1,96}$/, 'letters, digits, ., _ and -, perhaps with org/ before'),
          source: text('a path, a bucket, or the id of a repository of the hub'),
        },
        'a mapping with name and source',
      ),
      { error: 'expected a list of adapters, each with name and source' },
    )
    .default([]),
  refresh_s: seconds(1).default(60),
  /** None where it is not above 0, as in Ray. */
  download_timeout_s: seconds(-2_000_000).nullish(),
  max_download_tries: whole(1, 1000).optional(),
});

const upstreamSchema = mapping(
  { url: text('an origin such as https://host:8000'), key_file: text('a path').optional(), ca_file: text('a path').optional() },
  'a mapping with url',
);

const unsupportedParams = choice(['drop', 'warn', 'reject']);

const modelGatewaySchema = mapping({
  aliases: z.array(text('a name'), { error: 'expected a list of names' }).default([]),
  gpus: whole(0, 64).optional(),
  priority: whole(-1000, 1000).default(0),
  idle: mapping({ sleep_s: seconds(0).optional(), stop_s: seconds(0) }, 'a mapping with stop_s').optional(),
  command: command.optional(),
  env: envVars.optional(),
  upstreams: list(upstreamSchema, 'a list of at least one upstream').optional(),
  routing: mapping({
    policy: choice(['least-in-flight', 'prefix', 'sticky']),
    headers: list(textLike(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'the name of a header'), 'a list of header names').optional(),
  }).optional(),
  unchecked_kwargs: z.boolean({ error: 'expected true or false' }).optional(),
  unsupported_params: unsupportedParams.optional(),
  allowed_params: allowedParamsSchema.optional(),
  limits: modelLimitsSchema.prefault({}),
  resume_streams: z.boolean({ error: 'expected true or false' }).optional(),
  timeouts: modelTimeoutsSchema.prefault({}),
});

/** One `llm_configs` entry: Ray's `LLMConfig`. */
export const modelSchema = mapping({
  model_loading_config: modelLoadingSchema,
  /** Not given: `defaultEngine`. */
  llm_engine: text('the name of an engine').optional(),
  engine_kwargs: dictionary(z.unknown()).default({}),
  deployment_config: deploymentSchema.prefault({}),
  runtime_env: runtimeEnvSchema.prefault({}),
  gateway: modelGatewaySchema.prefault({}),
  accelerator_type: text("one of Ray's names of accelerators").optional(),
  accelerator_config: openMapping({ kind: text('gpu or cpu').optional() }).optional(),
  placement_group_config: placementSchema.optional(),
  lora_config: loraSchema.optional(),
  experimental_configs: dictionary(z.unknown()).optional(),
  log_engine_metrics: inert('engine metrics are always read'),
  server_cls: text('the import path of a server class').optional(),
  callback_config: refused('code of your own is not run; expected no callback_config'),
});

const modelList = list(modelSchema, 'a list of at least one model');

const applicationSchema = mapping({
  name: text('a name').default('default'),
  route_prefix: z.string({ error: 'expected a path that begins with /' }).nullable().default('/'),
  import_path: text(defaultBuilder).default(defaultBuilder),
  args: mapping({
    llm_configs: modelList.optional(),
    /** One model, in place of the list. */
    llm_config: modelSchema.optional(),
    prefill_config: refused('prefill and decode on engines of their own are not supported; give one model in llm_configs'),
    decode_config: refused('prefill and decode on engines of their own are not supported; give one model in llm_configs'),
    ingress_deployment_config: inert('see gateway.workers'),
    ingress_cls_config: inert(noMeaning),
    proxy_cls_config: inert(noMeaning),
    proxy_deployment_config: inert(noMeaning),
    api_key: text('a key that clients of this application send').optional(),
  }),
  runtime_env: runtimeEnvSchema.prefault({}),
  host: inert('see http_options'),
  port: inert('see http_options'),
  deployments: inert(noMeaning),
  logging_config: inert('see gateway.log'),
  autoscaling_policy: later('autoscaling is'),
  external_scaler_enabled: inert(noMeaning),
});

/** An application without its models, which are looked at one by one. */
export const applicationHeadSchema = applicationSchema.omit({ args: true });

export const httpOptionsSchema = mapping({
  host: host.optional(),
  port: port.optional(),
  location: inert(noMeaning),
  root_path: inert('see applications[].route_prefix'),
  num_cpus: inert(noMeaning),
  request_timeout_s: inert('see gateway.timeouts'),
  keep_alive_timeout_s: later('this setting is'),
  ssl_keyfile: refused(plainHttp),
  ssl_certfile: refused(plainHttp),
  ssl_keyfile_password: refused(plainHttp),
  ssl_ca_certs: refused(plainHttp),
});

export const gatewaySchema = mapping({
  listen: mapping({ host: host.optional(), port: port.optional() }).prefault({}),
  admin: mapping({
    host: host.default(defaultAdmin.host),
    port: port.default(defaultAdmin.port),
    ...keyShape,
    allowed_hosts: z.array(host, { error: 'expected a list of host names' }).default([]),
  }).prefault({}),
  keys: list(keySchema, 'a list of at least one key').optional(),
  workers: whole(1, 128).optional(),
  state_dir: text('the path of a directory').optional(),
  cache: mapping({
    dir: text('the path of a directory').optional(),
    max_bytes: whole(1, Number.MAX_SAFE_INTEGER).optional(),
  }).prefault({}),
  limits: mapping({
    max_body_bytes: whole(1024, 1024 ** 3).default(10 * 1024 * 1024),
    max_media_body_bytes: whole(1024, 1024 ** 3).default(100 * 1024 * 1024),
    headers_timeout_s: seconds(0.001).default(60),
    request_timeout_s: seconds(0.001).default(60),
    max_connections: whole(1, 1_000_000).default(defaultMaxConnections),
    failed_auth_per_minute: whole(1, 100_000).optional(),
    ...modelLimitsShape,
  }).prefault({}),
  media: mapping({
    fetch: choice(['public', 'listed', 'none']).default('public'),
    allowed_hosts: z.array(host, { error: 'expected a list of host names' }).default([]),
    max_images: whole(1, 1000).default(16),
    max_image_bytes: whole(1, 1024 ** 3).default(20 * 1024 * 1024),
    timeout_s: seconds(0.001).default(15),
  }).prefault({}),
  cors: mapping({
    allowed_origins: z
      .array(
        textLike(
          /^(?:\*|null|[a-z][a-z0-9+.-]*:\/\/(?:\*\.)?(?:[\w.-]+|\[[0-9a-f:.]+\])(?::(?:\d{1,5}|\*))?)$/i,
          "an origin such as https://chat.example.com, https://*.example.com or http://localhost:*, or '*'",
        ),
        { error: 'expected a list of origins' },
      )
      .optional(),
    max_age_s: whole(0, 86_400).default(600),
  }).prefault({}),
  timeouts: mapping({
    queue_s: seconds(0).default(60),
    first_byte_s: seconds(0.001).default(600),
    idle_s: seconds(0.001).default(60),
    startup_s: seconds(0.001).default(1200),
    hang_s: seconds(1).default(60),
    pre_stop_s: seconds(0).default(0),
    drain_s: seconds(0).default(30),
    // Shorter than the patience of clients and proxies. Looked at once a second.
    heartbeat_s: seconds(1).default(10),
    write_stall_s: seconds(1).default(60),
    keepalive_s: seconds(1).default(30),
  }).prefault({}),
  engines: dictionary(mapping({ command: command.optional() })).default({}),
  plugins: list(text('a path (./…) or the name of a package'), 'a list of paths or package names').default([]),
  gpus: z.array(whole(0, 1023), { error: 'expected a list of GPU numbers, such as [0, 1]' }).optional(),
  accelerator_match: choice(['warn', 'require']).default('warn'),
  unchecked_kwargs: z.boolean({ error: 'expected true or false' }).default(false),
  metrics: mapping({ by_key: z.boolean({ error: 'expected true or false' }).default(false) }).prefault({}),
  debug_headers: z.boolean({ error: 'expected true or false' }).default(false),
  unsupported_params: unsupportedParams.default('warn'),
  allowed_params: allowedParamsSchema.optional(),
  resume_streams: z.boolean({ error: 'expected true or false' }).default(false),
  engine_ports: mapping({ first: whole(1, 65_535).default(20_000), count: whole(1, 65_535).default(2000) }).prefault({}),
  log: mapping({
    level: choice(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
    file: text('the path of a file').optional(),
  }).prefault({}),
});

/** The whole file. That it has either `applications` or `llm_configs` is checked in resolve.ts. */
export const fileSchema = mapping(
  {
    applications: list(applicationSchema, 'a list of at least one application').optional(),
    llm_configs: modelList.optional(),
    http_options: httpOptionsSchema.prefault({}),
    gateway: gatewaySchema.prefault({}),
    proxy_location: inert(noMeaning),
    grpc_options: inert(noMeaning),
    logging_config: inert('see gateway.log'),
    target_capacity: inert(noMeaning),
  },
  'a mapping with llm_configs or applications',
);

export type ModelEntry = z.infer<typeof modelSchema>;
export type GatewayEntry = z.infer<typeof gatewaySchema>;
export type HttpOptions = z.infer<typeof httpOptionsSchema>;
