import { input } from './input-rows.ts';
import { modelFiles } from './model-rows.ts';

/** One thing that breaks, or that somebody does, and what must be seen then. */
export interface Fault {
  readonly happens: string;
  readonly holds: string;
  /** Why no test of this project brings it about; undefined where one does. */
  readonly untested?: string;
}

const engineProcesses = {
  1: {
    happens: 'kill -9 of an engine while it streams',
    holds: 'the stream ends with an `upstream_failed` event and no `[DONE]`; never sent again; the replica is replaced',
  },
  2: {
    happens: 'kill -9 of an engine before its first byte',
    holds: 'another replica answers; without one, and none in time, a 503 with `Retry-After`',
  },
  3: {
    happens: 'kill -9 of an idle engine',
    holds: 'out of rotation by its exit, long before a probe is due; no request fails while another replica is there; restarted',
  },
  4: {
    happens: 'kill -9 of a worker of an engine, whose front lives on',
    holds: 'its streams end with an `upstream_failed` event; the engine is found to hang, and replaced with all its processes',
  },
  5: {
    happens: 'SIGSTOP of an engine with all its processes while it streams',
    holds: 'after `hang_s` (a minute unless set) its streams end with an error event; it is killed and replaced',
  },
  6: {
    happens: 'SIGSTOP of a worker of an engine, whose front goes on and says 200 to the health probe',
    holds: 'the same: no byte comes and its own counters stand still, and the status says so',
  },
  7: {
    happens: 'the GPU has no room for the engine at its start',
    holds:
      'cause, remedy and the decisive line in the terminal, the status and the 503, the cause as a metric’s label; tried again later, not at once',
  },
  8: {
    happens: 'the kernel kills an engine for want of memory while it streams',
    holds: 'the engine goes and not the gateway; as row 1, and the status says `oom_killed`',
  },
  9: {
    happens: 'an engine dies at each start',
    holds:
      'delays of 1, 2, 4, 8 and 16 s with jitter; the sixth start in 10 min makes a crash loop, for which nobody waits; other models serve',
  },
  10: { happens: 'an engine exits with 0 while it serves', holds: 'as any other exit: named, and the replica is restarted' },
  11: {
    happens: 'the engine’s program is not there',
    holds:
      'not tried again; the status names the program and the PATH that was searched, the 503 the program; `gateway validate` says so before',
  },
  12: {
    happens: 'an engine refuses an option',
    holds:
      'its own words are shown, and it is not tried again; a reload with an unknown option is refused with its place, and nothing changes',
  },
  13: { happens: 'the engine’s port is taken', holds: 'the next one of the range is used; none left: said so; the owner is not touched' },
  14: {
    happens: 'an impostor answers on the engine’s port, to any key, with our model',
    holds: 'not ready, no request reaches it, and the status names it; once it is gone the replica comes back',
  },
  15: {
    happens: "ports of an engine's own processes collide",
    holds: 'each replica has its own; a taken one is named, and the start tried again',
  },
  16: {
    happens: 'more GPUs are asked for than there are, or than are free',
    holds:
      '`validate` and `reload` refuse a replica that needs more than there are, with its place; one that a start finds is pending, with how many there are or who holds them; never started on the GPU of somebody else; starts when they come free',
  },
  17: {
    happens: 'the gateway inherits `CUDA_VISIBLE_DEVICES` as index, UUID or MIG instance',
    holds: 'engines get one of those, in PCI bus order; a mask in a model’s own environment is refused with its place',
  },
  18: {
    happens: 'the driver loses a GPU while an engine runs on it',
    holds:
      'found, though the engine itself seems well: it is ended, named and started on another GPU; the lost one is given to nobody and shows as quarantined',
  },
  19: {
    happens: 'an engine takes long to load',
    holds: 'requests wait, or get a 503 with `Retry-After` and the phase; past `startup_s` (20 min unless set) it is ended and says so',
  },
  20: {
    happens: 'the health probe of an engine fails every other time, and then each time',
    holds: 'no request fails while another replica is there; flaps are counted; three misses in a row of an idle one restart it',
  },
  21: {
    happens: 'an engine is in a long prefill, and too busy to answer its health probe',
    holds: 'it is let alone while its own counters move, and the request gets its answer',
  },
  22: { happens: 'an engine ignores SIGTERM', holds: 'its group is killed after the grace' },
  23: {
    happens: 'an engine leaves a daemon in a session of its own, and dies',
    holds: 'the daemon and the workers are ended before it is restarted; log and status tell that one had left its process group',
  },
  24: { happens: 'a model is removed while its engine loads', holds: 'the process goes without a grace; who waits gets an error at once' },
  25: {
    happens: 'GPU memory is still in use after the engine has ended',
    holds: 'nothing starts on that GPU until it is free, for 30 s at most: then the log tells',
  },
  26: {
    happens: 'an engine floods its log: 50 MB/s, no line ends, terminal escapes, invalid UTF-8',
    holds:
      'it is never held up, requests are answered, the gateway’s memory stays flat, the log is cut, and what was not read of it is counted',
  },
  27: {
    happens: 'logs fill the disk of the state directory; then somebody else does, and an engine dies',
    holds:
      'serving goes on; logs are cut, and what is lost of them is counted; the next start is refused with the reason, and comes once there is room, though a log floods',
  },
  28: { happens: 'an engine serves another model than it should', holds: 'never routed to; the status says what it serves' },
  29: {
    happens: 'ten replicas start together',
    holds: 'at most eight load at a time; each has a port and a process of its own, and none is restarted',
  },
  30: {
    happens: 'kill -9 of the gateway',
    holds: 'the next start takes over the engines that it would start just so, with their processes, and ends the others',
  },
  31: { happens: 'kill -9 of the gateway, and its engine’s pid is somebody else’s by now', holds: 'the stranger is not touched' },
  32: {
    happens: 'kill -9 of the gateway, and then of all that is in its control group, as systemd does (`KillMode=control-group`)',
    holds: 'every process of its engines is in that group, daemons included: nothing is left',
  },
  33: { happens: 'a second gateway on one state directory', holds: 'it exits with 3 and names the first one’s pid, which serves on' },
  34: { happens: 'kill -9 of the gateway leaves its lock file', holds: 'the lock went with the process: the next one starts' },
  35: {
    happens: 'SIGTERM while 20 streams run',
    holds: 'readiness is off at once, nothing new is taken (after `pre_stop_s`), the streams end by themselves, engines stop last, exit 0',
  },
  36: { happens: 'the drain limit passes', holds: 'streams end with a `shutting_down` event, exit 0' },
  37: { happens: 'a second SIGTERM or SIGINT', holds: 'all is killed at once, exit 143 or 130' },
  38: {
    happens: 'SIGTERM while an engine loads that ignores it; Ctrl-C while a model’s files are fetched',
    holds: 'the engine is killed without a grace, exit 0; what was fetched stays, and the next start fetches only the rest',
  },
  39: {
    happens: 'an exception or a rejection escapes in the gateway',
    holds: 'logged as fatal, engines killed with all their processes, exit 1',
  },
  40: { happens: 'the gateway’s heap is full, and it aborts', holds: 'the next start takes the engines over' },
  41: {
    happens: 'the gateway is process 1 of a container, and orphans of an engine end',
    holds: 'it says that an init should be (`docker run --init`); under one no zombie is left',
  },
  42: {
    happens: 'the gateway’s control plane is blocked for longer than proves a hang',
    holds: 'requests are served meanwhile, no engine is ended for it afterwards, and metrics and log show it',
  },
} as const satisfies Record<number, Fault>;

