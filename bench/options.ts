import { parseArgs } from 'node:util';
import { systemNames, type SystemName } from './systems/system.ts';

export const groupNames = [
  'memory',
  '1k',
  '32k',
  'stream',
  'latency',
  'many',
  'routing',
  'engines',
  'supervisor',
  'keys',
  'input',
  'config',
  'simulate',
  'weights',
  'adapters',
] as const;
export type GroupName = (typeof groupNames)[number];

export interface Options {
  readonly groups: ReadonlySet<GroupName>;
  readonly systems: ReadonlySet<SystemName>;
  readonly quick: boolean;
  /** File for the numbers of every round. */
  readonly jsonFile: string | undefined;
  /** Folder for CPU profiles; measures nothing then. */
  readonly profileDir: string | undefined;
}

export const usage = `npm run bench -- [options]
  --quick           fewer and shorter rounds: under 40 s, and rougher
  --only LIST       ${groupNames.join(',')}
  --systems LIST    ${systemNames.join(',')}
  --json FILE       writes every round's numbers
  --profile DIR     measures nothing: writes CPU profiles of the bare relay and the gateway under each load, and prints where the time goes`;

/** @throws TypeError with a sentence for the user. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      systems: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  return {
    groups: chosen('--only', values.only, groupNames),
    systems: chosen('--systems', values.systems, systemNames),
    quick: values.quick,
    jsonFile: values.json,
    profileDir: values.profile,
  };
}

function chosen<Name extends string>(flag: string, list: string | undefined, all: readonly Name[]): ReadonlySet<Name> {
  if (list === undefined) return new Set(all);
  const names = list.split(',').map((name) => {
    const known = all.find((each) => each === name.trim());
    if (known === undefined) throw new TypeError(`${flag}: ${JSON.stringify(name)} is not one of ${all.join(', ')}`);
    return known;
  });
  return new Set(names);
}
