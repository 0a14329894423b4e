import type { z } from 'zod';
import { GatewayError } from '../core/errors.ts';
import type { Parameters } from '../core/parameter.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { Capabilities } from '../core/table.ts';
import type { CapabilityProbe } from './capabilities.ts';
import type { EngineVersion } from './engine-version.ts';
import type { EnginePaths } from './openai-path.ts';
import type { ReplyMender } from './reply-mend.ts';

/** What the worker sends to the engine. */
export interface EngineRequest {
  readonly path: string;
  /** The client's own bytes where the engine takes them as they came. */
  readonly body: Uint8Array;
  /** `application/json` where left out. */
  readonly contentType?: string;
  /** Parameters of the client's that are not in `body`, because the engine cannot do what they ask for. */
  readonly dropped?: readonly DroppedParam[];
  /** True for an engine that closes the connection after this reply without saying so: no other request is sent on it. */
  readonly lastOnConnection?: boolean;
}

export interface DroppedParam {
  /** As in the client's body; a dot before a nested name. */
  readonly name: string;
  /** For the client: why. */
  readonly reason: string;
}

/** An engine's error reply, read; the gateway writes OpenAI's object from it. */
export interface EngineError {
  readonly message: string;
  /** OpenAI `error.type`, where the engine gave a usable one. */
  readonly type?: string;
  /** A string, as OpenAI's are; engines send integers. */
  readonly code?: string;
  readonly param?: string;
  /** The status the client should see, where the engine's is wrong. */
  readonly status?: number;
}

/** The body that makes an engine go on behind `text`, which was generated for `body`. */
export type GoOn = (
  body: Readonly<Record<string, unknown>>,
  text: string,
  operation: NormalizedRequest['operation'],
) => Readonly<Record<string, unknown>>;

/** A LoRA adapter on this machine, as an engine is told of it. */
export interface AdapterFiles {
  /** What the engine knows it by: letters, digits, `.`, `_` and `-`. New weights of an adapter have a new one. */
  readonly handle: string;
  /** Its PEFT directory, or its GGUF file. */
  readonly path: string;
}

/** A call of an engine's own API. */
export interface EngineCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
}

/** What an engine says to a call that loads or unloads an adapter. */
export type AdapterAnswer =
  /** It is as was asked for; also when it had been so before. */
  | { readonly kind: 'done' }
  /** `status`: what those who asked for the adapter get: 400 or 404 where it cannot be loaded anywhere, 503 where it may be later or elsewhere. */
  | { readonly kind: 'refused'; readonly status: 400 | 404 | 503; readonly message: string };

/** What is known of an adapter from its files. */
export interface AdapterContents {
  readonly path: string;
  /** Of a PEFT adapter its `adapter_config.json`, of a GGUF file its metadata (texts and numbers). */
  readonly config: Readonly<Record<string, unknown>>;
  /** Names of its tensors; empty for pickled weights, which nobody but the engine reads. */
  readonly tensors: readonly string[];
}

/** What adapters an engine takes. */
interface AdapterRules {
  /** `peft`: a directory with `adapter_config.json`; `gguf`: one GGUF file. */
  readonly format: 'peft' | 'gguf';
  /** Why the engine must not be given an adapter, for who asks for it; undefined where it may. */
  problem?(adapter: AdapterContents): string | undefined;
}

/** How an engine serves LoRA adapters. */
export type LoraSupport = AdapterRules &
  /** All are named in `command()` (`Launch.adapters`); another set needs a new process. `handle`: what requests name the one at `index` by. */
  (
    | { readonly kind: 'at-start'; handle(index: number): string }
    | {
        readonly kind: 'dynamic';
        load(adapter: AdapterFiles): EngineCall;
        unload(handle: string): EngineCall;
        /** `body`: at most 64 KB of text, not always JSON. */
        readLoaded(status: number, body: string): AdapterAnswer;
        readUnloaded(status: number, body: string): AdapterAnswer;
        /** Asks which are loaded. */
        readonly resident: EngineCall;
        /** Their handles. */
        readResident(body: unknown): readonly string[];
      }
  );

