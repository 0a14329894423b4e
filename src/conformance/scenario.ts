import type { Clock } from '../core/clock.ts';
import type { Api, ApiReply } from './api.ts';
import { at, short } from './json.ts';

/** What one scenario showed. `detail`: one line, what was seen. */
export type Outcome =
  | { readonly kind: 'works'; readonly detail: string }
  /** It was answered, and not as it should be. */
  | { readonly kind: 'fails'; readonly detail: string }
  /** This model, engine or call gives no occasion to see it. */
  | { readonly kind: 'unshown'; readonly detail: string };

export const works = (detail: string): Outcome => ({ kind: 'works', detail });
export const fails = (detail: string): Outcome => ({ kind: 'fails', detail });
export const unshown = (detail: string): Outcome => ({ kind: 'unshown', detail });

/** What the scenarios are run on. */
export interface Subject {
  readonly api: Api;
  /** As clients name it. */
  readonly model: string;
  /** A loaded adapter, as clients name it. */
  readonly adapter?: string;
  /** Requests of the model that a replica works on or that wait; without it nobody can tell whether an abort arrived. */
  readonly inFlight?: () => Promise<number>;
  readonly clock: Clock;
}

/** One thing that clients rely on. Data and a function: whoever has a model can run it. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Whether every model that chats must pass; the others depend on the engine and the model. */
  readonly required: boolean;
  run(subject: Subject): Promise<Outcome>;
}

/** A question that has the same short answer each time, where the model is any good. */
export const question = (model: string, content = 'What is the capital of France? Answer in one sentence.'): Question => ({
  model,
  messages: [{ role: 'user', content }],
  temperature: 0,
  max_tokens: 32,
});

export interface Question {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly temperature: number;
  readonly max_tokens: number;
}

/** The reply's error in one line. */
export function errorOf(reply: ApiReply): string {
  const message = at(reply.json, 'error', 'message');
  return `${reply.status}: ${short(message ?? reply.text)}`;
}

/** Why an error body is not OpenAI's object; undefined where it is. */
export function malformedError(reply: ApiReply): string | undefined {
  const error = at(reply.json, 'error');
  if (typeof error !== 'object' || error === null) return `no error object: ${short(reply.text)}`;
  if (typeof at(error, 'message') !== 'string' || at(error, 'message') === '') return `error.message: ${short(at(error, 'message'))}`;
  if (typeof at(error, 'type') !== 'string') return `error.type: ${short(at(error, 'type'))}`;
  const code = at(error, 'code');
  return code === null || typeof code === 'string' ? undefined : `error.code: ${short(code)}; expected text or null`;
}

/**
 * The outcome of a reply that is no 200. That an engine or model does not offer something is no failure where it says so cleanly, with a
 * client error or 501 and OpenAI's error object.
 */
export function refusal(reply: ApiReply): Outcome {
  const malformed = malformedError(reply);
  if (malformed !== undefined) return fails(`refused with ${reply.status}, ${malformed}`);
  const clean = (reply.status >= 400 && reply.status < 500 && reply.status !== 429) || reply.status === 501;
  return clean ? unshown(`refused, ${errorOf(reply)}`) : fails(errorOf(reply));
}

/** Names of parameters that the gateway left out because the engine cannot do them; undefined where it left out none. */
export function droppedOf(reply: ApiReply): string | undefined {
  const header = reply.headers['x-gateway-dropped-params'];
  return header === undefined ? undefined : `left out by the gateway for this engine: ${String(header)}`;
}
