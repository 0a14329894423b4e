import type { ServerResponse } from 'node:http';
import { readSettings, settingTable } from '../settings.ts';
import type { SettingProblem, Settings } from '../settings.ts';
import { errorBody } from './openai.ts';
import { sendJson } from './respond.ts';
import type { SeenRequest } from './journal.ts';
import type { EngineState } from './state.ts';

/** Answer of `GET /fake/state`. */
export interface StateReport {
  readonly pid: number;
  readonly ready: boolean;
  readonly asleep: boolean;
  readonly hung: boolean;
  readonly open: number;
  readonly running: number;
  readonly waiting: number;
  readonly requests: number;
  readonly completed: number;
  readonly aborted: number;
  readonly tokens: number;
  readonly probes: number;
  /** How often it fell asleep and woke, and requests that came in between. */
  readonly sleeps: number;
  readonly wakes: number;
  readonly disturbed: number;
  /** Handles of the adapters held, how often one was loaded or unloaded, and the most held at a time. */
  readonly adapters: readonly string[];
  readonly adapterLoads: number;
  readonly adapterUnloads: number;
  readonly mostAdapters: number;
  readonly workers: readonly number[];
  readonly daemon: number | null;
  readonly seen: readonly SeenRequest[];
  readonly settings: Settings;
}

export function readState(state: EngineState): StateReport {
  const { journal, slots, faults, adapters } = state;
  return {
    pid: process.pid,
    ready: state.ready,
    asleep: state.asleep,
    hung: faults.hung,
    open: state.open,
    running: slots.running,
    waiting: slots.waiting,
    requests: journal.requests,
    completed: journal.completed,
    aborted: journal.aborted,
    tokens: journal.tokens,
    probes: journal.probes,
    sleeps: journal.sleeps,
    wakes: journal.wakes,
    disturbed: journal.disturbed,
    adapters: [...adapters.held.keys()],
    adapterLoads: adapters.loads,
    adapterUnloads: adapters.unloads,
    mostAdapters: adapters.most,
    workers: state.workers,
    daemon: state.daemon ?? null,
    seen: journal.seen,
    settings: faults.settings,
  };
}

/** `POST /fake/control`: changes settings at once, all or none of them; answers with the new state. */
export function applyControl(state: EngineState, body: Buffer, response: ServerResponse): void {
  const read = readChange(body);
  if (read.problems.length > 0) {
    const message = read.problems.map((problem) => `${problem.name}: ${problem.message}`).join('; ');
    sendJson(response, 400, errorBody(message, 'invalid_request_error', read.problems[0]?.name));
    return;
  }
  state.faults.apply(read.given);
  state.slots.admit();
  sendJson(response, 200, readState(state));
}

interface Change {
  readonly given: Partial<Settings>;
  readonly problems: readonly SettingProblem[];
}

function wrong(message: string): Change {
  return { given: {}, problems: [{ name: 'body', message }] };
}

function readChange(body: Buffer): Change {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    return wrong('not valid JSON, expected an object of settings');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return wrong('expected an object of settings');
  const read = readSettings(parsed as Record<string, unknown>);
  if (read.kind === 'invalid') return { given: {}, problems: read.problems };
  const late = Object.keys(read.given).filter((name) => settingTable.get(name)?.takesEffect === 'start');
  return { given: read.given, problems: late.map((name) => ({ name, message: 'takes effect only at the start, as an engine_kwarg' })) };
}
