import { parseArgs } from 'node:util';

export interface Options {
  readonly minutes: number;
  readonly seed: number;
  /** Requests of the keep-alive race, which is run instead of the soak; undefined: the soak. */
  readonly keepAlive: number | undefined;
}

export const usage = `npm run soak -- [options]
  --minutes N  how long (10)
  --seed N     which run: requests, their clients and the kills depend on it alone (1)
  --keep-alive N  instead: N requests about when the engine closes the connections that it gets them on`;

/** @throws TypeError with a sentence for the user. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' }, 'keep-alive': { type: 'string' } },
  });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (!(minutes > 0 && minutes <= 24 * 60))
    throw new TypeError(`--minutes: ${JSON.stringify(values.minutes)} is not a number from 0 to 1440`);
  if (!Number.isInteger(seed) || seed < 0) throw new TypeError(`--seed: ${JSON.stringify(values.seed)} is not a whole number`);
  const keepAlive = values['keep-alive'] === undefined ? undefined : Number(values['keep-alive']);
  if (keepAlive !== undefined && !(Number.isInteger(keepAlive) && keepAlive > 0))
    throw new TypeError(`--keep-alive: ${JSON.stringify(values['keep-alive'])} is not a number of requests`);
  return { minutes, seed, keepAlive };
}
