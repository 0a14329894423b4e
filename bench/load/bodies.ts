/** `32k-one`: a single long message; `32k-many`: a conversation of 60 messages. */
export type BodyName = '1k' | '32k-one' | '32k-many';

/** The one model of the benchmark. */
export const model = 'bench';

const sizes: Readonly<Record<BodyName, { readonly bytes: number; readonly messages: number }>> = {
  '1k': { bytes: 1024, messages: 2 },
  '32k-one': { bytes: 32_768, messages: 1 },
  '32k-many': { bytes: 32_768, messages: 60 },
};

const words = 'The model reads a long text about trains, tracks and engines and answers in "two short" sentences without haste'.split(' ');

/** English-looking text with quotes and line breaks, which takes exactly `bytes` bytes as part of a JSON string. */
export function textOf(bytes: number): string {
  let text = '';
  let length = 0;
  for (let count = 1; ; count += 1) {
    const word = `${words[count % words.length] ?? ''}${count % 14 === 0 ? '\n' : ' '}`;
    const encoded = JSON.stringify(word).length - 2;
    if (length + encoded > bytes) return text + 'x'.repeat(bytes - length);
    text += word;
    length += encoded;
  }
}

function bodyWith(texts: readonly string[]): Buffer {
  const messages = texts.map((content, at) => ({ role: (texts.length - at) % 2 === 1 ? 'user' : 'assistant', content }));
  return Buffer.from(JSON.stringify({ model, messages, temperature: 0.7, max_tokens: 256 }));
}

/** Body of a chat request, exactly 1024 or 32768 bytes long, in the order in which OpenAI's clients write its fields. */
export function chatBody(name: BodyName): Buffer {
  const { bytes, messages } = sizes[name];
  const room = bytes - bodyWith(Array.from({ length: messages }, () => '')).length;
  const each = Math.floor(room / messages);
  return bodyWith(Array.from({ length: messages }, (_, at) => textOf(at === 0 ? room - each * (messages - 1) : each)));
}

/** What a streaming request asks of the benchmark's upstream. */
export interface StreamOrder {
  /** Chunks to send; then the stream ends. */
  readonly chunks: number;
  /** Milliseconds between two chunks; 0: one chunk, then silence until the client leaves. */
  readonly intervalMs: number;
}

/** A short chat request that carries its order in members that every gateway passes on, one as a seed. */
export function streamBody(order: StreamOrder): Buffer {
  const messages = [{ role: 'user', content: textOf(400) }];
  return Buffer.from(JSON.stringify({ model, messages, stream: true, max_tokens: order.chunks, seed: order.intervalMs }));
}

/** The order in the last bytes of a body, which a gateway may have written anew; undefined where no stream is asked for. */
export function readStreamOrder(tail: string): StreamOrder | undefined {
  if (!/"stream": ?true/.test(tail)) return undefined;
  const chunks = /"max_(?:completion_)?tokens": ?(\d+)/.exec(tail)?.[1];
  const intervalMs = /"seed": ?(\d+)/.exec(tail)?.[1];
  return { chunks: Number(chunks ?? 16), intervalMs: Number(intervalMs ?? 20) };
}
