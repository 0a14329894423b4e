/**
 * GPUs by the names that Ray gives them (`accelerator_type`), with their memory in GiB as the driver reports it, rounded down.
 * Used to suggest settings, never to refuse one.
 */
export const acceleratorMemoryGib: ReadonlyMap<string, number> = new Map([
  ['T4', 15],
  ['V100', 16],
  ['A10G', 22],
  ['L4', 22],
  ['A100-40G', 39],
  ['L40S', 44],
  ['A100-80G', 79],
  ['H100', 79],
  ['H200', 139],
  ['B200', 178],
]);

/** Variables by which a process is told its GPUs: only the gateway sets them for an engine. */
export const gpuMaskNames = ['CUDA_VISIBLE_DEVICES', 'CUDA_DEVICE_ORDER', 'HIP_VISIBLE_DEVICES', 'ROCR_VISIBLE_DEVICES'] as const;

/** How the driver's product names tell them; the first that matches holds. */
const products: readonly (readonly [RegExp, string | ((memoryGib: number) => string)])[] = [
  [/\bB200\b/, 'B200'],
  [/\bH200\b/, 'H200'],
  [/\bH100\b/, 'H100'],
  [/\bA100\b/, (memoryGib) => (memoryGib > 60 ? 'A100-80G' : 'A100-40G')],
  [/\bL40S\b/, 'L40S'],
  [/\bL4\b/, 'L4'],
  [/\bA10G?\b/, 'A10G'],
  [/\bV100\b/, 'V100'],
  [/\bT4\b/, 'T4'],
];

/** Ray's name for a product name of the driver (`NVIDIA H100 80GB HBM3`); undefined for cards that Ray has no name for. */
export function acceleratorOf(product: string, memoryGib: number): string | undefined {
  const name = products.find(([pattern]) => pattern.test(product))?.[1];
  return typeof name === 'function' ? name(memoryGib) : name;
}