const routing = {
  43: {
    happens: '1000 requests come at once for a model without a replica',
    holds: 'it is started once; as many as may wait are served as its places come free, the others get 429',
  },
  44: {
    happens: '50 requests find the only place taken and may not wait',
    holds: '429 `overloaded` with `Retry-After` and `retry-after-ms`',
  },
  45: {
    happens: 'no place comes free within `queue_s`',
    holds: '503 `wait_timeout`, which names the state; the engine does not see the request afterwards',
  },
  46: {
    happens:
      '99 of 100 clients leave while they wait for a place; 20 each, one after another, while they wait for one or for a model to load',
    holds: 'they are out of the waiting room at once, and the engine never sees their requests',
  },
  47: {
    happens: 'a reload takes away one of two replicas, with streams on both',
    holds: 'all 20 streams end by themselves; then it is stopped',
  },
  48: {
    happens: 'load swings up and down five times, faster than `downscale_delay_s`',
    holds: 'replicas are added once and none is taken away',
  },
  49: {
    happens: 'load comes back while a replica drains for want of it',
    holds: 'it is taken back: the same process, its streams unbroken',
  },
  50: {
    happens: 'kill -9 of every replica of a model',
    holds: 'who waits longer than `queue_s` gets 503 with `Retry-After` and the last failure',
  },
  51: {
    happens: '200 requests with prompts that are too long for the model',
    holds: 'each gets the engine’s 400, none is tried again, and the replicas stay trusted',
  },
  52: {
    happens: 'one of two replicas answers everything with 500, and later recovers',
    holds: 'it is passed over but for one request of a worker at a time, which looks, and used once that is answered',
  },
  53: {
    happens: 'one of two replicas breaks every connection before it answers',
    holds: 'the other one answers all; the engines see at most 1.2 × the requests',
  },
  54: {
    happens: 'an engine answers 500, or 503',
    holds: 'a 500 is passed on: the work may have been done; a 503 is tried elsewhere',
  },
  55: {
    happens: 'the replica that a session sticks to dies',
    holds: 'only its own sessions move, and they come back with it',
  },
  56: {
    happens: 'one session makes most of the load',
    holds: 'it spills to other replicas at 1.25 × the mean load',
  },
  57: { happens: 'an adapter cannot be loaded on one replica', holds: 'another one is tried' },
  58: { happens: 'an engine restarts without its adapters', holds: 'they are loaded before a request needs them' },
  59: { happens: 'more adapters are asked for than a replica has room for', holds: 'none in use is unloaded' },
  60: { happens: '100 requests need an adapter at once', holds: 'it is loaded once' },
  61: {
    happens: '300 requests end in every way there is: answered, refused, broken, left, unknown',
    holds: 'nothing is in flight or waiting afterwards, and each was counted once',
  },
  62: {
    happens: 'a replica is new beside ones that have warmed up',
    holds: 'it gets a smaller share at first',
  },
  63: {
    happens: 'one replica is four times slower than the others',
    holds: 'the slowest of 40 requests waits less than 0.7 of the time that it would if they were given out in turns',
  },
  64: {
    happens: 'a model needs both GPUs, and two idle models hold one each',
    holds: 'both give way at once, after their minimum time, and it is served; never does each side hold half of what it needs',
  },
  65: {
    happens: 'the clock of the machine jumps by an hour',
    holds: 'no time limit is hit, forwards or back: a stream goes on, who waits is served in turn, and no engine is started again',
  },
  66: {
    happens: 'the gateway is stopped for three seconds, as when a laptop sleeps, and goes on',
    holds: 'no engine is ended for it, and a stream goes on with what came meanwhile',
  },
} as const satisfies Record<number, Fault>;

