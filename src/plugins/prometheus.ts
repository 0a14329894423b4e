const sample = /^([a-zA-Z_:][\w:]*)(?:\{.*\})?\s+(\S+)/u;

/** Value of each series by exact name, summed over its label sets. Comments and what is not a number are left out. */
export function readSeries(page: string): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const line of page.split('\n')) {
    const [, name, text] = sample.exec(line) ?? [];
    const value = Number(text);
    if (name !== undefined && Number.isFinite(value)) sums.set(name, (sums.get(name) ?? 0) + value);
  }
  return sums;
}

/** The series that are there, added up; undefined where none is. */
export function sumOf(series: ReadonlyMap<string, number>, names: readonly string[]): number | undefined {
  const found = names.flatMap((name) => series.get(name) ?? []);
  return found.length === 0 ? undefined : found.reduce((sum, value) => sum + value, 0);
}
