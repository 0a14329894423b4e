import { cause } from './log-pattern.ts';
import type { LogPattern } from './log-pattern.ts';

/** The model does not fit its GPUs. `remedy` names the engine's own options. */
export const outOfMemory = (remedy: string): LogPattern =>
  cause(/OutOfMemoryError: (?:CUDA|HIP) out of memory|CUDA error: out of memory/u, 'GPU out of memory', remedy, false);

/** What huggingface_hub and transformers say when they cannot fetch a model. */
const hubCauses: readonly LogPattern[] = [
  cause(
    /GatedRepoError|Cannot access gated repo|Access to model .+ is restricted|40[13] Client Error/u,
    'the model hub refused access to the model',
    'Accept the licence on the model page, and give HF_TOKEN in runtime_env.env_vars.',
    true,
  ),
  cause(
    /Temporary failure in name resolution|Max retries exceeded with url|ConnectionError: |httpx\.Connect(?:Error|Timeout)|We couldn't connect to/u,
    'no connection to the model hub',
    'Check the network and HTTPS_PROXY, or give model_source a local directory.',
    false,
  ),
  cause(
    /outgoing traffic has been disabled/u,
    'the model is not in the local cache and HF_HUB_OFFLINE forbids fetching it',
    'Fetch the model first, unset HF_HUB_OFFLINE, or give model_source a local directory.',
    true,
  ),
  cause(
    /Repo id must be in the form .*?: '([^']*)'/u,
    "there is no model directory '$1'",
    'Check model_source: a local directory, or a name (owner/model) that the model hub knows.',
    true,
  ),
  cause(
    /RepositoryNotFoundError|404 Client Error|is not a local folder and is not a valid model identifier|RevisionNotFoundError/u,
    'the model was not found on the model hub',
    'Check model_source and revision; a private model needs HF_TOKEN in runtime_env.env_vars.',
    true,
  ),
];

const sharedMemory = 'Give the container more shared memory (--shm-size), and check the GPU driver.';
const visibleGpus = 'Check gateway.gpus, CUDA_VISIBLE_DEVICES and the driver (nvidia-smi), or install a build for this machine.';

/**
 * Causes that engines on PyTorch and the Hugging Face libraries share. Lines without a fixture come from these libraries' own messages.
 */
export const torchCauses: readonly LogPattern[] = [
  cause(/\[?Errno 98\]?|address already in use/iu, 'port in use', 'Another process took the port; the next start picks another.', false),
  cause(/No space left on device/u, 'disk full', 'Free space where models and caches are stored (HF_HOME).', false),
  cause(
    /SafetensorError|HeaderTooLarge|InvalidHeader/u,
    'a file of the model is damaged or incomplete',
    'Fetch the model again; its files must be complete.',
    true,
  ),
  cause(
    /LoRA rank (\d+) is greater than/u,
    'LoRA adapter unusable: its rank is $1',
    'Set max_lora_rank in engine_kwargs to the largest rank of the adapters.',
    true,
  ),
  cause(
    /out of bounds for 0 devices|No CUDA GPUs are available|no CUDA-capable device|Failed to infer device type|No accelerator \(CUDA/u,
    'no GPU is visible to the engine',
    visibleGpus,
    true,
  ),
  cause(/(invalid device ordinal|NVMLError_InvalidArgument)/u, 'a GPU index does not exist ($1)', visibleGpus, true),
  cause(/CUDA driver version is insufficient/u, 'the GPU driver is too old', 'Update the driver, or install an engine built for it.', true),
  cause(/NCCL error|ncclUnhandledCudaError|ncclSystemError/u, 'the GPUs cannot talk to each other (NCCL)', sharedMemory, false),
  cause(/Bus error/u, 'shared memory too small', sharedMemory, false),
  cause(
    /ModuleNotFoundError: No module named '([^']+)'/u,
    'the Python module $1 is missing',
    "Install it into the engine's environment, or choose an option that does without it.",
    true,
  ),
  cause(
    /The checkpoint you are trying to load has model type `?(\w+)/u,
    'model type not supported: $1',
    'Use a newer engine, or another model.',
    true,
  ),
  ...hubCauses,
];
