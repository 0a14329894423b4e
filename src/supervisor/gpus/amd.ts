import { z } from 'zod';
import type { GpuDevice, GpuList, GpuProbe } from './devices.ts';
import { busIdOf } from './nvidia.ts';
import type { RunTool } from './tool.ts';

/** `rocm-smi --json`: one object a card, every value a string; names of keys have changed over versions. */
const cards = z.record(z.string(), z.record(z.string(), z.union([z.string(), z.number()])));

function read(card: Readonly<Record<string, string | number>>, ...names: readonly string[]): string | undefined {
  const found = Object.entries(card).find(([key]) => names.includes(key.toLowerCase()));
  return found === undefined ? undefined : String(found[1]);
}

function bytes(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** @throws Error when `text` is not what rocm-smi prints. */
export function readRocmSmi(text: string): readonly GpuDevice[] {
  // Warnings may stand before the object.
  const parsed = cards.parse(JSON.parse(text.slice(Math.max(0, text.indexOf('{')))));
  return Object.entries(parsed).flatMap(([key, card]) => {
    const index = /^card(\d+)$/.exec(key)?.[1];
    if (index === undefined) return [];
    const bus = read(card, 'pci bus');
    return [
      {
        id: read(card, 'unique id') ?? bus ?? key,
        vendor: 'amd' as const,
        index: Number(index),
        busId: busIdOf(bus ?? '') ?? key,
        name: read(card, 'card series', 'card model', 'device name') ?? 'AMD GPU',
        memoryBytes: bytes(read(card, 'vram total memory (b)')) ?? 0,
        usedBytes: bytes(read(card, 'vram total used memory (b)')),
        partition: false,
      },
    ];
  });
}

/** Reads AMD's cards through `rocm-smi`. */
export function amdProbe(run: RunTool): GpuProbe {
  return {
    async list(signal): Promise<GpuList> {
      const answer = await run('rocm-smi', ['--showproductname', '--showuniqueid', '--showbus', '--showmeminfo', 'vram', '--json'], signal);
      if (answer === undefined) return { devices: [], lost: [] };
      if (answer.exitCode !== 0) throw new Error(`rocm-smi ended with exit code ${answer.exitCode}: ${answer.output.trim().slice(0, 500)}`);
      return { devices: readRocmSmi(answer.output), lost: [] };
    },
  };
}
