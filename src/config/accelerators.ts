import { didYouMean } from '../core/did-you-mean.ts';

/** The names Ray knows (`ray.util.accelerators`, Ray 2.5x). */
const names = [
  'V100',
  'P100',
  'T4',
  'P4',
  'K80',
  'A10G',
  'L4',
  'L40S',
  'A100',
  'A100-40G',
  'A100-80G',
  'H100',
  'H200',
  'H20',
  'B200',
  'B300',
  'Intel-GPU-Max-1550',
  'Intel-GPU-Max-1100',
  'Intel-GAUDI',
  'AMD-Instinct-MI100',
  'AMD-Instinct-MI210',
  'AMD-Instinct-MI250X',
  'AMD-Instinct-MI250X-MI250',
  'AMD-Instinct-MI300X-OAM',
  'AMD-Instinct-MI300A',
  'AMD-Instinct-MI325X-OAM',
  'AMD-Instinct-MI350X-OAM',
  'AMD-Instinct-MI355X-OAM',
  'AMD-Radeon-R9-200-HD-7900',
  'AMD-Radeon-HD-7900',
  'aws-neuron-core',
  'Ascend910B',
  'Ascend910B4',
  'TPU-V2',
  'TPU-V3',
  'TPU-V4',
  'TPU-V5P',
  'TPU-V5LITEPOD',
  'TPU-V6E',
  'TPU-V7X',
] as const;

/** Ray's own spelling of an accelerator's name; `A10` is its other name for the `A10G`. Undefined: there is none of that name. */
export function acceleratorName(written: string): string | undefined {
  const lower = written.toLowerCase();
  return lower === 'a10' ? 'A10G' : names.find((name) => name.toLowerCase() === lower);
}

/** What to say of a name that Ray does not have. */
export function unknownAccelerator(written: string): string {
  return `there is no accelerator ${JSON.stringify(written)}; expected one of Ray's names, such as A10G, L4, L40S, A100, H100, H200${didYouMean(written, names)}`;
}
