import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadFiles, loadText, oneModel, problemsOf } from './load-text.ts';

/** Line, column and path of a problem, and its message, or as much of it as says what is wrong and what to write instead. */
type Expected = readonly [place: string, message: string];

interface Case {
  readonly name: string;
  readonly text: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Every problem, in the order of the file. */
  readonly problems: readonly Expected[];
}

/** A case whose text follows the three lines of `oneModel`, at the level of the model's own keys. */
const inModel = (name: string, text: string, ...problems: Expected[]): Case => ({ name, text: oneModel + text, problems });
/** The same under `gateway:`, which is line 4. */
const inGateway = (name: string, text: string, ...problems: Expected[]): Case => ({ name, text: `${oneModel}gateway:\n${text}`, problems });
const whole = (name: string, text: string | Uint8Array, ...problems: Expected[]): Case => ({ name, text, problems });
/** One application; its own keys from line 2. */
const inApp = (name: string, text: string, ...problems: Expected[]): Case => ({ name, text: `applications:\n${text}`, problems });
const args = 'args: {llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake}]}';
const otherArgs = 'args: {llm_configs: [{model_loading_config: {model_id: n}, llm_engine: fake}]}';

const syntax: Case[] = [
  whole('an empty file', '', ['1:1 ', 'expected a mapping with llm_configs or applications, got nothing']),
  whole('only comments', '# nothing\n', ['1:1 ', 'expected a mapping with llm_configs or applications, got nothing']),
  whole('a list', '- a\n', ['1:1 ', 'expected a mapping with llm_configs or applications, got a list']),
  whole('text', 'hello\n', ['1:1 ', 'expected a mapping with llm_configs or applications, got "hello"']),
  whole('an unclosed list', `${oneModel}gateway: [1\n`, [
    '5:1 ',
    'not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ]),
  whole('a tab as indentation', 'gateway:\n\tlog: {}\n', ['2:1 ', 'not valid YAML: a tab as indentation; expected spaces']),
  whole('an unclosed quote', "gateway: 'x\n", ['2:1 ', "not valid YAML: a quoted text has no end; expected another ' before this"]),
  whole('a mapping as key', `${oneModel}? [a]\n: b\n`, ['4:3 ', 'a mapping or list as key; expected plain text']),
  whole('a second document', `${oneModel}---\na: 1\n`, [
    '4:1 ',
    'a second document begins here (`---`); expected one document in the file',
  ]),
  whole('an unquoted variable in braces', 'gateway: {log: {level: ${LEVEL}}}\n', [
    '1:25 ',
    'not valid YAML: inside { } and [ ] a variable must be quoted: "${NAME}"',
  ]),
  whole('nested without end', '['.repeat(5000), ['1:', 'nested too deeply; expected no more levels than a config has']),
  whole('a duplicate key', `${oneModel}gateway: {}\ngateway: {}\n`, [
    '5:1 gateway',
    'the key "gateway" stands twice in this mapping, first in line 4; expected it once',
  ]),
  inModel('a duplicate key below engine_kwargs', '    engine_kwargs: {seed: 1, seed: 2}\n', [
    '4:30 llm_configs[0].engine_kwargs.seed',
    'the key "seed" stands twice in this mapping, first in line 4; expected it once',
  ]),
  whole('a tag', `${oneModel}gateway: !!map {}\n`, ['4:16 gateway', 'the tag !!map is not accepted; expected plain YAML without tags']),
  whole('a tag of someone’s own', `${oneModel}gateway: !include x\n`, [
    '4:19 gateway',
    'the tag !include is not accepted; expected plain YAML without tags',
  ]),
  whole('an unknown alias', `${oneModel}gateway: *base\n`, ['4:10 gateway', 'the alias *base has no anchor; expected &base before it']),
  whole('a circular alias', `${oneModel}gateway: &g\n  log: *g\n`, [
    '5:8 gateway.log',
    'an alias to something that contains the alias itself; expected its values written out',
  ]),
  whole('a merge of something else', `${oneModel}gateway:\n  <<: 3\n`, ['5:3 gateway["<<"]', 'expected an alias to a mapping after <<']),
  whole('a prototype key', `${oneModel}gateway: {__proto__: {}}\n`, [
    '4:11 gateway.__proto__',
    'this name is not accepted as a key; expected another',
  ]),
  whole('bytes that are no UTF-8', Buffer.concat([Buffer.from('a: 1\nb: ü'), Buffer.from([0xff])]), [
    '2:5 ',
    'a byte here is not UTF-8; expected a text file in UTF-8',
  ]),
  whole('a character cut off at the end', Buffer.concat([Buffer.from('a: 1\nb: '), Buffer.from([0xc3])]), [
    '2:4 ',
    'a byte here is not UTF-8; expected a text file in UTF-8',
  ]),
  whole('more than a megabyte', `# ${'x'.repeat(1024 * 1024)}`, ['1:1 ', 'the file is larger than 1048576 bytes; expected a config file']),
];

const models: Case[] = [
  whole('no model', 'gateway: {}\n', ['1:1 ', 'the file names no model; expected llm_configs, or applications with args.llm_configs']),
  whole('nothing after llm_configs', 'llm_configs:\n', ['1:1 llm_configs', 'expected a list of at least one model, got nothing']),
  whole('an empty list', 'llm_configs: []\n', ['1:14 llm_configs', 'expected a list of at least one model, got an empty list']),
  whole('a mapping for the list', 'llm_configs: {}\n', ['1:14 llm_configs', 'expected a list of at least one model, got a mapping']),
  whole('a number for a model', 'llm_configs: [3]\n', [
    '1:15 llm_configs[0]',
    'expected a mapping with model_loading_config, llm_engine, engine_kwargs, deployment_config, runtime_env, gateway, …, got 3',
  ]),
  whole('no model_loading_config', 'llm_configs:\n  - llm_engine: fake\n', [
    '2:5 llm_configs[0].model_loading_config',
    'missing; expected a mapping with model_id',
  ]),
  whole('no model_id', 'llm_configs:\n  - model_loading_config: {}\n    llm_engine: fake\n', [
    '2:27 llm_configs[0].model_loading_config.model_id',
    'missing; expected a name of 1 to 256 characters, with no blank at either end',
  ]),
  whole('a number as model_id', 'llm_configs:\n  - model_loading_config: {model_id: 7}\n    llm_engine: fake\n', [
    '2:38 llm_configs[0].model_loading_config.model_id',
    'expected a name of 1 to 256 characters, with no blank at either end, got 7',
  ]),
  whole('an empty model_id', "llm_configs:\n  - model_loading_config: {model_id: ''}\n    llm_engine: fake\n", [
    '2:38 llm_configs[0].model_loading_config.model_id',
    'expected a name of 1 to 256 characters, with no blank at either end, got ""',
  ]),
  whole('a model_id with a newline', 'llm_configs:\n  - model_loading_config: {model_id: "a\\nb"}\n    llm_engine: fake\n', [
    '2:38 llm_configs[0].model_loading_config.model_id',
    'expected a name of 1 to 256 characters, with no blank at either end, got "a\\nb"',
  ]),
  whole(
    'a misspelled key',
    'llm_configs:\n  - model_loading_confg: {model_id: m}\n    llm_engine: fake\n',
    ['2:5 llm_configs[0].model_loading_confg', 'unknown key "model_loading_confg"; did you mean "model_loading_config"?'],
    ['2:5 llm_configs[0].model_loading_config', 'missing; expected a mapping with model_id'],
  ),
  inModel('a key one level too high', '    num_replicas: 2\n', [
    '4:5 llm_configs[0].num_replicas',
    'unknown key "num_replicas"; did you mean "deployment_config.num_replicas"?',
  ]),
  inModel('a key nobody knows', '    zebra: 2\n', ['4:5 llm_configs[0].zebra', 'unknown key "zebra"; expected one of']),
  inModel('a server class', '    server_cls: x.y:Z\n', [
    '4:5 llm_configs[0].server_cls',
    '"x.y:Z" is code of your own, which is not run; expected LLMServer or SGLangServer, or llm_engine',
  ]),
  inModel('a callback', '    callback_config: {}\n', [
    '4:5 llm_configs[0].callback_config',
    'code of your own is not run; expected no callback_config',
  ]),
  whole('the engine that Ray means by default', 'llm_configs:\n  - model_loading_config: {model_id: m}\n', [
    '2:5 llm_configs[0].llm_engine',
    'llm_engine is missing, which means vLLM, as in Ray: there is no engine "vLLM" in this version; expected one of fake',
  ]),
  whole('an engine there is not', 'llm_configs:\n  - model_loading_config: {model_id: m}\n    llm_engine: SGLang\n', [
    '3:17 llm_configs[0].llm_engine',
    'there is no engine "SGLang" in this version; expected one of fake',
  ]),
  whole('a misspelled engine', 'llm_configs:\n  - model_loading_config: {model_id: m}\n    llm_engine: Fakee\n', [
    '3:17 llm_configs[0].llm_engine',
    'there is no engine "Fakee" in this version; expected one of fake; did you mean "fake"?',
  ]),
  inModel('engine_kwargs as a list', '    engine_kwargs: [a]\n', ['4:20 llm_configs[0].engine_kwargs', 'expected a mapping, got a list']),
  inModel('an engine option of the wrong kind', '    engine_kwargs:\n      tokens: many\n', [
    '5:7 llm_configs[0].engine_kwargs.tokens',
    'got "many", expected a whole number from 0 to 10000000',
  ]),
  inModel('an engine option there is not', '    engine_kwargs: {seed: 1, zebra: 2}\n', [
    '4:30 llm_configs[0].engine_kwargs.zebra',
    'the fake engine has no option "zebra"; its options are',
  ]),
  inModel('an option the gateway owns', '    engine_kwargs: {port: 1}\n', [
    '4:21 llm_configs[0].engine_kwargs.port',
    'the fake engine has no option "port"; its options are',
  ]),
  whole('a model id twice', `${oneModel}  - model_loading_config: {model_id: m}\n    llm_engine: fake\n`, [
    '4:38 llm_configs[1].model_loading_config.model_id',
    'the model id "m" is already that of llm_configs[0]; expected every model of the file to have its own',
  ]),
  whole(
    'a missing local model',
    'llm_configs:\n  - model_loading_config: {model_id: m, model_source: /no/such/model}\n    llm_engine: fake\n',
    [
      '2:55 llm_configs[0].model_loading_config.model_source',
      'there is no file or directory "/no/such/model"; expected the path of one that is there, or a name that the engine resolves itself (owner/model)',
    ],
  ),
  whole(
    'a missing model below home',
    'llm_configs:\n  - model_loading_config: {model_id: m, model_source: ~/m.gguf}\n    llm_engine: fake\n',
    [
      '2:55 llm_configs[0].model_loading_config.model_source',
      'there is no file or directory "/home/someone/m.gguf"; expected the path of one that is there, or a name that the engine resolves itself (owner/model)',
    ],
  ),
  whole(
    'a bucket with a secret in it',
    'llm_configs:\n  - model_loading_config: {model_id: m, model_source: "s3://key:secret@bucket/m"}\n    llm_engine: fake\n',
    [
      '2:55 llm_configs[0].model_loading_config.model_source',
      '"s3://…@bucket/m": credentials do not belong in a source; expected them in the environment, and nothing but anonymous@ before the bucket',
    ],
  ),
  whole(
    'a bucket as a mapping',
    'llm_configs:\n  - model_loading_config:\n      model_id: m\n      model_source: {bucket_uri: gs://bucket/../m}\n    llm_engine: fake\n',
    [
      '4:34 llm_configs[0].model_loading_config.model_source.bucket_uri',
      '"gs://bucket/../m": the prefix "../m" has "." or ".." in it; expected the path as the bucket has it',
    ],
  ),
  whole('a file that is not there', `${oneModel}  - other.yaml\n`, [
    '4:5 llm_configs[1]',
    'other.yaml": there is no such file; expected the path of a YAML file',
  ]),
];

const deployment: Case[] = [
  inModel('no replica', '    deployment_config: {num_replicas: 0}\n', [
    '4:39 llm_configs[0].deployment_config.num_replicas',
    'expected a whole number from 1 to 10000, or auto, got 0',
  ]),
  inModel('half a replica', '    deployment_config: {num_replicas: 1.5}\n', [
    '4:39 llm_configs[0].deployment_config.num_replicas',
    'expected a whole number from 1 to 10000, or auto, got 1.5',
  ]),
  inModel('a number beside autoscaling', '    deployment_config: {num_replicas: 2, autoscaling_config: {min_replicas: 1}}\n', [
    '4:39 llm_configs[0].deployment_config.num_replicas',
    'a number (2) beside autoscaling_config; expected only one of them, or auto',
  ]),
  inModel('no request at once', '    deployment_config: {max_ongoing_requests: 0}\n', [
    '4:47 llm_configs[0].deployment_config.max_ongoing_requests',
    'expected a whole number, at least 1, got 0',
  ]),
  inModel('a queue below -1', '    deployment_config: {max_queued_requests: -2}\n', [
    '4:46 llm_configs[0].deployment_config.max_queued_requests',
    'expected a whole number, at least -1, got -2',
  ]),
  inModel('a period of nothing', '    deployment_config: {health_check_period_s: 0}\n', [
    '4:48 llm_configs[0].deployment_config.health_check_period_s',
    'expected a number of seconds from 0.001 to 2000000, got 0',
  ]),
  inModel('a timeout in words', '    deployment_config: {health_check_timeout_s: 3s}\n', [
    '4:49 llm_configs[0].deployment_config.health_check_timeout_s',
    'expected a number of seconds from 0.001 to 2000000, got "3s"',
  ]),
  inModel('a timeout without end', '    deployment_config: {graceful_shutdown_timeout_s: .inf}\n', [
    '4:54 llm_configs[0].deployment_config.graceful_shutdown_timeout_s',
    'expected a number of seconds from 0 to 2000000, got Infinity',
  ]),
  inModel('an old name of Ray', '    deployment_config: {max_concurrent_queries: 3}\n', [
    '4:25 llm_configs[0].deployment_config.max_concurrent_queries',
    'Ray renamed it: write max_ongoing_requests',
  ]),
  inModel('a number in the environment, not shown', '    runtime_env: {env_vars: {TOKEN: 12345}}\n', [
    '4:37 llm_configs[0].runtime_env.env_vars.TOKEN',
    'expected text; quote it',
  ]),
  inModel('a variable name with =', '    runtime_env: {env_vars: {"A=B": x}}\n', [
    '4:30 llm_configs[0].runtime_env.env_vars["A=B"]',
    'expected the name of an environment variable, without =',
  ]),
  inModel('a mask of GPUs in the environment', '    runtime_env: {env_vars: {CUDA_VISIBLE_DEVICES: "0"}}\n', [
    '4:30 llm_configs[0].runtime_env.env_vars.CUDA_VISIBLE_DEVICES',
    "cannot be set: the gateway gives each replica its GPUs; expected how many in the model's gateway.gpus, or which ones in the gateway's own",
  ]),
  inModel('a zero byte in the environment', '    runtime_env: {env_vars: {A: "x\\0"}}\n', [
    '4:33 llm_configs[0].runtime_env.env_vars.A',
    'the value has a zero byte; expected text',
  ]),
  inModel('a negative timeout of a model', '    gateway: {timeouts: {queue_s: -1}}\n', [
    '4:35 llm_configs[0].gateway.timeouts.queue_s',
    'expected a number of seconds from 0 to 2000000, got -1',
  ]),
];

/** A problem below `llm_configs[0]`. */
const placed = (place: string, path: string, message: string): Expected => [`${place} llm_configs[0].${path}`, message];
const scaling = (keys: string): string => `    deployment_config: {autoscaling_config: {${keys}}}\n`;
const scalingPath = 'deployment_config.autoscaling_config';

const rays: Case[] = [
  inModel(
    'an accelerator there is not',
    '    accelerator_type: H1000\n',
    placed(
      '4:23',
      'accelerator_type',
      'there is no accelerator "H1000"; expected one of Ray\'s names, such as A10G, L4, L40S, A100, H100, H200; did you mean "H100"?',
    ),
  ),
  inModel(
    'an NPU',
    '    accelerator_config: {kind: NPU}\n',
    placed('4:32', 'accelerator_config.kind', 'NPUs are not supported; expected gpu or cpu, got "npu"'),
  ),
  inModel(
    'a token that is no text',
    '    engine_kwargs: {hf_token: 7}\n',
    placed('4:31', 'engine_kwargs.hf_token', 'expected the token as text; or leave it out and give HF_TOKEN in runtime_env.env_vars'),
  ),
  inModel(
    'a TPU',
    '    accelerator_config: {kind: tpu}\n',
    placed('4:32', 'accelerator_config.kind', 'TPUs are not supported; expected gpu or cpu, got "tpu"'),
  ),
  inModel('more replicas at least than at most', scaling('min_replicas: 3, max_replicas: 2'), [
    `4:60 llm_configs[0].${scalingPath}.min_replicas`,
    'min_replicas is 3 and max_replicas 2; expected the first to be no larger',
  ]),
  inModel(
    'none at most',
    scaling('max_replicas: 0'),
    placed('4:60', `${scalingPath}.max_replicas`, 'expected a whole number from 1 to 10000, got 0'),
  ),
  inModel('a start outside the range', scaling('max_replicas: 2, initial_replicas: 5'), [
    `4:81 llm_configs[0].${scalingPath}.initial_replicas`,
    'expected a number from 1 to 2 (min_replicas, max_replicas), got 5',
  ]),
  inModel('a target of nothing', scaling('target_ongoing_requests: 0'), [
    `4:71 llm_configs[0].${scalingPath}.target_ongoing_requests`,
    'expected a number above 0, got 0',
  ]),
  inModel(
    'a misspelled key of autoscaling',
    scaling('min_replica: 1'),
    placed('4:46', `${scalingPath}.min_replica`, 'unknown key "min_replica"; did you mean "min_replicas"?'),
  ),
  inModel('an aggregation there is not', scaling('aggregation_function: sum'), [
    `4:68 llm_configs[0].${scalingPath}.aggregation_function`,
    'expected one of mean, max, min, got "sum"',
  ]),
  inModel('a misspelled key of lora_config', '    lora_config: {max_adapters: 2}\n', [
    '4:19 llm_configs[0].lora_config.max_adapters',
    'unknown key "max_adapters"; expected one of',
  ]),
  inModel('one adapter for the place of all', '    lora_config: {dynamic_lora_loading_path: "hf://owner/repo"}\n', [
    '4:46 llm_configs[0].lora_config.dynamic_lora_loading_path',
    '"hf://owner/repo" is one adapter; expected where many are: a directory, s3://bucket/prefix, gs://bucket/prefix, or hf://owner',
  ]),
  inModel('a secret in the place of adapters', '    lora_config: {adapters: [{name: a, source: "s3://key:secret@bucket/a"}]}\n', [
    '4:48 llm_configs[0].lora_config.adapters[0].source',
    '"s3://…@bucket/a": credentials do not belong in a source; expected them in the environment, and nothing but anonymous@ before the bucket',
  ]),
  inModel('a word for the place of an adapter', '    lora_config: {adapters: [{name: a, source: mine}]}\n', [
    '4:48 llm_configs[0].lora_config.adapters[0].source',
    '"mine": expected a path (./…, ~/… or /…), s3://bucket/prefix, gs://bucket/prefix, or the owner/name of a repository of the hub',
  ]),
  inModel('room for no adapter', '    lora_config: {max_num_adapters_per_replica: 0}\n', [
    '4:49 llm_configs[0].lora_config.max_num_adapters_per_replica',
    'expected a whole number from 1 to 10000, got 0',
  ]),
  inModel('a placement strategy there is not', '    placement_group_config: {strategy: TIGHT}\n', [
    '4:40 llm_configs[0].placement_group_config.strategy',
    'expected one of PACK, STRICT_PACK, SPREAD, STRICT_SPREAD, got "TIGHT"',
  ]),
  inModel('two kinds of bundles', '    placement_group_config: {bundles: [{GPU: 1}], bundle_per_worker: {GPU: 1}}\n', [
    '4:5 llm_configs[0].placement_group_config',
    'both bundles and bundle_per_worker; expected only one of them',
  ]),
  inModel('experiments as a list', '    gateway: {}\n    experimental_configs: []\n', [
    '5:27 llm_configs[0].experimental_configs',
    'expected a mapping, got an empty list',
  ]),
];

const own: Case[] = [
  inModel(
    'an alias that is an id',
    '    gateway: {aliases: [m]}\n',
    placed('4:25', 'gateway.aliases[0]', '"m" is already the id or an alias of llm_configs[0]; expected a name of its own'),
  ),
  inModel(
    'an alias twice',
    '    gateway: {aliases: [a, a]}\n',
    placed('4:28', 'gateway.aliases[1]', '"a" is already the id or an alias of llm_configs[0]; expected a name of its own'),
  ),
  inModel(
    'GPUs below nothing',
    '    gateway: {gpus: -1}\n',
    placed('4:21', 'gateway.gpus', 'expected a whole number from 0 to 64, got -1'),
  ),
  inModel(
    'a command without words',
    '    gateway: {command: []}\n',
    placed('4:24', 'gateway.command', 'expected an executable and its leading arguments, got an empty list'),
  ),
  inModel(
    'a bad name in the environment',
    '    gateway: {env: {"A=B": x}}\n',
    placed('4:21', 'gateway.env["A=B"]', 'expected the name of an environment variable, without ='),
  ),
  inModel(
    'a mask of GPUs under gateway',
    '    gateway: {env: {HIP_VISIBLE_DEVICES: "0"}}\n',
    placed(
      '4:21',
      'gateway.env.HIP_VISIBLE_DEVICES',
      "cannot be set: the gateway gives each replica its GPUs; expected how many in the model's gateway.gpus, or which ones in the gateway's own",
    ),
  ),
  inModel('an upstream with a path', '    gateway: {upstreams: [{url: "http://h/v1"}]}\n', [
    '4:33 llm_configs[0].gateway.upstreams[0].url',
    'expected an origin such as https://host:8000, got "http://h/v1"',
  ]),
  inModel('an upstream twice', '    gateway: {upstreams: [{url: "http://h"}, {url: "http://h:80/"}]}\n', [
    '4:52 llm_configs[0].gateway.upstreams[1].url',
    'http://h stands twice; expected each upstream once',
  ]),
  inModel('a key file there is not', '    gateway: {upstreams: [{url: "http://h", key_file: /no/such}]}\n', [
    '4:55 llm_configs[0].gateway.upstreams[0].key_file',
    'there is no file "/no/such"; expected the path of one that is there',
  ]),
  inModel('an authority for http', '    gateway: {upstreams: [{url: "http://h", ca_file: /dev/null}]}\n', [
    '4:45 llm_configs[0].gateway.upstreams[0].ca_file',
    'a certificate authority for an http:// upstream; expected https://',
  ]),
  inModel(
    'adapters of engines that others run',
    '    gateway: {upstreams: [{url: "http://h"}]}\n    lora_config: {adapters: [{name: a, source: o/a}]}\n',
    [
      '5:5 llm_configs[0].lora_config',
      'beside gateway.upstreams, which others run: adapters are loaded and unloaded by whoever runs the engine; expected only one of them',
    ],
  ),
  inModel('an upstream without url', '    gateway: {upstreams: [{}]}\n', [
    '4:27 llm_configs[0].gateway.upstreams[0].url',
    'missing; expected an origin such as https://host:8000',
  ]),
  inModel(
    'a policy there is not',
    '    gateway: {routing: {policy: random}}\n',
    placed('4:33', 'gateway.routing.policy', 'expected one of least-in-flight, prefix, sticky, got "random"'),
  ),
  inModel('headers for another policy', '    gateway: {routing: {policy: prefix, headers: [x]}}\n', [
    '4:41 llm_configs[0].gateway.routing.headers',
    'headers beside the policy prefix; expected sticky',
  ]),
  inGateway('a GPU twice', '  gpus: [0, 1, 0]\n', ['5:16 gateway.gpus[2]', 'the GPU 0 stands twice; expected each once']),
  inGateway('a GPU by its name', '  gpus: [H100]\n', ['5:10 gateway.gpus[0]', 'expected a whole number from 0 to 1023, got "H100"']),
  inGateway('a match in other words', '  accelerator_match: must\n', [
    '5:22 gateway.accelerator_match',
    'expected one of warn, require, got "must"',
  ]),
  inGateway('a switch in words', '  unchecked_kwargs: maybe\n', ['5:21 gateway.unchecked_kwargs', 'expected true or false, got "maybe"']),
  inApp('neither one model nor many', '  - args: {}\n', [
    '2:11 applications[0].args.llm_configs',
    'missing; expected a list of at least one model',
  ]),
  inApp('code of somebody’s own', `  - import_path: app:app\n    ${args}\n`, [
    '2:18 applications[0].import_path',
    'Python code of your own is not run; expected ray.serve.llm:build_openai_app, got "app:app"',
  ]),
];

const settings: Case[] = [
  inGateway('a misspelled key', '  listn: {}\n', ['5:3 gateway.listn', 'unknown key "listn"; did you mean "listen"?']),
  inGateway('a port in words', '  listen: {port: http}\n', [
    '5:18 gateway.listen.port',
    'expected a whole number from 0 to 65535, got "http"',
  ]),
  inGateway('a port too high', '  admin: {port: 65536}\n', [
    '5:17 gateway.admin.port',
    'expected a whole number from 0 to 65535, got 65536',
  ]),
  inGateway('a host with a port', '  listen: {host: "localhost:80"}\n', [
    '5:18 gateway.listen.host',
    'expected a host name or IP address, without port or brackets, got "localhost:80"',
  ]),
  inGateway('a host in brackets', '  listen: {host: "[::1]"}\n', [
    '5:18 gateway.listen.host',
    'expected a host name or IP address, without port or brackets, got "[::1]"',
  ]),
  inGateway('both listeners in one place', '  admin: {port: 8000}\n', [
    '5:17 gateway.admin.port',
    '127.0.0.1:8000 is also where the API listens; expected another port',
  ]),
  inGateway('no worker', '  workers: 0\n', ['5:12 gateway.workers', 'expected a whole number from 1 to 128, got 0']),
  inGateway('a body limit with a unit', '  limits: {max_body_bytes: 10MB}\n', [
    '5:28 gateway.limits.max_body_bytes',
    'expected a whole number from 1024 to 1073741824, got "10MB"',
  ]),
  inGateway('an unknown log level', '  log: {level: loud}\n', [
    '5:16 gateway.log.level',
    'expected one of trace, debug, info, warn, error, got "loud"',
  ]),
  inGateway('an engine there is not', '  engines: {vllm: {command: vllm}}\n', [
    '5:13 gateway.engines.vllm',
    'there is no engine "vllm" in this version; expected one of fake',
  ]),
  inGateway('an engine twice', '  engines: {fake: {command: a}, FAKE: {command: b}}\n', [
    '5:33 gateway.engines.FAKE',
    'the engine fake stands here twice; expected it once',
  ]),
  inGateway('an empty command', '  engines: {fake: {command: []}}\n', [
    '5:29 gateway.engines.fake.command',
    'expected an executable and its leading arguments, got an empty list',
  ]),
  inGateway('ports beyond the last', '  engine_ports: {first: 65000, count: 1000}\n', [
    '5:17 gateway.engine_ports',
    '1000 ports from 65000 end at 65999; expected the last one to be at most 65535',
  ]),
  {
    name: 'fewer ports than replicas',
    text: `${oneModel}    deployment_config: {num_replicas: 3}\ngateway: {engine_ports: {count: 2}}\n`,
    problems: [['5:33 gateway.engine_ports.count', '2 ports for 3 replicas; expected at least one port for each']],
  },
  whole('an unknown key at the top', `${oneModel}gatway: {}\n`, ['4:1 gatway', 'unknown key "gatway"; did you mean "gateway"?']),
  whole('a certificate, which would not be used', `${oneModel}http_options: {ssl_certfile: a.pem}\n`, [
    '4:16 http_options.ssl_certfile',
    'the API is plain HTTP in this version; put a proxy that speaks TLS in front',
  ]),
  whole('a port in http_options', `${oneModel}http_options: {port: -1}\n`, [
    '4:22 http_options.port',
    'expected a whole number from 0 to 65535, got -1',
  ]),
];

const applications: Case[] = [
  inApp('no args', '  - name: a\n', ['2:5 applications[0].args', 'missing; expected a mapping']),
  inApp('another builder', `  - import_path: ray.serve.llm:build_pd_openai_app\n    ${args}\n`, [
    '2:18 applications[0].import_path',
    'prefill and decode on engines of their own are not supported; expected ray.serve.llm:build_openai_app, got "ray.serve.llm:build_pd_openai_app"',
  ]),
  inApp('a prefix without slash', `  - route_prefix: v2\n    ${args}\n`, [
    '2:19 applications[0].route_prefix',
    'expected a path that begins with /, got "v2"',
  ]),
  inApp('a prefix that ends in a slash', `  - route_prefix: /v2/\n    ${args}\n`, [
    '2:19 applications[0].route_prefix',
    'expected a path that does not end in /, got "/v2/"',
  ]),
  inApp('a prefix with a wildcard', `  - route_prefix: "/{x}"\n    ${args}\n`, [
    '2:19 applications[0].route_prefix',
    'expected segments of letters, digits, - . _ ~ with single slashes between them, got "/{x}"',
  ]),
  inApp('a prefix that climbs', `  - route_prefix: /a/..\n    ${args}\n`, [
    '2:19 applications[0].route_prefix',
    'expected segments of letters, digits, - . _ ~ with single slashes between them, got "/a/.."',
  ]),
  inApp('no prefix', `  - route_prefix:\n    ${args}\n`, [
    '2:5 applications[0].route_prefix',
    'null would leave the models unreachable; expected a path that begins with /',
  ]),
  inApp('one prefix for two', `  - name: a\n    ${args}\n  - name: b\n    route_prefix: /\n    ${otherArgs}\n`, [
    '5:19 applications[1].route_prefix',
    'the route prefix "/" is already that of applications[0]; expected another',
  ]),
  inApp('one name for two', `  - route_prefix: /a\n    ${args}\n  - route_prefix: /b\n    ${otherArgs}\n`, [
    '4:5 applications[1].name',
    'the application name "default" is already that of applications[0]; expected another',
  ]),
  inApp('one model id in two', `  - name: a\n    ${args}\n  - name: b\n    route_prefix: /b\n    ${args}\n`, [
    '6:60 applications[1].args.llm_configs[0].model_loading_config.model_id',
    'the model id "m" is already that of applications[0].args.llm_configs[0], and names one model in status, metrics and logs; expected another id, with gateway.aliases: ["m"] for clients',
  ]),
  {
    name: 'both shapes',
    text: `${oneModel}applications: [{${args}, route_prefix: /a}]\n`,
    problems: [
      ['1:1 llm_configs', 'the file has applications too; expected only one of them'],
      [
        '4:72 applications[0].args.llm_configs[0].model_loading_config.model_id',
        'the model id "m" is already that of llm_configs[0]; expected every model of the file to have its own',
      ],
    ],
  },
];

const variables: Case[] = [
  inGateway('a heartbeat more often than it is looked at', '  timeouts: {heartbeat_s: 0.5}\n', [
    '5:27 gateway.timeouts.heartbeat_s',
    'expected a number of seconds from 1 to 2000000, got 0.5',
  ]),
  inGateway('one that is not set', '  workers: ${N}\n', [
    '5:12 gateway.workers',
    'environment variable N is not set; set it, or give a default: ${N:-…}',
  ]),
  inGateway('one that must be set', '  workers: ${N:?say how many}\n', [
    '5:12 gateway.workers',
    'environment variable N is not set: say how many',
  ]),
  inGateway('a malformed one', '  state_dir: ${1x}\n', [
    '5:14 gateway.state_dir',
    'expected ${NAME}, ${NAME:-default} or ${NAME:?message}; for the two characters themselves write $${',
  ]),
  {
    name: 'text where a number is wanted',
    text: `${oneModel}gateway:\n  workers: \${N}\n`,
    env: { N: 'two' },
    problems: [['5:12 gateway.workers', 'expected a whole number from 1 to 128, got "two"']],
  },
  {
    name: 'a number that is too high',
    text: `${oneModel}gateway:\n  workers: \${N}\n`,
    env: { N: '999' },
    problems: [['5:12 gateway.workers', 'expected a whole number from 1 to 128, got 999']],
  },
  {
    name: 'YAML in a variable',
    text: `${oneModel}gateway:\n  listen: \${L}\n`,
    env: { L: '{port: 80}' },
    problems: [['5:11 gateway.listen', 'expected a mapping with host, port, got "{port: 80}"']],
  },
];

/** How a message tells what to do; of the last, `${NAME:?…}`, the author of the file says it. */
const remedy = /expected|did you mean|; its options are|write \S|quoted|quote it|must |; put |; set it|is not set: \S/u;

for (const [group, cases] of Object.entries({ syntax, models, deployment, rays, own, settings, applications, variables })) {
  describe(`a bad file is refused: ${group}`, () => {
    for (const { name, text, env, problems } of cases) {
      it(name, (t) => {
        const found = problemsOf(() => loadText(t, text, { env: env ?? {} }));
        const places = found.map((problem) => `${problem.line}:${problem.column} ${problem.path}`);
        assert.equal(places.length, problems.length, `found ${JSON.stringify(found, null, 1)}`);
        for (const [index, [place, message]] of problems.entries()) {
          // A place that ends in a colon leaves the column open: where the parser gives up depends on the stack.
          if (place.endsWith(':')) assert.ok(places[index]?.startsWith(place), places[index]);
          else assert.equal(places[index], place);
          assert.ok(found[index]?.message.includes(message), found[index]?.message);
          assert.match(message, remedy);
        }
      });
    }
  });
}

/** A model that has no replica until it is asked for. */
const onDemand = (at: number): string =>
  `  - {model_loading_config: {model_id: m${at}}, llm_engine: fake, gateway: {idle: {stop_s: 60}}}\n`;
const manyOnDemand = (models: number): string => `llm_configs:\n${Array.from({ length: models }, (_, at) => onDemand(at)).join('')}`;

describe('a bad file', () => {
  it('is told all its problems at once, one a line with file, line, column and path', (t) => {
    const text =
      'gatway: {}\nllm_configs:\n  - model_loading_config: {model_id: m, model_source: ./none}\n    llm_engine: fake\n    engine_kwargs: {zebra: 1}\n  - {}\n  - model_loading_config: {model_id: m}\n    llm_engine: fake\ngateway: {workers: x}\n';
    const places = problemsOf(() => loadText(t, text)).map((problem) => problem.path);
    assert.deepEqual(places, [
      'gatway',
      'llm_configs[0].model_loading_config.model_source',
      'llm_configs[0].engine_kwargs.zebra',
      'llm_configs[1].model_loading_config',
      'llm_configs[2].model_loading_config.model_id',
      'gateway.workers',
    ]);
    const error = assertThrown(() => loadText(t, 'gateway: {workers: 0}\nx: 1\nllm_configs: [a.yaml]\n'));
    assert.equal(error.code, 'config_invalid');
    const lines = error.message.split('\n');
    assert.equal(lines.length, 3);
    assert.match(lines[0] ?? '', /config\.yaml:1:20: gateway\.workers: expected a whole number from 1 to 128, got 0$/);
    assert.match(lines[1] ?? '', /config\.yaml:2:1: x: unknown key "x"/);
    assert.match(
      lines[2] ?? '',
      /config\.yaml:3:15: llm_configs\[0\]: ".*a\.yaml": there is no such file; expected the path of a YAML file$/,
    );
  });

  it('does not show what may be a secret', (t) => {
    const text = `${oneModel}    runtime_env: {env_vars: {TOKEN: 12345, LIST: [hidden]}}\n`;
    const shown = JSON.stringify(problemsOf(() => loadText(t, text)));
    assert.ok(!shown.includes('12345') && !shown.includes('hidden'), shown);
  });

  it('is refused when its aliases multiply beyond reason', (t) => {
    const levels = Array.from({ length: 30 }, (_, level) => `l${level + 1}: &l${level + 1} [*l${level}, *l${level}, *l${level}]\n`);
    const found = problemsOf(() => loadText(t, `l0: &l0 [x, x]\n${levels.join('')}`));
    assert.ok(found.some((problem) => problem.message.includes('more than 200000 values')));
  });

  it('is refused when it nests deeper than any config does', (t) => {
    const found = problemsOf(() => loadText(t, `${oneModel}    engine_kwargs: {text: ${'['.repeat(60)}${']'.repeat(60)}}\n`));
    assert.ok(found.some((problem) => problem.message === 'nested more deeply than any config is; expected at most 50 levels'));
  });

  it('of more models than one gateway has room for is told at the first that is too many', (t) => {
    assert.equal(loadText(t, manyOnDemand(4096)).config.models.length, 4096);
    assert.deepEqual(
      problemsOf(() => loadText(t, manyOnDemand(4100))).map(({ line, column, path, message }) => [line, column, path, message]),
      [
        [
          4098,
          39,
          'llm_configs[4096].model_loading_config.model_id',
          'with this one the models and their replicas are 4097 or more; expected at most 4096 together in one gateway',
        ],
      ],
    );
  });

  it('named by llm_configs is told by its own name and places', (t) => {
    const found = problemsOf(() =>
      loadFiles(t, {
        'config.yaml': 'llm_configs:\n  - models/a.yaml\n  - models/b.yaml\n',
        'models/a.yaml': 'model_loading_config:\n  model_id: a\n  model_source: ./none\nllm_engine: fake\nzebra: 1\n',
        'models/b.yaml': 'model_loading_config: {model_id: [}\n',
      }),
    );
    assert.deepEqual(
      found.map(({ file, line, column, path }) => [file.split('/').slice(-2).join('/'), line, column, path]),
      [
        ['models/a.yaml', 3, 17, 'llm_configs[0].model_loading_config.model_source'],
        ['models/a.yaml', 5, 1, 'llm_configs[0].zebra'],
        ['models/b.yaml', 1, 35, 'llm_configs[1]'],
      ],
    );
  });
});

function assertThrown(run: () => unknown): Error & { code?: string } {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
  return assert.fail('nothing was thrown');
}
