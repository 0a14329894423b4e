import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { defaultInputLimits } from '../../src/core/input-limits.ts';
import { loadFiles, loadText, deps, oneModel, temporaryFolder } from './load-text.ts';

/** An application in Ray's shape, as an item of `applications`. */
function application(name: string, prefix: string, ids: readonly string[]): string {
  return `  - name: ${name}\n    route_prefix: ${prefix}\n    import_path: ray.serve.llm:build_openai_app\n    runtime_env: {env_vars: {APP: ${name}, OWN: app}}\n    args:\n      llm_configs:\n${ids
    .map((id) => `        - {model_loading_config: {model_id: ${id}}, llm_engine: fake, runtime_env: {env_vars: {OWN: model}}}\n`)
    .join('')}`;
}

/** What becomes of a `model_source`, in a folder that holds `there.gguf`. */
function source(t: TestContext, value: string) {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'there.gguf'), 'weights');
  const written = value.replace('FOLDER', folder).replace('NAME', basename(folder));
  const text = `llm_configs: [{model_loading_config: {model_id: m, model_source: "${written}"}, llm_engine: fake}]\n`;
  writeFileSync(join(folder, 'config.yaml'), text);
  const { config, warnings } = loadConfig(join(folder, 'config.yaml'), { ...deps, homeDir: folder });
  return { found: config.models[0]?.source, path: join(folder, 'there.gguf'), warnings };
}