const streams = {
  67: {
    happens: 'a client leaves in the middle of a stream, 20 times',
    holds: 'the engine’s connection is closed at once, each time; counted as `client_closed`, and no failure of the engine’s',
  },
  68: {
    happens: 'a client leaves before the first byte: of a stream, in the prefill, or while a whole reply is made; 20 times each',
    holds: 'the same',
  },
  69: {
    happens: 'an engine generates on after its client has left',
    holds: 'it is told to stop, where it has a way, and the generation is counted as abandoned',
  },
  70: {
    happens: 'a client reads nothing of a long stream',
    holds: 'the engine is held back; past `write_stall_s` (a minute unless set) the client is cut off and its place is free',
  },
  71: {
    happens: 'a client’s machine vanishes without a word',
    holds:
      'the engine stops: of a stream when `write_stall_s` has passed since no more could be sent, of a reply that says nothing ten seconds after `keepalive_s`',
  },
  72: {
    happens: 'an engine goes silent with its connections open',
    holds: 'a stream ends with an `upstream_timeout` event after `idle_s`; a request without a byte gets 504 after `first_byte_s`',
  },
  73: {
    happens: 'an engine’s stream breaks in the middle of an event',
    holds: 'whole events were passed on, half an event is not; an error event ends the stream',
  },
  74: { happens: 'a stream ends without `[DONE]` after its finish reason', holds: '`[DONE]` is added' },
  75: {
    happens: 'an engine sends an error in the middle of a stream that began with 200',
    holds: 'it is passed on as an error event, and counted as the engine’s; no `[DONE]`',
  },
  76: { happens: 'characters of several bytes come in two parts', holds: 'the text arrives byte for byte' },
  77: {
    happens: 'one line of a stream is 64 MB long',
    holds: 'the stream ends with an error event before the gateway holds it all, and the next request is served',
  },
  78: {
    happens: 'nothing comes for long before the first token',
    holds: 'a stream gets a comment every `heartbeat_s` (10 s unless set); an error before the first one is a real status',
  },
  79: {
    happens: 'an engine answers with a page of HTML, nothing, or an error of its own form',
    holds: 'the client gets a JSON error in OpenAI’s shape, with a message',
  },
  80: {
    happens: 'an engine sends headers for one hop, a cookie, or two lengths that differ',
    holds: 'none of them reaches the client; a reply with two lengths is a 502',
  },
  81: {
    happens: 'an engine closes idle connections while the gateway sends requests on them',
    holds: 'no client sees an error in 1000 requests',
  },
  82: { happens: 'a client sends three requests before it reads', holds: 'three replies, in order, each to its own request' },
  83: {
    happens: 'a client asks first whether it may send (`Expect: 100-continue`)',
    holds: '100, then the reply; 413 at once where the body is too large',
  },
  84: {
    happens: 'a path is asked for with a method that it does not have',
    holds: '405 with `Allow`; 204 for a preflight of CORS from a page that may use the API, else 405 too; 400 for a method that is none',
  },
  85: { happens: 'a client asks for the usage of a stream, or does not', holds: 'it comes when asked for, and is never invented' },
  86: { happens: 'a whole reply of 200 MB', holds: 'it passes through as it comes, and the gateway grows by less than half of it' },
  87: { happens: 'a client takes compressed replies', holds: 'the engine is not asked for one' },
  88: { happens: 'a client asks for a websocket', holds: '404, and no tunnel' },
} as const satisfies Record<number, Fault>;