/** How an engine gives the memory of its GPUs back and keeps its process, so that it can serve again sooner than by a start. */
export interface SleepSupport {
  /** Answered with 2xx once it sleeps; sent only while no request is on it. */
  readonly sleep: EngineCall;
  /** Answered with 2xx once it may serve again; does nothing to an engine that is awake. */
  readonly wake: EngineCall;
  /** Asks whether it sleeps. */
  readonly state: EngineCall;
  /** Undefined: that is no answer to `state`. */
  readAsleep(body: unknown): boolean | undefined;
}

/** Runs in the workers and keeps no state. */
export interface Dialect {
  /** What this engine serves, and where. Left out: chat and completions. */
  readonly paths?: EnginePaths;
  /**
   * What its requests may say besides the APIs' own parameters, on any of its routes: its own, and those of other engines that `toEngine`
   * knows what to do with. The gateway leaves out all others. Left out: it gets whatever clients send.
   */
  readonly parameters?: Parameters;
  /**
   * @param attemptId unguessable, and of no other request: what `abort` will name. Letters, digits and dashes.
   * @param adapter the handle of the LoRA adapter that answers, not the base; no other is applied, whatever the body says.
   * @param can what the model's engine has told of itself.
   * @throws GatewayError `request_invalid` for what this engine must not be sent.
   */
  toEngine(request: NormalizedRequest, attemptId: string, adapter?: string, can?: Capabilities): EngineRequest;
  /** What mends the reply to one attempt; undefined where this engine's replies to this request are right as they come. */
  mend?(request: NormalizedRequest, can?: Capabilities): ReplyMender | undefined;
  /** What tells the engine to stop working on an attempt, where closing the connection is not enough. */
  abort?(request: NormalizedRequest, attemptId: string): EngineRequest | undefined;
  /** How a stream that broke off is gone on with; undefined where the engine cannot. */
  readonly goOn?: GoOn;
  /** Reads an error reply (status ≥ 400) of this engine. `body` is at most 64 KB of text; not always JSON. */
  readError(status: number, body: string): EngineError;
}

export interface Launch {
  /** A local file or directory, or a reference that the engine resolves itself (a Hugging Face id). */
  readonly model: { readonly kind: 'path' | 'reference'; readonly value: string };
  /** The id under which the engine must serve the model. */
  readonly servedName: string;
  /** `<port>` where the command line is only shown or compared. */
  readonly port: number | '<port>';
  /**
   * The first of the `Engine.innerPorts` ports in a row that are this replica's own, for what its processes say to each other;
   * `<inner port>` where the command line is only shown or compared.
   */
  readonly innerPort: number | '<inner port>';
  /** Random; passed to the engine by environment, never on the command line. */
  readonly apiKey: string;
  /** Seconds the engine may take to finish requests after SIGTERM. */
  readonly stopGraceS: number;
  /** For engines that take adapters at their start only. */
  readonly adapters?: readonly AdapterFiles[];
}

/** Never put through a shell. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Probe {
  readonly path: string;
  readonly timeoutMs: number;
}

/** What one line of an engine's log tells. */
export type LogSign =
  | { readonly kind: 'phase'; readonly phase: string }
  /**
   * Why a start failed. `permanent`: trying again without a change cannot help. `topic`: the cause without what only this line says, for metrics
   * and programs; there must be few.
   */
  | { readonly kind: 'cause'; readonly cause: string; readonly topic?: string; readonly remedy: string; readonly permanent: boolean };

export interface EngineMetrics {
  readonly running: number | undefined;
  readonly waiting: number | undefined;
  /** Only grows while the engine works. */
  readonly generatedTokens: number | undefined;
  /** Differs from one time to another if the engine has worked on any request in between, be it in prefill; undefined where nothing on the page does. */
  readonly workDone: number | undefined;
}

/** What the config says of a model beside `engine_kwargs`, where it changes how the engine is started. */
export interface ModelTraits {
  /** `model_loading_config.tokenizer_source` */
  readonly tokenizerSource?: string;
  /** Set when `lora_config` is there. */
  readonly lora?: {
    readonly maxAdaptersPerReplica: number;
    /** Set when `gateway.gpus` is 0. */
    readonly cpu?: true;
  };
  /** Set when `gateway.idle.sleep_s` is there: the engine is to be able to sleep. */
  readonly sleeps?: true;
}