describe('a config', () => {
  it('of three lines has every default', (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'config.yaml');
    writeFileSync(file, oneModel);
    const { config, warnings } = loadConfig(file, deps);
    assert.deepEqual(warnings, []);
    assert.deepEqual(config, {
      files: [file],
      listen: { host: '127.0.0.1', port: 8000 },
      admin: { host: '127.0.0.1', port: 9464, sha256: undefined, allowedHosts: [] },
      workers: 2,
      stateDir: '/home/someone/.local/state/roundhouse',
      cache: { dir: '/home/someone/.local/state/roundhouse/models', maxBytes: undefined },
      gpus: undefined,
      acceleratorMatch: 'warn',
      enginePorts: { first: 20_000, count: 2000 },
      logLevel: 'info',
      logFile: undefined,
      settings: {
        limits: {
          maxBodyBytes: 10_485_760,
          headersTimeoutMs: 60_000,
          requestTimeoutMs: 60_000,
          maxMediaBodyBytes: 104_857_600,
          maxConnections: 4096,
          failedAuthPerMinute: undefined,
        },
        cors: { allowedOrigins: undefined, maxAgeS: 600 },
        media: {
          fetch: 'public',
          allowedHosts: [],
          maxImages: 16,
          maxImageBytes: 20_971_520,
          maxTotalBytes: 104_857_600,
          timeoutMs: 15_000,
        },
        client: { heartbeatMs: 10_000, writeStallMs: 60_000, keepAliveMs: 30_000 },
        metricsByKey: false,
        debugHeaders: false,
        access: { keys: [] },
      },
      preStopMs: 0,
      drainTimeoutMs: 30_000,
      engineCommands: new Map(),
      plugins: [],
      models: [
        {
          name: 'm',
          source: { kind: 'reference', value: 'm' },
          engine: 'fake',
          engineOptions: {},
          env: {},
          replicas: 1,
          aliases: [],
          gpus: undefined,
          acceleratorType: undefined,
          priority: 0,
          command: undefined,
          uncheckedOptions: false,
          unsupportedParams: 'warn',
          input: { limits: defaultInputLimits, allowed: [] },
          resumeStreams: false,
          traits: {},
          upstreams: [],
          routing: { kind: 'least-in-flight' },
          maxOngoing: undefined,
          limits: { maxWaiting: 256, queueTimeoutMs: 60_000, firstByteTimeoutMs: 600_000, idleTimeoutMs: 60_000 },
          startupTimeoutMs: 1_200_000,
          hangTimeoutMs: 60_000,
          health: { periodMs: 10_000, timeoutMs: 30_000 },
          drainTimeoutMs: 30_000,
        },
      ],
      apps: new Map([['', new Map([['m', 'm']])]]),
    });
  });

  it('takes its settings from the file', (t) => {
    const { config, warnings } = loadText(
      t,
      `${oneModel}    engine_kwargs: {tokens: 5}
    deployment_config:
      num_replicas: 3
      max_ongoing_requests: 7
      max_queued_requests: -1
      health_check_period_s: 1.5
      health_check_timeout_s: 2
      graceful_shutdown_timeout_s: 9
    runtime_env: {env_vars: {A: "1"}}
    gateway: {timeouts: {queue_s: 0, first_byte_s: 1, startup_s: 2}}
gateway:
  listen: {host: "::1", port: 0}
  admin: {host: localhost, port: 9000}
  workers: 3
  state_dir: state
  limits: {max_body_bytes: 2048, request_timeout_s: 0.5, max_connections: 10}
  timeouts: {queue_s: 1, first_byte_s: 2, idle_s: 3, startup_s: 4, drain_s: 5, pre_stop_s: 8, heartbeat_s: 6, write_stall_s: 7, keepalive_s: 9}
  engines: {Fake: {command: [./bin/fake, -x]}}
  engine_ports: {first: 30000, count: 10}
  log: {level: debug, file: log/gateway.log}
`,
    );
    assert.deepEqual(warnings, []);
    const folder = dirname(config.files[0] ?? '');
    assert.deepEqual(config.listen, { host: '::1', port: 0 });
    assert.deepEqual(config.admin, { host: 'localhost', port: 9000, sha256: undefined, allowedHosts: [] });
    assert.equal(config.workers, 3);
    assert.equal(config.stateDir, join(folder, 'state'));
    assert.deepEqual(config.settings.limits, {
      maxBodyBytes: 2048,
      maxMediaBodyBytes: 104_857_600,
      headersTimeoutMs: 500,
      requestTimeoutMs: 500,
      maxConnections: 10,
      failedAuthPerMinute: undefined,
    });
    assert.deepEqual(config.settings.client, { heartbeatMs: 6000, writeStallMs: 7000, keepAliveMs: 9000 });
    assert.equal(config.preStopMs, 8000);
    assert.equal(config.drainTimeoutMs, 5000);
    assert.deepEqual(config.engineCommands, new Map([['fake', [join(folder, 'bin/fake'), '-x']]]));
    assert.deepEqual(config.enginePorts, { first: 30_000, count: 10 });
    assert.equal(config.logLevel, 'debug');
    assert.equal(config.logFile, join(folder, 'log/gateway.log'));
    const [model] = config.models;
    assert.deepEqual(model?.engineOptions, { tokens: 5 });
    assert.deepEqual(model?.env, { A: '1' });
    assert.equal(model?.replicas, 3);
    assert.equal(model?.maxOngoing, 7);
    assert.deepEqual(model?.limits, { maxWaiting: -1, queueTimeoutMs: 0, firstByteTimeoutMs: 1000, idleTimeoutMs: 3000 });
    assert.equal(model?.startupTimeoutMs, 2000);
    assert.deepEqual(model?.health, { periodMs: 1500, timeoutMs: 2000 });
    assert.equal(model?.drainTimeoutMs, 9000);
  });

  it('lets a model drain as long as it says itself, then Ray’s key, then the gateway’s', (t) => {
    const drain = (own: string, rays: string): number | undefined =>
      loadText(t, `${oneModel}    gateway: {timeouts: {${own}}}\n    deployment_config: {${rays}}\ngateway: {timeouts: {drain_s: 3}}\n`)
        .config.models[0]?.drainTimeoutMs;
    assert.deepEqual(
      [drain('drain_s: 1', 'graceful_shutdown_timeout_s: 2'), drain('', 'graceful_shutdown_timeout_s: 2'), drain('', '')],
      [1000, 2000, 3000],
    );
  });

  it('has one list of models for each route prefix', (t) => {
    const { config } = loadText(t, `applications:\n${application('one', '/', ['a', 'org/b:c'])}${application('two', '/x/y', ['d'])}`);
    assert.deepEqual(
      [...config.apps].map(([prefix, names]) => [prefix, [...names.keys()]]),
      [
        ['', ['a', 'org/b:c']],
        ['/x/y', ['d']],
      ],
    );
    assert.deepEqual(config.models[2]?.env, { APP: 'two', OWN: 'model' });
  });

  it('listens where http_options says, unless gateway.listen does', (t) => {
    assert.deepEqual(loadText(t, `${oneModel}http_options: {host: 0.0.0.0, port: 1}\n`).config.listen, { host: '0.0.0.0', port: 1 });
    const { config, warnings } = loadText(t, `${oneModel}http_options: {host: 0.0.0.0, port: 1}\ngateway: {listen: {port: 2}}\n`);
    assert.deepEqual(config.listen, { host: '0.0.0.0', port: 2 });
    assert.deepEqual(
      warnings.map((warning) => warning.path),
      ['http_options.host', 'http_options.port'],
    );
  });

  it('may have keys with nothing after them', (t) => {
    const { config } = loadText(
      t,
      `${oneModel}    engine_kwargs:\n    deployment_config:\n      num_replicas:\n    runtime_env:\n      env_vars:\ngateway:\n  listen:\n`,
    );
    assert.equal(config.models[0]?.replicas, 1);
    assert.equal(config.listen.port, 8000);
  });

  it('may use anchors, aliases and merge keys', (t) => {
    const { config } = loadText(
      t,
      `llm_configs:
  - &base
    model_loading_config: {model_id: a}
    llm_engine: fake
    engine_kwargs: &options {tokens: 1, seed: 2}
  - <<: *base
    model_loading_config: {model_id: b}
  - <<: [{engine_kwargs: {<<: *options, seed: 3}}, *base]
    model_loading_config: {model_id: c}
`,
    );
    assert.deepEqual(
      config.models.map((model) => [model.name, model.engineOptions]),
      [
        ['a', { tokens: 1, seed: 2 }],
        ['b', { tokens: 1, seed: 2 }],
        ['c', { tokens: 1, seed: 3 }],
      ],
    );
  });

  it('may have a byte order mark, Windows line ends, and nothing but `yaml` in common with a file of that name', (t) => {
    assert.equal(loadText(t, `\uFEFF${oneModel.replaceAll('\n', '\r\n')}`).config.models.length, 1);
  });

  it('may keep models in files of their own, whose relative paths start there', (t) => {
    const { config } = loadFiles(t, {
      'config.yaml': 'applications: [{args: {llm_configs: [models/a.yaml]}}]\n',
      'models/a.yaml': 'model_loading_config: {model_id: a, model_source: ./a.gguf}\nllm_engine: fake\n',
      'models/a.gguf': 'weights',
    });
    assert.deepEqual(config.models[0]?.source, { kind: 'path', value: join(dirname(config.files[0] ?? ''), 'models/a.gguf') });
  });
});