const secrets = {
  115: {
    happens: 'no key, a wrong one, one that is almost right, a malformed header, Basic',
    holds:
      '401 `invalid_api_key` with `WWW-Authenticate: Bearer`, and one and the same answer to all; `x-api-key` opens as a bearer token does',
  },
  116: {
    happens: 'somebody measures how long wrong keys take',
    holds: 'as long whatever they are, and however many keys there are',
    untested: 'it needs a measured run: `npm run bench -- keys`, see `docs/benchmarks.md`',
  },
  117: {
    happens:
      'keys given in each way (in the config, a file, the environment, an application’s `api_key`) and the engine’s own, in header and URL, a token in an engine’s environment and log; everything is then asked for, at log level trace',
    holds:
      'no answer, log, status, plan, metrics page, output of a command or file of the state directory but an engine’s own log shows one',
  },
  118: { happens: 'the routes of the admin listener on the port of users', holds: '404, with and without a key' },
  119: {
    happens: 'a user’s key on the admin listener; one for others to reach, without a key',
    holds: '403; it does not start, and the place in the config is named',
  },
  120: {
    happens: 'another user of the machine asks an engine directly',
    holds: 'it wants the random key of its replica, and listens on loopback alone',
  },
  121: {
    happens: 'the gateway’s environment holds keys of clouds and of its own',
    holds: 'none is in an engine’s environment or command line; the engine’s own key is in its environment only',
  },
  122: {
    happens: 'an engine prints a token, an `Authorization` header and a presigned URL into its log, and then dies',
    holds: 'log stream, status, terminal, the gateway’s own log and the 503 of who waits show `[redacted]`',
  },
  123: {
    happens: 'other users of the machine look at the state directory, made new or left open by somebody',
    holds: 'it and all below it are its owner’s alone; one that was open is closed with a warning',
  },
  124: {
    happens: 'one address tries key after key (`failed_auth_per_minute`)',
    holds: '429 with `Retry-After` before its key is looked at, over all workers; no memory grows',
  },
  125: {
    happens: 'a web page, a form, or a name that was rebound to this machine asks the admin listener',
    holds: '403 for reading and for changing; an address, `localhost` and names in `allowed_hosts` are answered',
  },
  126: { happens: 'a script in a model’s name or a log line', holds: 'it is shown as text', untested: 'there is no page in this version' },
  127: {
    happens: 'an https upstream shows a certificate that nobody vouches for',
    holds: 'it is not used',
    untested: 'tested without the command, in `test/supervisor/static-upstreams.test.ts`',
  },
  128: {
    happens: 'options of an engine hold `; rm -rf`, `$(…)`, line breaks',
    holds: 'they are arguments, never a line for a shell; names that are no option names are refused',
    untested: 'tested without processes, in `test/plugins` and `test/config/bad-files.test.ts`',
  },
  129: {
    happens: 'a config of many megabytes, with aliases that multiply, keys that stand twice, tags',
    holds: 'each is refused with its line and column',
    untested: 'tested without processes, in `test/config/bad-files.test.ts`',
  },
  130: {
    happens: 'an environment variable holds YAML',
    holds: 'it is filled in as text, and never read again',
    untested: 'tested without processes, in `test/config/load.test.ts`',
  },
  131: {
    happens: 'a config names code of its own',
    holds: 'it is not run; only modules that `gateway.plugins` lists are',
    untested: 'tested without processes, in `test/config/bad-files.test.ts`',
  },
  132: {
    happens: 'a package runs code when it is installed',
    holds: 'installs run no scripts, and versions are exact',
    untested: 'it is a rule of the repository, not of the program: `test/setup/packages.test.ts`',
  },
} as const satisfies Record<number, Fault>;

