"""Long work in a thread of its own: its steps with previews as they come, and an end when it is stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from time import perf_counter
from typing import Any

import torch

from guidance.backbones import Backbone

SIDE = 32  # of the latents that are decoded for a preview, at most
SHARE = 0.25  # of the time, at most, goes to previews


class Stopped(Exception):
    """A person stopped it."""


@dataclass(frozen=True, eq=False)
class Step:
    """One step is done."""

    done: int
    steps: int
    left: float  # seconds, about
    preview: Any = None  # a PIL image, of some steps


def preview(pipe: Any, latents: torch.Tensor) -> Any:
    """A small picture of latents (pictures, channels, h, w) that are still noisy, the first of them.

    Averaged to at most `SIDE`, so that it costs little with large models too, and no wilder than decoders know.
    """
    small = latents[:1].detach()
    factor = -(-max(small.shape[2:]) // SIDE)
    small = torch.nn.functional.avg_pool2d(small, factor, ceil_mode=True) if factor > 1 else small
    return Backbone.of(pipe).decode(small / small.std().clamp(min=1.0))[0]


class Watch:
    """Called from within the work; raises `Stopped` there when it should end."""

    def __init__(self, stop: Event, tell: Callable[[Step], Any], pipe: Any = None):
        self.stop, self.tell, self.pipe = stop, tell, pipe
        self.start = self.last = perf_counter()
        self.cost, self.shown = 0.0, None

    def step(self, done: int, steps: int) -> None:
        """Of what shows no latents."""
        self._tell(done, steps, None)

    def latents(self, steps: int) -> Callable[[int, Any], None]:
        """For `stereo.draw`."""

        def told(done: int, latents: Any) -> None:
            now = perf_counter()
            due = done < steps and (now - self.last) * SHARE >= self.cost
            seen = preview(self.pipe, latents) if due else None
            if due:
                self.last = perf_counter()
                self.cost = self.last - now
            self._tell(done, steps, seen)

        return told

    def _tell(self, done: int, steps: int, seen: Any) -> None:
        if self.stop.is_set():
            raise Stopped
        spent = perf_counter() - self.start
        self.tell(Step(done, steps, spent / max(done, 1) * (steps - done), seen))


def watched(work: Callable[[Watch], Any], stop: Event, pipe: Any = None) -> Iterator[Any]:
    """Steps of `work(watch)`, then what it returns; raises what it raises. Who leaves early stops it."""
    said: Queue[tuple[str, Any]] = Queue()

    def run() -> None:
        try:
            said.put(("result", work(Watch(stop, lambda step: said.put(("step", step)), pipe))))
        except BaseException as error:  # raised again below, in the thread that asked
            said.put(("error", error))

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            kind, what = said.get()
            if kind == "error":
                raise what
            if kind == "step":
                yield _latest(said, what)
                continue
            yield what
            return
    finally:
        if thread.is_alive():
            stop.set()
            thread.join()


def _latest(said: Queue, step: Step) -> Step:
    """The newest that waits already, with the newest preview: a page that lags skips steps."""
    while said.queue and said.queue[0][0] == "step":
        try:
            newer = said.get_nowait()[1]
        except Empty:
            break
        step = Step(newer.done, newer.steps, newer.left, newer.preview or step.preview)
    return step
