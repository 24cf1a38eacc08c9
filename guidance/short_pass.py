"""A forward pass of a UNet that ends soon after a cross-attention layer: what comes later is taken out for a while.

Nothing is raised to end it early, so that `torch.compile` holds one graph for each length.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from torch import nn

from guidance.interfaces import UNet2DConditionModel

KINDS = ("down_blocks", "mid_block", "up_blocks")
RESIZERS = ("downsamplers", "upsamplers")  # what a block does after its last layer


@contextmanager
def end_after(unet: UNet2DConditionModel, layer: str) -> Iterator[None]:
    """Context manager: a forward pass runs to the end of the transformer block with this layer, and returns no noise.

    layer: a name of `attention.cross_attention_layers`. All parts are put back on exit.
    """
    kept: list[tuple[nn.Module, str, nn.Module | None]] = []

    def put(owner: nn.Module, name: str, part: nn.Module | None) -> None:
        kept.append((owner, name, owner._modules[name]))
        owner._modules[name] = part

    try:
        _cut(unet, layer.split("."), put)  # type: ignore[arg-type]
        yield
    finally:
        for owner, name, part in reversed(kept):
            owner._modules[name] = part


def _cut(unet: nn.Module, path: list[str], put: Callable[[nn.Module, str, nn.Module | None], None]) -> None:
    """Leave of each list on the path what stands up to the path, and nothing of what follows the block."""
    for kind in KINDS[KINDS.index(path[0]) + 1 :]:
        put(unet, kind, None if kind == "mid_block" else nn.ModuleList())
    put(unet, "conv_norm_out", None)
    put(unet, "conv_out", nn.Identity())
    owner: nn.Module = unet
    for name, following in pairwise(path):
        part = owner.get_submodule(name)
        if isinstance(part, nn.ModuleList) and following.isdigit():
            put(owner, name, part[: int(following) + 1])
        owner = part
        for resizer in RESIZERS:
            if owner._modules.get(resizer) is not None:
                put(owner, resizer, None)
