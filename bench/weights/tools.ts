import { onPath } from '../../setup/kit/machine.ts';
import { s5cmd } from '../../setup/stores/s5cmd.ts';
import { programOf } from '../../setup/stores/store-server.ts';

/** A client that brings all below a prefix of a bucket into a folder. */
export interface Tool {
  readonly name: string;
  /** @param to an empty folder */
  readonly command: (prefix: string, to: string, endpoint: string) => readonly [string, ...string[]];
}

/** The gateway, and those of the tools that are there. @param entry the gateway's program */
export function toolsHere(env: NodeJS.ProcessEnv, entry: string): readonly Tool[] {
  const gateway: Tool = {
    name: 'gateway pull',
    command: (prefix, to) => ['env', `XDG_STATE_HOME=${to}`, process.execPath, entry, 'pull', `s3://bench/${prefix}`, '--quiet'],
  };
  const fast: Tool = {
    name: 's5cmd cp',
    command: (prefix, to, endpoint) => [
      programOf(s5cmd, env),
      '--log=error',
      `--endpoint-url=${endpoint}`,
      'cp',
      `s3://bench/${prefix}/*`,
      `${to}/`,
    ],
  };
  const aws = onPath('aws', env);
  const known: Tool = {
    name: 'aws s3 cp',
    command: (prefix, to, endpoint) => [
      aws ?? '',
      `--endpoint-url=${endpoint}`,
      's3',
      'cp',
      '--recursive',
      '--quiet',
      `s3://bench/${prefix}`,
      to,
    ],
  };
  return [gateway, fast, ...(aws === undefined ? [] : [known])];
}
