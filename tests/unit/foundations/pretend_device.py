"""A second device where there is none: tensors that say they are elsewhere, computed on the CPU, and refuse to mix.

What a GPU would refuse (operands on two devices; an index may be on the CPU) is refused here, so code that forgets to
move a tensor fails on any machine. `torch.device("meta")` lends its name; nothing is computed by torch's own meta.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

ELSEWHERE = torch.device("meta")
_MAY_MIX = {"index.Tensor", "index_put_.default", "_index_put_impl_.default", "_unsafe_index.Tensor", "copy_.default"}
_MOVES = {"_to_copy.default", "to.device"}


class Distant(Tensor):
    """A tensor on the pretended device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Distant:
        own = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=ELSEWHERE
        )
        own.held = held
        return own

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class PretendDevice(TorchDispatchMode):
    """Inside it, what is made on the pretended device is made there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class LiteralsToo(TorchFunctionMode):
    """What the other mode does not hear of: `torch.tensor` copies below it, `tolist` refuses subclasses."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.tolist and isinstance(args[0], Distant):
            return args[0].held.tolist()
        device = kwargs.pop("device", None) if func is torch.tensor else None
        made = func(*args, **kwargs)
        return made if device is None else made.to(device)


@contextmanager
def pretending() -> Iterator[torch.device]:
    """Gives the pretended device, which is there until the block ends."""
    with LiteralsToo(), PretendDevice():
        yield ELSEWHERE


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
    distant = any(isinstance(tensor, Distant) for tensor in given)
    name = func.__name__
    stray = [t for t in given if not isinstance(t, Distant) and t.dim()]
    if distant and stray and name not in _MAY_MIX:
        raise RuntimeError(f"{name}: operands on two devices, {[tuple(t.shape) for t in given]}")
    wanted = kwargs.get("device")
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
        distant = torch.device(wanted) == ELSEWHERE
    plain_args, plain_kwargs = tree_map_only(Distant, lambda tensor: tensor.held, (args, kwargs))
    made = func(*plain_args, **plain_kwargs)
    if name.removesuffix(".default").endswith("_") and isinstance(args[0], Tensor):
        return args[0]
    return tree_map_only(Tensor, Distant, made) if distant else made
