"""A bias of attention towards the regions: "forward" guidance, which costs no gradient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from guidance.regions import Region, map_shape

ALIGNED = 16  # of half precision, 32 bytes


class RegionBias:
    """`strength` inside and minus `strength` outside a region, on the logits of the region's tokens.

    Made once per size of the maps. regions: those of each row. prompt: the embeddings of the rows, whose precision and
    device it has.
    """

    def __init__(
        self,
        regions: Sequence[Sequence[Region]],
        prompt: Float[Tensor, "batch tokens width"],
        strength: float,
        aspect: float,
    ) -> None:
        self.regions, self.prompt, self.strength, self.aspect = regions, prompt, strength, aspect
        self._both_halves: bool | None = None  # None: off
        self._made: dict[tuple[int, bool], Tensor] = {}

    @contextmanager
    def on(self, on: bool, both_halves: bool, pixels: Sequence[int] = ()) -> Iterator[None]:
        """Context manager: bias attention inside the block.

        both_halves: the batch holds the unconditional half too, which comes first and is not biased. pixels: sizes of
        maps whose bias is made here, so that a compiled forward pass has no part in it.
        """
        self._both_halves = both_halves if on else None
        for size in pixels:
            self(size)
        try:
            yield
        finally:
            self._both_halves = None

    def __call__(self, pixels: int) -> Float[Tensor, "batch {pixels} tokens"] | None:
        if self._both_halves is None:
            return None
        key = pixels, self._both_halves
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, pixels: int, both_halves: bool) -> Float[Tensor, "batch {pixels} tokens"]:
        """Rows of memory are a multiple of `ALIGNED` tokens long, or fused attention would copy them at each call."""
        h, w = map_shape(pixels, self.aspect)
        batch, tokens = self.prompt.shape[:2]
        bias = torch.zeros(batch, pixels, -(-tokens // ALIGNED) * ALIGNED)
        for row, regions in enumerate(self.regions):
            for region in regions:
                sign = 2 * region.cover(h, w).flatten() - 1
                for at in region.positions:
                    bias[row, :, at] = self.strength * sign
        bias = torch.cat([torch.zeros_like(bias), bias]) if both_halves else bias
        return bias.to(self.prompt)[..., :tokens]
