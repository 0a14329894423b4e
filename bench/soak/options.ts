import { parseArgs } from 'node:util';

export interface Options {
  readonly minutes: number;
  readonly seed: number;
}

export const usage = `npm run soak -- [options]
  --minutes N  how long (10)
  --seed N     which run: requests, their clients and the kills depend on it alone (1)`;

/** @throws TypeError with a sentence for the user. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
  });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (!(minutes > 0 && minutes <= 24 * 60))
    throw new TypeError(`--minutes: ${JSON.stringify(values.minutes)} is not a number from 0 to 1440`);
  if (!Number.isInteger(seed) || seed < 0) throw new TypeError(`--seed: ${JSON.stringify(values.seed)} is not a whole number`);
  return { minutes, seed };
}
