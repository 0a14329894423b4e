import type { StatusReply } from '../../admin/api.ts';
import { didYouMean } from '../../core/did-you-mean.ts';
import { GatewayError, messageOf } from '../../core/errors.ts';
import { localUrl } from '../ready-block.ts';
import { EventReader } from './event-reader.ts';
import { type Piece, readFailure, readPieces } from './pieces.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Where a model is asked, and by which key. */
export interface ChatTarget {
  readonly url: string;
  readonly apiKey: string | undefined;
}

export interface Answer {
  readonly text: string;
  /** Why it ended; undefined: it was stopped. */
  readonly finish: string | undefined;
}

/** Where a model of a running gateway is asked. @throws GatewayError `model_not_found`, listing those there are. */
export function chatUrl({ dataHost, dataPort, apps }: Pick<StatusReply, 'dataHost' | 'dataPort' | 'apps'>, model: string): string {
  const app = apps.find(({ names }) => names.includes(model));
  if (app !== undefined) return `${localUrl(dataHost, dataPort)}${app.prefix}/v1/chat/completions`;
  const names = apps.flatMap((each) => each.names);
  throw new GatewayError(
    'model_not_found',
    `There is no model "${model}". The models are: ${names.join(', ')}.${didYouMean(model, names)}`,
  );
}

/**
 * Streams one answer; `show` gets its pieces as they come. Aborted: resolves with what there is, and the gateway sees the connection
 * close.
 * @throws GatewayError for an answer that fails, whenever it does.
 */
export async function askModel(
  target: ChatTarget,
  body: { readonly model: string; readonly messages: readonly Message[] },
  signal: AbortSignal,
  show: (piece: Piece) => void,
): Promise<Answer> {
  let text = '';
  let finish: string | undefined;
  try {
    for await (const piece of pieces(target, body, signal)) {
      if (piece.kind === 'done') return { text, finish: finish ?? 'stop' };
      if (piece.kind === 'text') text += piece.text;
      if (piece.kind === 'finished') finish = piece.reason;
      show(piece);
    }
  } catch (error) {
    if (signal.aborted) return { text, finish: undefined };
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('upstream_failed', `The reply broke off: ${messageOf(error)}.`, { cause: error });
  }
  throw new GatewayError('upstream_failed', 'The reply ended before it was complete.');
}

async function* pieces({ url, apiKey }: ChatTarget, body: object, signal: AbortSignal): AsyncGenerator<Piece> {
  const key = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const { request } = await import('undici');
  const reply = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...key },
    body: JSON.stringify({ ...body, stream: true }),
    signal,
    // A model may take minutes to load; the gateway's own limits hold.
    headersTimeout: 0,
    bodyTimeout: 0,
  }).catch((error: unknown) => {
    throw new GatewayError('not_running', `No gateway answers on ${url}: ${messageOf(error)}.`, { cause: error });
  });
  if (reply.statusCode !== 200) {
    const said = await reply.body.text();
    throw readFailure(said) ?? new GatewayError('upstream_failed', `The gateway answered ${reply.statusCode}: ${said.slice(0, 500)}`);
  }
  const events = new EventReader();
  const decoder = new TextDecoder();
  for await (const bytes of reply.body) {
    for (const data of events.read(decoder.decode(bytes as Uint8Array, { stream: true }))) yield* readPieces(data);
  }
}
