import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pino from 'pino';
import { z } from 'zod';
import type { KeptTargets } from '../autoscale/kept-targets.ts';
import { replaceFile } from '../supervisor/replace-file.ts';

const schema = z.record(z.string(), z.int().min(0));

/** In a file of the state directory. What cannot be read or written costs a start with the initial numbers, not the gateway. */
export function targetsIn(stateDir: string, log: pino.Logger): KeptTargets {
  const file = join(stateDir, 'replicas.json');
  return {
    read: () => {
      try {
        return new Map(Object.entries(schema.parse(JSON.parse(readFileSync(file, 'utf8')))));
      } catch (thrown) {
        const isNew = (thrown as NodeJS.ErrnoException).code === 'ENOENT';
        if (!isNew)
          log.warn({ err: thrown, file }, 'the numbers of replicas of the last run cannot be read; models begin with their initial ones');
        return new Map();
      }
    },
    write: (targets) => {
      try {
        replaceFile(file, JSON.stringify(Object.fromEntries(targets)));
      } catch (thrown) {
        log.warn({ err: thrown, file }, 'the numbers of replicas cannot be kept for the next run');
      }
    },
  };
}