export interface Engine {
  /** Executable looked up on PATH unless `gateway.engines.<name>.command` gives another. */
  readonly executable: string;
  /** What to tell a user who does not have the executable. */
  readonly install: string;
  command(launch: Launch): CommandLine;
  /** Ports beside the one it serves on that a replica needs to have for itself, in a row. Left out: it needs none. */
  readonly innerPorts?: number;
  /** Requests a replica really works on at once. */
  readonly concurrency: number;
  /** GPUs a replica needs (0: none), and the share of each one's memory it takes (0 < share ≤ 1; 1: the card is its own). */
  readonly needs: {
    readonly gpus: number;
    readonly memoryShare: number;
    /** Runs without a GPU where the machine has none. */
    readonly optional?: boolean;
  };
  /** Options that were left out or renamed for this engine, to be told as warnings. */
  readonly notes: readonly OptionProblem[];
  /** How to read the installed engine's options; undefined where its help cannot be read. */
  readonly help?: {
    readonly args: readonly string[];
    readonly timeoutMs: number;
    /** Names of all options in what was printed, in snake_case; undefined where it is not the help that was asked for. */
    read(text: string): ReadonlySet<string> | undefined;
  };
  /** How to ask it for its version; undefined where it has none of its own. */
  readonly version?: EngineVersion;
  /** How to ask it for what it can do, one after the other; left out where it does not tell. */
  readonly capabilities?: readonly CapabilityProbe[];
  /** Given options that are not among those of the installed engine. */
  checkOptions?(installed: ReadonlySet<string>): readonly OptionProblem[];
  readonly probes: {
    /** 200 once the engine serves. */
    readonly readiness: Probe;
    readonly liveness: Probe;
    /** Authenticated; `readServedModels` of its body must contain the served name, or something else answers on our port. */
    readonly identity: Probe;
  };
  readServedModels(body: unknown): readonly string[];
  /** Left out: none. Present only where the config asks for adapters. */
  readonly lora?: LoraSupport;
  /** Left out: it cannot sleep. Present only where the config asks for it. */
  readonly sleep?: SleepSupport;
  readonly metricsPath: string;
  /** Whether `workDone` standing still with requests on the engine proves a hang: no step of it takes a minute. */
  readonly countersProveHang: boolean;
  /** The engine's Prometheus page → our gauges; unknown series are ignored. */
  readMetrics(page: string): EngineMetrics;
  /** One line of the log; undefined where it tells nothing. */
  readLog(line: string): LogSign | undefined;
  readonly stopping: {
    /** Milliseconds from SIGTERM to SIGKILL of the process group. */
    readonly graceMs: number;
  };
}

export interface EnginePlugin {
  /** As written in `llm_engine`, in lower case. */
  readonly name: string;
  readonly dialect: Dialect;
  /** @throws EngineOptionError naming each option at fault. */
  configure(options: Readonly<Record<string, unknown>>, traits?: ModelTraits): Engine;
}

export interface OptionProblem {
  /** Path below `engine_kwargs`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** `config_invalid`, with the place of each problem so that the config loader can give line and column. */
export class EngineOptionError extends GatewayError {
  readonly problems: readonly OptionProblem[];
  constructor(engine: string, problems: readonly OptionProblem[]) {
    super(
      'config_invalid',
      problems.map((problem) => `engine_kwargs.${problem.path.join('.')}: ${problem.message}`).join('; ') || `${engine}: invalid options`,
    );
    this.problems = problems;
  }
}

/** Keeps an engine's option type inside its folder: the rest of the program sees only `Engine`. */
export function defineEngine<S extends z.ZodType>(
  name: string,
  dialect: Dialect,
  schema: S,
  build: (options: z.infer<S>, traits: ModelTraits) => Engine,
): EnginePlugin {
  return {
    name,
    dialect,
    configure(options, traits = {}) {
      const parsed = schema.safeParse(options);
      if (parsed.success) return build(parsed.data, traits);
      throw new EngineOptionError(
        name,
        parsed.error.issues.map((issue) => ({ path: issue.path.filter((part) => typeof part !== 'symbol'), message: issue.message })),
      );
    },
  };
}