/** A model that clients call `chat`. */
const chatEntry = (id: string): string => `{model_loading_config: {model_id: ${id}}, llm_engine: fake, gateway: {aliases: [chat]}}`;

describe('a model’s own settings', () => {
  it('are taken from `gateway:` of its entry', (t) => {
    const { config, warnings } = loadFiles(t, {
      'config.yaml': `${oneModel}    runtime_env: {env_vars: {A: rays, B: rays}}
    gateway:
      aliases: [best, org/best]
      gpus: 0
      priority: 5
      command: [bin/engine, -x]
      env: {B: ours}
      routing: {policy: sticky, headers: [X_Session]}
      unchecked_kwargs: true
gateway: {gpus: [1, 0], accelerator_match: require}
`,
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.gpus, [1, 0]);
    assert.equal(config.acceleratorMatch, 'require');
    const [model] = config.models;
    assert.deepEqual([model?.gpus, model?.priority, model?.uncheckedOptions], [0, 5, true]);
    assert.deepEqual(model?.command, [join(dirname(config.files[0] ?? ''), 'bin/engine'), '-x']);
    assert.deepEqual(model?.env, { A: 'rays', B: 'ours' });
    assert.deepEqual(model?.routing, {
      kind: 'sticky',
      headers: ['x-session', 'x-session-id', 'x-claude-code-session-id', 'x-litellm-session-id'],
    });
    assert.deepEqual(
      [...(config.apps.get('') ?? [])],
      [
        ['m', 'm'],
        ['best', 'm'],
        ['org/best', 'm'],
      ],
    );
  });

  it('may give one name to models of different applications', (t) => {
    const { config } = loadText(
      t,
      `applications:\n  - {name: a, route_prefix: /a, args: {llm_configs: [${chatEntry('one')}]}}\n  - {name: b, route_prefix: /b, args: {llm_configs: [${chatEntry('two')}]}}\n`,
    );
    assert.deepEqual([config.apps.get('/a')?.get('chat'), config.apps.get('/b')?.get('chat')], ['one', 'two']);
  });

  it('may be replicas that others run, whose files start at the config file', (t) => {
    const { config, warnings } = loadFiles(t, {
      'config.yaml': `${oneModel}    deployment_config: {num_replicas: 2}\n    gateway: {upstreams: [{url: "https://host:8443/", key_file: key, ca_file: ./ca.pem}, {url: "http://10.0.0.1"}]}\n`,
      key: 'secret',
      'ca.pem': 'pem',
    });
    const folder = dirname(config.files[0] ?? '');
    assert.deepEqual(config.models[0]?.upstreams, [
      { url: 'https://host:8443', keyFile: join(folder, 'key'), caFile: join(folder, 'ca.pem') },
      { url: 'http://10.0.0.1', keyFile: undefined, caFile: undefined },
    ]);
    assert.deepEqual(
      warnings.map(({ path }) => path),
      ['llm_configs[0].deployment_config.num_replicas'],
    );
  });
});

describe('an application of one model', () => {
  for (const [form, written] of [
    ['a mapping', '{model_loading_config: {model_id: m}, llm_engine: fake}'],
    ['a file', 'm.yaml'],
  ] as const) {
    it(`has it in llm_config, as ${form}`, (t) => {
      const { config } = loadFiles(t, {
        'config.yaml': `applications: [{args: {llm_config: ${written}}}]\n`,
        'm.yaml': 'model_loading_config: {model_id: m}\nllm_engine: fake\n',
      });
      assert.deepEqual(
        config.models.map(({ name }) => name),
        ['m'],
      );
    });
  }
});

describe('a model source', () => {
  for (const value of ['FOLDER/there.gguf', './there.gguf', '../NAME/there.gguf', '~/there.gguf']) {
    it(`${value} is a local file`, (t) => {
      const { found, path } = source(t, value);
      assert.deepEqual(found, { kind: 'path', value: path });
    });
  }
  for (const value of ['org/model', 'org/model:Q4_K_M', '.hidden', '~someone/x']) {
    it(`${value} is left to the engine`, (t) => assert.deepEqual(source(t, value).found, { kind: 'reference', value }));
  }
  it('that could be meant as a local file is pointed out', (t) => {
    const { found, warnings } = source(t, 'there.gguf');
    assert.deepEqual(found, { kind: 'reference', value: 'there.gguf' });
    assert.match(warnings[0]?.message ?? '', /write "\.\/there\.gguf"/);
  });
});

describe('what depends on the machine', () => {
  for (const [cores, workers] of [
    [1, 1],
    [2, 1],
    [3, 1],
    [8, 4],
    [64, 8],
  ] as const) {
    it(`${cores} cores make ${workers} workers`, (t) => assert.equal(loadText(t, oneModel, { cores }).config.workers, workers));
  }
  for (const [xdg, stateDir] of [
    ['/var/state', '/var/state/roundhouse'],
    ['relative', '/home/someone/.local/state/roundhouse'],
    ['', '/home/someone/.local/state/roundhouse'],
  ] as const) {
    it(`XDG_STATE_HOME=${xdg} means ${stateDir}`, (t) =>
      assert.equal(loadText(t, oneModel, { env: { XDG_STATE_HOME: xdg } }).config.stateDir, stateDir));
  }
  for (const [written, command] of [
    ['llama-server', 'llama-server'],
    ['/opt/x y', '/opt/x y'],
    ['~/x', '/home/someone/x'],
  ] as const) {
    it(`the command ${written} is ${command}`, (t) => {
      const { config } = loadText(t, `${oneModel}gateway: {engines: {fake: {command: ${written}}}}\n`);
      assert.deepEqual(config.engineCommands.get('fake'), [command]);
    });
  }
  it('a relative command with a slash starts at the config file', (t) => {
    const { config } = loadText(t, `${oneModel}gateway: {engines: {fake: {command: bin/x}}}\n`);
    assert.deepEqual(config.engineCommands.get('fake'), [join(dirname(config.files[0] ?? ''), 'bin/x')]);
  });
});

describe('environment variables in a config', () => {
  const env = { N: '2', TRUE: 'true', TOKEN: '12345', EMPTY: '', EVIL: 'x}: [*a, !!y', NESTED: '${TOKEN}' };
  it('are read as the number that a setting wants', (t) => {
    const { config } = loadText(
      t,
      `${oneModel}    deployment_config: {num_replicas: "\${N}", max_ongoing_requests: "1\${N}"}\ngateway:\n  workers: \${N}\n  listen: {port: "\${EMPTY:-81}"}\n`,
      { env },
    );
    assert.deepEqual([config.models[0]?.replicas, config.models[0]?.maxOngoing, config.workers, config.listen.port], [2, 12, 2, 81]);
  });
  it('stay text where text is wanted, whatever they spell', (t) => {
    const { config } = loadText(
      t,
      `llm_configs:\n  - model_loading_config:\n      model_id: \${TOKEN}\n    llm_engine: fake\n    runtime_env:\n      env_vars:\n        A: \${TOKEN}\n        B: \${TRUE}\n`,
      { env },
    );
    assert.equal(config.models[0]?.name, '12345');
    assert.deepEqual(config.models[0]?.env, { A: '12345', B: 'true' });
  });
  it('are what they spell below engine_kwargs, unless quoted', (t) => {
    const { config } = loadText(
      t,
      `${oneModel}    engine_kwargs:\n      tokens: \${N}\n      ignore_close: \${TRUE}\n      text: "\${TOKEN}"\n`,
      { env },
    );
    assert.deepEqual(config.models[0]?.engineOptions, { tokens: 2, ignore_close: true, text: '12345' });
  });
  it('beside other text stay text below engine_kwargs', (t) => {
    const { config } = loadText(t, `${oneModel}    engine_kwargs:\n      text: 1\${N}\n`, { env });
    assert.deepEqual(config.models[0]?.engineOptions, { text: '12' });
  });
  it('are never read as YAML and never filled in twice', (t) => {
    const { config } = loadText(
      t,
      `${oneModel}    runtime_env: {env_vars: {A: "\${EVIL}", B: "\${NESTED}", C: "$\${TOKEN}", D: "a \${N} b \${N}"}}\n`,
      { env },
    );
    assert.deepEqual(config.models[0]?.env, { A: 'x}: [*a, !!y', B: '${TOKEN}', C: '${TOKEN}', D: 'a 2 b 2' });
  });
});

describe('warnings', () => {
  it('name what Ray has and this version does not, with its place', (t) => {
    const { warnings } = loadText(
      t,
      `proxy_location: EveryNode
llm_configs:
  - model_loading_config: {model_id: m, tokenizer_source: x}
    llm_engine: fake
    accelerator_type: L4
    lora_config: {dynamic_lora_loading_path: "s3://bucket", max_download_tries: 3}
    deployment_config:
      ray_actor_options: {num_cpus: 1}
      autoscaling_config: {min_replicas: 2, max_replicas: 4}
    runtime_env: {pip: [x]}
`,
    );
    assert.deepEqual(
      warnings.map(({ line, column, path, message }) => [`${line}:${column}`, path, message.slice(0, 24)]),
      [
        ['1:1', 'proxy_location', 'accepted, no effect here'],
        ['6:61', 'llm_configs[0].lora_config.max_download_tries', 'accepted, no effect here'],
        ['8:7', 'llm_configs[0].deployment_config.ray_actor_options', 'accepted, no effect here'],
        ['10:19', 'llm_configs[0].runtime_env.pip', 'accepted, no effect here'],
      ],
    );
  });
  it('point out words that YAML 1.1 takes for a boolean', (t) => {
    const { config, warnings } = loadText(t, `${oneModel}    engine_kwargs: {text: on}\n`);
    assert.deepEqual(config.models[0]?.engineOptions, { text: 'on' });
    assert.deepEqual(
      warnings.map(({ line, column, message }) => [line, column, message.slice(0, 10)]),
      [[4, 21, 'on is text']],
    );
    assert.deepEqual(loadText(t, `${oneModel}    engine_kwargs: {text: "on"}\n`).warnings, []);
  });
});
