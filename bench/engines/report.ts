import { engines } from '../../src/plugins/registry.ts';
import { alignColumns } from '../report/table.ts';
import { mendCost } from './mend-cost.ts';

const sizes = [1024, 32_768] as const;
const names = [
  ['its own name', 'org/model'],
  ['an alias', 'alias'],
] as const;

/** What each engine's dialect costs: computed in this process, without any system beside it. */
export function enginesReport(): readonly string[] {
  const rows = [...engines.values()].flatMap((plugin) =>
    names.map(([name, asked]) => {
      const [small, large] = sizes.map((bytes) => mendCost(plugin, asked, bytes));
      const shown = [small?.request, large?.request, small?.event, small?.whole].map((ns) => (ns ?? 0).toFixed(0));
      return [`${plugin.name}, ${name}`, ...shown];
    }),
  );
  return alignColumns([['ns', 'request of 1 KB', 'request of 32 KB', 'event of 200 B', 'reply of 1 KB'], ...rows]);
}
