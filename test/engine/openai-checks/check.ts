import { dataOf, splitEvents } from '../../../src/core/server-sent-events.ts';
import { at, parse, short } from '../../../src/conformance/json.ts';

/** A server with OpenAI's API: the gateway, or an engine itself. */
export interface Target {
  /** Origin. */
  readonly url: string;
  readonly key: string;
  readonly model: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed; undefined where the body is no JSON. */
  readonly json: unknown;
  /** `data` of each event, parsed; `[DONE]` as it is. Of a stream only. */
  readonly events: readonly unknown[];
}

/** One thing that a well-behaved server does. */
export interface Check {
  readonly name: string;
  /** What is wrong; undefined: nothing. */
  readonly run: (target: Target) => Promise<string | undefined>;
}

/** A JSON body, or the bytes as they are. */
export type Body = object | string | Buffer<ArrayBuffer>;

export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly body?: Body;
  readonly headers?: Readonly<Record<string, string>>;
}

const isPlain = (body: Body): body is object => typeof body === 'object' && !Buffer.isBuffer(body);

const replies = new WeakMap<Target, Map<string, Promise<Reply>>>();

/** Each question is asked once of each server: several checks look at one reply. */
export function ask(target: Target, asked: Asked): Promise<Reply> {
  const ofTarget = replies.get(target) ?? new Map<string, Promise<Reply>>();
  replies.set(target, ofTarget);
  const question = JSON.stringify(asked);
  const reply = ofTarget.get(question) ?? send(target, asked);
  ofTarget.set(question, reply);
  return reply;
}

async function send({ url, key }: Target, { method, path, body, headers }: Asked): Promise<Reply> {
  const response = await fetch(url + path, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: isPlain(body) ? JSON.stringify(body) : body }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  const events = splitEvents(text).flatMap((event) => {
    const data = dataOf(event);
    return data === undefined ? [] : [data === '[DONE]' ? data : (parse(data) ?? data)];
  });
  return { status: response.status, headers: response.headers, text, json: parse(text), events };
}

export const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
export const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isInteger(value) && value >= 0;

/** What `value` is not, as a complaint about `path`. */
export function expect(right: boolean, path: string, found: unknown, expected: string): string | undefined {
  return right ? undefined : `${path} is ${short(found)}; expected ${expected}`;
}

/** Complaints about members, by their paths: the first that is there. */
export function firstWrong(
  value: unknown,
  members: readonly (readonly [path: readonly (string | number)[], right: (value: unknown) => boolean])[],
): string | undefined {
  const wrong = members.find(([path, right]) => !right(at(value, ...path)));
  return wrong === undefined ? undefined : `${wrong[0].join('.')} is ${short(at(value, ...wrong[0]))}`;
}

/** Why a reply is not OpenAI's error; undefined where it is. */
export function errorProblem({ json, text }: Reply): string | undefined {
  const error = at(json, 'error');
  if (typeof error !== 'object' || error === null) return `no error object: ${short(text)}`;
  return firstWrong(json, [
    [['error', 'message'], isText],
    [['error', 'type'], isText],
    [['error', 'code'], (code) => code === null || isText(code)],
    [['error', 'param'], (param) => param === null || isText(param)],
  ]);
}
