"""How often a picture makes a GPU start a kernel, counted on torch's "meta" device: no weights, no data, no GPU.

At one picture at a time a GPU waits for the next operation more than it computes, so the number of operations decides.
Counted is each operation of torch that is dispatched on the device and is not a view; fused attention is one. A kernel
is not an operation (group norms take two or three, a convolution may take more), so compare ratios. Transfers between
the device and the CPU are counted apart; whatever reads a value of the device cannot run here at all.
"""

from collections import Counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
IDLE = ("_unsafe_view", "empty", "new_empty", "empty_like", "lift_fresh", "device", "detach", "_reshape_alias")


class FusedAttention(TorchFunctionMode):
    """On "meta", attention as the fused kernel of GPUs that takes a mask: one operation, and no map is kept."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        inputs = dict(zip(ARGUMENTS, args, strict=False)) | (kwargs or {})
        query, mask = inputs["query"], inputs.get("attn_mask")
        if query.device.type != "meta":
            return func(**inputs)
        if mask is not None:
            mask = mask.expand(*query.shape[:-1], inputs["key"].shape[-2])
        return torch.ops.aten._scaled_dot_product_efficient_attention(
            query, inputs["key"], inputs["value"], mask, query.requires_grad
        )[0]


class CountLaunches(TorchDispatchMode):
    """Counts the operations on a device, and the transfers to and from it, while active."""

    def __init__(self, device: str = "meta") -> None:
        super().__init__()
        self.device = device
        self.launches: Counter[str] = Counter()  # by operation
        self.transfers: Counter[str] = Counter()  # "to" and "from" the device
        self.flops = 0  # of matrix products, convolutions and attention

    @property
    def total(self) -> int:
        return self.launches.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        results = func(*args, **kwargs)
        before, after = self._is_there(args, kwargs), self._is_there(results)
        name = func.overloadpacket.__name__
        if (after or before) and func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **kwargs, out_val=results)
        if before != after and name in ("_to_copy", "copy_"):
            self.transfers["to" if after else "from"] += 1
        elif (before or after) and not func.is_view and name not in IDLE:
            self.launches[name] += 1
        return results

    def _is_there(self, *values: Any) -> bool:
        return any(isinstance(each, Tensor) and each.device.type == self.device for each in tree_leaves(values))
