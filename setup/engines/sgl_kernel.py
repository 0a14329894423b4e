"""
Stands in for SGLang's kernels on a machine without a GPU, for which no registry has them. SGLang imports them even where it computes with
plain torch (`--attention-backend torch_native`), which is all that it does here: a kernel that is called after all raises.
"""

import torch

__version__ = "0.0.0"


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def kernel(*_args, **_options):
        raise NotImplementedError(f"sgl_kernel.{name} needs a GPU")

    return kernel


def _pageable(make):
    def wrapped(*args, **options):
        options.pop("pin_memory", None)
        return make(*args, **options)

    return wrapped


# SGLang's adapters ask for pinned memory, which torch has only beside a GPU driver.
if not torch.cuda.is_available():
    for _name in ("arange", "empty", "empty_like", "full", "ones", "tensor", "zeros", "zeros_like"):
        setattr(torch, _name, _pageable(getattr(torch, _name)))
    torch.Tensor.pin_memory = lambda tensor, *_args, **_options: tensor
