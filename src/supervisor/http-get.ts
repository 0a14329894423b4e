import { Agent, get as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as TlsAgent, get as httpsRequest } from 'node:https';
import { getCACertificates } from 'node:tls';

export interface HttpReply {
  readonly status: number;
  /** At most 1 MB of it. */
  readonly body: string;
}

/**
 * One GET on a connection of its own. Rejects when there is no answer, or with `signal.reason`.
 * @param apiKey empty: none is sent.
 * @param ca PEM, to verify https by besides the system's.
 */
export type HttpGet = (url: string, apiKey: string, signal: AbortSignal, ca?: string) => Promise<HttpReply>;

const bodyLimit = 1_000_000;
/** Never a kept connection: an answer must come from who listens now. */
const plain = new Agent({ keepAlive: false });
const tls = new TlsAgent({ keepAlive: false });

/**
 * By Node's own client: hundreds of replicas are asked for their health all day, each time on a connection of its own, which costs this
 * thread a third of what it does by undici, whose pools are made for connections that stay.
 */
export const getAlone: HttpGet = (url, apiKey, signal, ca) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const headers = apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
    const trust = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
    const request = url.startsWith('https:')
      ? httpsRequest(url, { agent: tls, headers, ...trust })
      : httpRequest(url, { agent: plain, headers });
    const onAbort = (): void => {
      reject(signal.reason as Error);
      request.destroy();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    // Always, also after the promise is settled: an error that nobody hears would end the gateway.
    request.on('error', reject);
    request.once('close', () => signal.removeEventListener('abort', onAbort));
    request.once('response', (response) => void readReply(response).then(resolve, reject));
  });

async function readReply(response: IncomingMessage): Promise<HttpReply> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimit) throw new Error(`the reply is larger than ${bodyLimit} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}
