import { z } from 'zod';
import { choice, dictionary, inert, later, list, mapping, openMapping, refused, seconds, text, textLike, whole } from './fields.ts';

/**
 * The file, as people write it: Ray Serve LLM's shape, in snake_case, with our own settings under `gateway:`. Every default that
 * does not depend on the machine stands here. Ray's keys are those of Ray 2.5x (`ray.serve.schema`, `ray.serve.llm`).
 */

/** Ray's value where `llm_engine` is not given. */
export const defaultEngine = 'vLLM';

/** Where the API listens if neither `gateway.listen` nor `http_options` says. Loopback: nothing is open to a network unasked. */
export const defaultListen = { host: '127.0.0.1', port: 8000 } as const;

/** Ray's builder for an OpenAI-compatible app, in the two places it has had. */
const builders = ['ray.serve.llm:build_openai_app', 'ray.serve.llm.builders:build_openai_app'] as const;

const port = whole(0, 65_535);
const host = textLike(
  /^(?:[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/,
  'a host name or IP address, without port or brackets',
);
const ownEnvironment = 'the engine runs in the environment its command has';
const noMeaning = 'it concerns a Ray cluster';

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
  drain_s: seconds(0).optional(),
});

const modelLoadingSchema = mapping(
  {
    model_id: textLike(/^(?=.{1,256}$)\S(?:[^\p{Cc}]*\S)?$/u, 'a name of 1 to 256 characters, with no blank at either end'),
    model_source: z
      .union([text('a local path, or a name the engine resolves itself'), dictionary(z.unknown())], {
        error: 'expected a local path, or a name the engine resolves itself',
      })
      .optional(),
    tokenizer_source: later('a tokenizer of its own is'),
  },
  'a mapping with model_id',
);

const autoscalingSchema = openMapping({
  min_replicas: whole(0, 10_000).optional(),
  initial_replicas: whole(0, 10_000).nullish(),
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
  max_replicas_per_node: inert(noMeaning),
  max_constructor_retry_count: inert('starts are tried again for as long as trying can help'),
  logging_config: inert('see gateway.log'),
  request_router_config: later('other request routers are'),
});

/** One `llm_configs` entry: Ray's `LLMConfig`. */
export const modelSchema = mapping({
  model_loading_config: modelLoadingSchema,
  /** Not given: `defaultEngine`. */
  llm_engine: text('the name of an engine').optional(),
  engine_kwargs: dictionary(z.unknown()).default({}),
  deployment_config: deploymentSchema.prefault({}),
  runtime_env: runtimeEnvSchema.prefault({}),
  gateway: mapping({ timeouts: modelTimeoutsSchema.prefault({}) }).prefault({}),
  accelerator_type: later('placement on accelerators is'),
  accelerator_config: later('placement on accelerators is'),
  placement_group_config: later('placement on accelerators is'),
  lora_config: later('adapters are'),
  experimental_configs: inert(noMeaning),
  log_engine_metrics: inert('engine metrics are always read'),
  callback_config: refused('code of your own is not run; not supported in this version'),
  server_cls: refused('not supported in this version; name the engine with llm_engine'),
});

const modelList = list(modelSchema, 'a list of at least one model');

const applicationSchema = mapping({
  name: text('a name').default('default'),
  route_prefix: z.string({ error: 'expected a path that begins with /' }).nullable().default('/'),
  import_path: z
    .enum(builders, { error: `expected ${builders[0]}; other builders are not supported in this version` })
    .default(builders[0]),
  args: mapping({
    llm_configs: modelList,
    ingress_deployment_config: inert('see gateway.workers'),
    ingress_cls_config: inert(noMeaning),
    api_key: refused('not supported in this version: requests would be served without a key'),
  }),
  runtime_env: runtimeEnvSchema.prefault({}),
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
});

const command = z.union([text('an executable'), list(text('text'), 'an executable and its leading arguments')], {
  error: 'expected an executable, or a list of an executable and its leading arguments',
});

export const gatewaySchema = mapping({
  listen: mapping({ host: host.optional(), port: port.optional() }).prefault({}),
  admin: mapping({ host: host.default('127.0.0.1'), port: port.default(9464) }).prefault({}),
  workers: whole(1, 128).optional(),
  state_dir: text('the path of a directory').optional(),
  limits: mapping({
    max_body_bytes: whole(1024, 1024 ** 3).default(10 * 1024 * 1024),
    request_timeout_s: seconds(0.001).default(60),
    max_connections: whole(1, 1_000_000).default(4096),
  }).prefault({}),
  timeouts: mapping({
    queue_s: seconds(0).default(60),
    first_byte_s: seconds(0.001).default(600),
    idle_s: seconds(0.001).default(60),
    startup_s: seconds(0.001).default(1200),
    drain_s: seconds(0).default(30),
  }).prefault({}),
  engines: dictionary(mapping({ command: command.optional() })).default({}),
  engine_ports: mapping({ first: whole(1, 65_535).default(20_000), count: whole(1, 65_535).default(2000) }).prefault({}),
  log: mapping({ level: choice(['trace', 'debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
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
export type ApplicationHead = z.infer<typeof applicationHeadSchema>;
export type GatewayEntry = z.infer<typeof gatewaySchema>;
export type HttpOptions = z.infer<typeof httpOptionsSchema>;