const host = {
  148: {
    happens: 'no file descriptor is left',
    holds:
      'streams that run go on, and once descriptors come free requests are served again; the soft limit was raised to the hard one, and metrics show both numbers',
  },
  149: {
    happens: 'ports of the machine run short',
    holds: 'connections to an engine are kept and used again: 200 requests take no more ports than it has places, for each worker',
  },
  150: {
    happens:
      'the state directory cannot be written; while the gateway runs it is deleted, its disk disappears, or its disk is mounted read-only',
    holds:
      'a start says so and ends with 1; a running gateway serves on and warns; what is gone is made anew, still with one owner, and engines are replaced; while it may only read, an engine that ends says why none is started, which one is once it may write',
  },
  151: {
    happens: 'reload of a config that is not valid, or of which a replica needs more GPUs than there are',
    holds: '`gateway reload` exits with 4 and names file, line and column; nothing changes, and a metric shows it until the next good one',
  },
  152: {
    happens: 'reload of a valid config',
    holds: 'unchanged models keep their process and requests, changed ones are replaced, removed ones end their requests first',
  },
  153: {
    happens: 'the config file is half written, replaced by an editor, or a link that moves (a Kubernetes ConfigMap)',
    holds: '`start --watch` reads it when it was left alone for half a second; half a file is told once and changes nothing',
  },
  154: {
    happens: '100 scrapes at a time under load, and a scraper that does not read',
    holds:
      'each scrape and each request is answered; those who ask at a time share a page; metrics are not on the port of users; idle connections are closed after 5 s',
  },
  156: {
    happens: 'no name resolves, not even `localhost`',
    holds: 'engines are reached all the same, by address',
  },
  158: {
    happens: 'an upgrade in place, or the way back: the state directory is that of an earlier version, or of a later one',
    holds:
      'engines of an earlier version are taken over, but those that this one would start with other arguments: they are replaced; those whose leases only a later one can read are found by their marker, ended, and started anew',
  },
} as const satisfies Record<number, Fault>;

/** Every row has one number for good. */
export type RowNumber =
  | keyof typeof engineProcesses
  | keyof typeof routing
  | keyof typeof streams
  | keyof typeof input
  | keyof typeof secrets
  | keyof typeof modelFiles
  | keyof typeof host;

export interface Section {
  readonly title: string;
  readonly rows: readonly { readonly number: RowNumber; readonly fault: Fault }[];
}

const section = (title: string, rows: Readonly<Partial<Record<RowNumber, Fault>>>): Section => ({
  title,
  rows: Object.entries(rows).map(([number, fault]) => ({ number: Number(number) as RowNumber, fault })),
});

export const sections: readonly Section[] = [
  section('Engine processes and the gateway’s own', engineProcesses),
  section('Routing and waiting', routing),
  section('Streams and HTTP between client, gateway and engine', streams),
  section('Requests that are wrong, or meant to do harm', input),
  section('Secrets', secrets),
  section('Models that are brought from a store', modelFiles),
  section('Host, config, observability', host),
];

/** @throws Error for a number that no row has */
export function faultOf(number: RowNumber): Fault {
  const found = sections.flatMap(({ rows }) => rows).find((row) => row.number === number);
  if (found === undefined) throw new Error(`no row ${number} in the catalogue`);
  return found.fault;
}
