import type { GpuDevice, GpuList, GpuProbe, LostGpu } from './devices.ts';
import type { RunTool } from './tool.ts';

const mebibyte = 1_048_576;
const gibibyte = 1_073_741_824;

/** Names as `nvidia-smi --help-query-gpu` gives them. */
const fields = 'index,uuid,pci.bus_id,name,memory.total,memory.used,mig.mode.current';

/** Said on a line of its own, or in place of a value, of a card that fell off the bus (Xid 79) or waits for a reset. */
const lostWords = /GPU is lost|GPU has fallen off the bus|GPU requires reset|Unknown Error/i;

function mebibytes(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) * mebibyte : undefined;
}

function lostKey(line: string): string | undefined {
  // `GPU0000:3B:00.0` in sentences, `00000000:3B:00.0` in columns: the domain may have four digits or eight.
  return /GPU-[0-9a-f-]{36}/i.exec(line)?.[0] ?? busIdOf(line);
}

/** The PCI address in `text`, with a domain of eight digits, lower case. */
export function busIdOf(text: string): string | undefined {
  const [, domain, rest] = /([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])/i.exec(text) ?? [];
  return domain === undefined || rest === undefined ? undefined : `${domain.padStart(8, '0')}:${rest}`.toLowerCase();
}

interface Row {
  readonly device: GpuDevice;
  readonly mig: boolean;
}

function readRow(line: string): Row | undefined {
  const [index, id, bus, name, total, used, mig] = line.split(',').map((cell) => cell.trim());
  if (index === undefined || !/^\d+$/.test(index) || id === undefined || bus === undefined || name === undefined) return undefined;
  const busId = busIdOf(bus);
  if (!id.startsWith('GPU-') || busId === undefined) return undefined;
  // Cards that share the host's memory (GB10) have no size of their own: `[N/A]`.
  const memoryBytes = mebibytes(total) ?? 0;
  const device: GpuDevice = {
    id,
    vendor: 'nvidia',
    index: Number(index),
    busId,
    name,
    memoryBytes,
    usedBytes: mebibytes(used),
    partition: false,
  };
  return { device, mig: mig === 'Enabled' };
}

/** Output of `nvidia-smi --query-gpu=…`, rows and complaints mixed; `mig`: whether any card is split. */
export function readQuery(text: string): { readonly rows: readonly Row[]; readonly lost: readonly LostGpu[] } {
  const rows: Row[] = [];
  const lost: LostGpu[] = [];
  for (const line of text.split('\n')) {
    const key = lostWords.test(line) ? lostKey(line) : undefined;
    if (key !== undefined) lost.push({ key, reason: lostWords.exec(line)?.[0] ?? 'GPU is lost' });
    const row = key === undefined ? readRow(line) : undefined;
    if (row !== undefined) rows.push(row);
  }
  return { rows, lost };
}

/** The MIG instances in the output of `nvidia-smi -L`, on the cards they are part of. */
export function readPartitions(text: string, cards: readonly GpuDevice[]): readonly GpuDevice[] {
  const found: GpuDevice[] = [];
  let card: GpuDevice | undefined;
  for (const line of text.split('\n')) {
    const cardId = /^GPU \d+:.*\(UUID: (GPU-[^)]+)\)/.exec(line)?.[1];
    if (cardId !== undefined) card = cards.find(({ id }) => id === cardId);
    const [, profile, id] = /^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)/.exec(line) ?? [];
    if (card === undefined || profile === undefined || id === undefined) continue;
    const size = /\.(\d+)gb/.exec(profile)?.[1];
    const memoryBytes = size === undefined ? 0 : Number(size) * gibibyte;
    found.push({ ...card, id, name: `${card.name} MIG ${profile}`, memoryBytes, usedBytes: undefined, partition: true });
  }
  return found;
}

/** Reads NVIDIA's cards through `nvidia-smi`. */
export function nvidiaProbe(run: RunTool): GpuProbe {
  return {
    async list(signal): Promise<GpuList> {
      const asked = await run('nvidia-smi', [`--query-gpu=${fields}`, '--format=csv,noheader,nounits'], signal);
      if (asked === undefined) return { devices: [], lost: [] };
      const { rows, lost } = readQuery(asked.output);
      // A machine whose driver is loaded but that has no card says so; that is an answer.
      if (rows.length === 0 && lost.length === 0 && asked.exitCode !== 0 && !/No devices were found/i.test(asked.output))
        throw new Error(`nvidia-smi ended with exit code ${asked.exitCode}: ${asked.output.trim().slice(0, 500)}`);
      const whole = rows.filter(({ mig }) => !mig).map(({ device }) => device);
      const split = rows.filter(({ mig }) => mig).map(({ device }) => device);
      if (split.length === 0) return { devices: whole, lost };
      const listed = await run('nvidia-smi', ['-L'], signal);
      return { devices: [...whole, ...readPartitions(listed?.output ?? '', split)], lost };
    },
  };
}
