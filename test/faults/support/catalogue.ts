/** One thing that breaks, or that somebody does, and what must be seen then. */
export interface Fault {
  readonly happens: string;
  readonly holds: string;
  /** Why no test of this project brings it about; undefined where one does. */
  readonly untested?: string;
}

const engineProcesses = {
  1: {
    happens: 'kill -9 of an engine while it streams',
    holds: 'the stream ends with an `upstream_failed` event and no `[DONE]`; never sent again; the replica is replaced',
  },
  2: {
    happens: 'kill -9 of an engine before its first byte',
    holds: 'another replica answers; without one, and none in time, a 503 with `Retry-After`',
  },
  3: {
    happens: 'kill -9 of an idle engine',
    holds: 'out of rotation by its exit, long before a probe is due; no request fails while another replica is there; restarted',
  },
  10: { happens: 'an engine exits with 0 while it serves', holds: 'as any other exit: named, and the replica is restarted' },
} as const satisfies Record<number, Fault>;

/** Every row has one number for good. */
export type RowNumber = keyof typeof engineProcesses;

export interface Section {
  readonly title: string;
  readonly rows: readonly { readonly number: RowNumber; readonly fault: Fault }[];
}

const section = (title: string, rows: Readonly<Partial<Record<RowNumber, Fault>>>): Section => ({
  title,
  rows: Object.entries(rows).map(([number, fault]) => ({ number: Number(number) as RowNumber, fault })),
});

export const sections: readonly Section[] = [section('Engine processes and the gateway’s own', engineProcesses)];

/** @throws Error for a number that no row has */
export function faultOf(number: RowNumber): Fault {
  const found = sections.flatMap(({ rows }) => rows).find((row) => row.number === number);
  if (found === undefined) throw new Error(`no row ${number} in the catalogue`);
  return found.fault;
}
