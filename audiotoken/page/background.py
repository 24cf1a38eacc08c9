"""Run long work in a thread: yield its progress with previews, and end it when a person cancels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from time import perf_counter
from typing import Any

import torch
from PIL.Image import Image

from guidance.backbones import Backbone

PREVIEW_SIDE = 32  # maximum side of the latents that are decoded for a preview
PREVIEW_SHARE = 0.25  # maximum share of the time that goes to previews


class Cancelled(Exception):
    """A person cancelled the work."""


@dataclass(frozen=True, eq=False)
class Progress:
    """One step is done."""

    done: int
    steps: int
    seconds_left: float  # an estimate
    preview: Image | None = None  # of some steps


def decode_preview(pipe: Any, latents: torch.Tensor) -> Image:
    """A small picture of the first of noisy latents (pictures, channels, h, w).

    The latents are averaged to at most `PREVIEW_SIDE`, so that large models stay fast, and scaled to a standard
    deviation of at most 1, which decoders are trained for.
    """
    small = latents[:1].detach()
    factor = -(-max(small.shape[2:]) // PREVIEW_SIDE)
    small = torch.nn.functional.avg_pool2d(small, factor, ceil_mode=True) if factor > 1 else small
    return Backbone.from_pipe(pipe).decode(small / small.std().clamp(min=1.0))[0]


class Monitor:
    """Callbacks for the work, which report its progress; they raise `Cancelled` there once `stop` is set."""

    def __init__(self, stop: Event, report_progress: Callable[[Progress], Any], pipe: Any = None):
        self.stop, self.report_progress, self.pipe = stop, report_progress, pipe
        self.start = self.last = perf_counter()
        self.preview_seconds = 0.0

    def on_step(self, done: int, steps: int) -> None:
        """For work that shows no latents."""
        self._report(done, steps, None)

    def on_share(self, share: float) -> None:
        """For work that tells which share of it is done, 0 to 1; `done` is in percent."""
        self._report(round(100 * share), 100, None)

    def on_latents(self, steps: int) -> Callable[[int, torch.Tensor], None]:
        """The `on_latents` of `stereo.draw`."""

        def report_latents(done: int, latents: torch.Tensor) -> None:
            now = perf_counter()
            due = done < steps and (now - self.last) * PREVIEW_SHARE >= self.preview_seconds
            preview = decode_preview(self.pipe, latents) if due else None
            if due:
                self.last = perf_counter()
                self.preview_seconds = self.last - now
            self._report(done, steps, preview)

        return report_latents

    def _report(self, done: int, steps: int, preview: Image | None) -> None:
        if self.stop.is_set():
            raise Cancelled
        spent = perf_counter() - self.start
        self.report_progress(Progress(done, steps, spent / max(done, 1) * (steps - done), preview))


def run_in_background(work: Callable[[Monitor], Any], stop: Event, pipe: Any = None) -> Iterator[Any]:
    """Yield the `Progress` of `work(monitor)`, then what it returns; raise what it raises.

    Closing the iterator early sets `stop` and waits for the thread.
    """
    events: Queue[tuple[str, Any]] = Queue()

    def run() -> None:
        try:
            monitor = Monitor(stop, lambda progress: events.put(("progress", progress)), pipe)
            events.put(("result", work(monitor)))
        except BaseException as error:  # raised again below, in the caller's thread
            events.put(("error", error))

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = events.get()
            if kind == "error":
                raise value
            if kind == "progress":
                yield _skip_to_latest(events, value)
                continue
            yield value
            return
    finally:
        if thread.is_alive():
            stop.set()
            thread.join()


def _skip_to_latest(events: Queue, progress: Progress) -> Progress:
    """The newest waiting progress with the newest preview, so that a slow page skips steps."""
    while events.queue and events.queue[0][0] == "progress":
        try:
            newer = events.get_nowait()[1]
        except Empty:
            break
        progress = Progress(newer.done, newer.steps, newer.seconds_left, newer.preview or progress.preview)
    return progress
