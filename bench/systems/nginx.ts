import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, Launched, untilAnswering } from './process.ts';
import type { Surroundings, System } from './system.ts';

export interface NginxConfig {
  readonly port: number;
  readonly upstreamPort: number;
  readonly dir: string;
  /** Whether it runs as root: nginx then gives its worker to another user, who could not reach `dir`. */
  readonly root: boolean;
  readonly workers: number;
}

/** Workers that relay without buffering replies, with kept-alive connections on both sides and no logs. */
export function nginxConfig({ port, upstreamPort, dir, root, workers }: NginxConfig): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path "${dir}/${kind}";`);
  return [
    ...(root ? ['user root;'] : []),
    'daemon off;',
    `worker_processes ${workers};`,
    'worker_rlimit_nofile 16384;',
    `pid "${dir}/nginx.pid";`,
    'error_log /dev/null crit;',
    'events { worker_connections 8192; }',
    'http {',
    ...temporary,
    '  access_log off;',
    // Otherwise a 32 KB body goes through a file, and every thousandth request through a new connection.
    '  client_body_buffer_size 256k;',
    '  keepalive_requests 100000000;',
    '  tcp_nodelay on;',
    `  upstream engine { server 127.0.0.1:${upstreamPort}; keepalive 1024; keepalive_requests 100000000; }`,
    '  server {',
    `    listen 127.0.0.1:${port} backlog=4096;`,
    '    location / {',
    '      proxy_pass http://engine;',
    '      proxy_http_version 1.1;',
    '      proxy_set_header Connection "";',
    '      proxy_buffering off;',
    '      proxy_read_timeout 3600s;',
    '    }',
    '  }',
    '}',
    '',
  ].join('\n');
}

export async function startNginx(program: string, { upstream, dir, signal, workers }: Surroundings): Promise<System> {
  const port = await freePort();
  const file = join(dir, 'nginx.conf');
  await mkdir(dir, { recursive: true });
  await writeFile(file, nginxConfig({ port, upstreamPort: upstream.port, dir, root: process.getuid?.() === 0, workers }));
  // `nginx -v` prints to the error stream: "nginx version: nginx/1.22.1".
  const { stderr } = await promisify(execFile)(program, ['-v']);
  const launched = await Launched.start('nginx', [program, '-p', dir, '-c', file], { ipc: false });
  const stop = (): Promise<void> => launched.stop(5000);
  try {
    await untilAnswering(`http://127.0.0.1:${port}/health`, launched, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name: 'nginx', port, version: stderr.split('/').at(-1)?.trim() ?? 'unknown', launched, stop };
}
