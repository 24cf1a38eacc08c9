"""The losses of training steps on their way from the device, which computes the next step meanwhile."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepLosses:
    """The losses of one step."""

    step: int  # from 1
    images: int  # seen by then
    values: dict[str, float]
    stops: bool  # a process was asked to stop


@dataclass(frozen=True, eq=False)
class _Copy:
    """Values that a GPU sends; they are there when `sent` has happened."""

    step: int
    images: int
    names: tuple[str, ...]
    values: Tensor  # of the names, and above 0 if a process was asked to stop
    sent: torch.cuda.Event | None

    def read(self) -> StepLosses:
        """Wait for them. FloatingPointError if the total is not finite."""
        if self.sent is not None:
            self.sent.synchronize()
        *values, stops = self.values.tolist()
        losses = dict(zip(self.names, values, strict=True))
        if not math.isfinite(losses["total"]):
            raise FloatingPointError(
                f"The loss is {losses['total']} at step {self.step}, expected a finite number; lower the learning rate."
            )
        return StepLosses(self.step, self.images, losses, stops > 0)


class WaitingLosses:
    """The losses that were not read yet, the oldest first."""

    def __init__(self) -> None:
        self._copies: deque[_Copy] = deque()

    def add(self, step: int, images: int, names: Sequence[str], values: Tensor) -> None:
        """Send the values of a step to the CPU, one for each name and a flag to stop; nothing waits for them here."""
        sent = None
        if values.device.type == "cuda":
            values = values.to("cpu", non_blocking=True)
            sent = torch.cuda.Event()
            sent.record()
        self._copies.append(_Copy(step, images, tuple(names), values, sent))

    def read(self, keep: int = 0) -> list[StepLosses]:
        """Read all but the `keep` newest. FloatingPointError if one is not finite."""
        return [self._copies.popleft().read() for _ in range(len(self._copies) - keep)]
