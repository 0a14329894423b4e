import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const pageSize = 1000;
const nameAt = (index: number): string => `adapter-${String(index).padStart(6, '0')}`;

/** A bucket with so many folders below `loras/`, as far as S3's listing of them goes: in pages of 1000. */
export async function bucketServer(folders: number): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '/', 'http://bucket').searchParams;
    const from = Number(query.get('continuation-token') ?? 0);
    const to = Math.min(folders, from + pageSize);
    const names = Array.from(
      { length: to - from },
      (_, at) => `<CommonPrefixes><Prefix>loras/${nameAt(from + at)}/</Prefix></CommonPrefixes>`,
    );
    const next = to < folders ? `<NextContinuationToken>${to}</NextContinuationToken>` : '';
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(
      `<?xml version="1.0"?><ListBucketResult><IsTruncated>${to < folders}</IsTruncated>${next}${names.join('')}</ListBucketResult>`,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}
