"""Batches of examples in the order of training.

A batch depends only on (seed, step), not on when it is requested or how many processes share it. So a stopped run
resumes exactly, and two processes see the two halves of what one process would see.
"""

from collections.abc import Iterator, Sequence
from queue import Empty, Queue
from threading import Event, Thread

import torch
from torch import Tensor

from audiotoken.data.examples import Examples, derive_seed
from audiotoken.errors import DataError, PromptError
from audiotoken.objective import Batch
from audiotoken.placeholder import PLACEHOLDER, TEMPLATE

# not in the paper: several wordings, so that the token does not depend on one (Gal et al. 2022, sec. 4)
TEMPLATES = (
    TEMPLATE,
    f"a picture of {PLACEHOLDER}",
    f"a close-up photo of {PLACEHOLDER}",
    f"a bright photo of {PLACEHOLDER}",
    f"a dark photo of {PLACEHOLDER}",
    f"a blurry snapshot of {PLACEHOLDER}",
    f"a sharp photograph of {PLACEHOLDER}",
    f"a photo of {PLACEHOLDER} seen from afar",
    f"a film still showing {PLACEHOLDER}",
    f"this is what {PLACEHOLDER} looks like",
)


class Batches:
    """`batches(start)` yields the `objective.Batch` of step start, start + 1, ... without end.

    size: of the batch of all `processes` together; this process, `rank`, gets its part of it. Every epoch has a new
    order; examples that do not fill a last batch are left out of that epoch. With fewer examples than `size`, a batch
    repeats them. A template is drawn for each image; the number of the epoch is the variant of the augmentation.
    `prefetch` batches are prepared ahead in a thread; 0: no thread. `pinned`: in memory from which they go to a GPU
    without a wait.
    """

    def __init__(
        self,
        examples: Examples,
        size: int,
        *,
        seed: int = 0,
        templates: Sequence[str] = (TEMPLATE,),
        rank: int = 0,
        processes: int = 1,
        prefetch: int = 2,
        pinned: bool = False,
    ):
        if size < 1 or size % processes or not 0 <= rank < processes:
            raise DataError(
                f"Got a batch of {size} for process {rank} of {processes}, expected one that all can share; "
                f"make it a multiple of {processes}, or change the number of processes."
            )
        if not templates or any(template.count(PLACEHOLDER) != 1 for template in templates):
            raise PromptError(
                f"Got the templates {tuple(templates)}, expected one or more, each with one {PLACEHOLDER}."
            )
        self.examples, self.size, self.seed, self.templates = examples, size, seed, tuple(templates)
        self.rank, self.processes, self.prefetch, self.pinned = rank, processes, prefetch, pinned
        self.names = examples.names

    def __call__(self, start: int = 0) -> Iterator[Batch]:
        batches = self._generate(start)
        return prefetch_items(batches, self.prefetch) if self.prefetch else batches

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.examples) // self.size)

    def order(self, epoch: int) -> Tensor:
        """Indices in the order of this epoch, repeated when there are fewer than a batch."""
        generator = torch.Generator().manual_seed(derive_seed("order", self.seed, epoch))
        rounds = -(-self.size // len(self.examples))
        return torch.cat([torch.randperm(len(self.examples), generator=generator) for _ in range(rounds)])

    def _generate(self, start: int) -> Iterator[Batch]:
        step, known, order = start, -1, torch.empty(0)
        while True:
            epoch, at = divmod(step, self.steps_per_epoch)
            if epoch != known:
                known, order = epoch, self.order(epoch)
            yield self._make_batch(step, epoch, order[at * self.size : (at + 1) * self.size].tolist())
            step += 1

    def _make_batch(self, step: int, epoch: int, indices: Sequence[int]) -> Batch:
        """This process's part of the batch of `step`; `indices` are those of the whole batch."""
        part = self.size // self.processes
        places = range(self.rank * part, (self.rank + 1) * part)
        encoded = self.examples.load([indices[place] for place in places], epoch)
        mean, log_variance = encoded.moments.float().chunk(2, dim=1)
        deviation = torch.exp(0.5 * log_variance.clamp(-30, 20))  # the VAE's own limits
        noise = torch.stack([_draw_noise(mean.shape[1:], self.seed, step, place) for place in places])
        latents = (mean + deviation * noise.to(mean.device)) * self.examples.scaling_factor
        picks = [derive_seed("template", self.seed, step, place) % len(self.templates) for place in places]
        batch = Batch(latents, encoded.features, encoded.labels, [self.templates[pick] for pick in picks])
        return batch.pin() if self.pinned else batch


def prefetch_items(items: Iterator, ahead: int) -> Iterator:
    """The same items, produced in a thread up to `ahead` in advance.

    Exceptions of `items` are raised here in order. The thread ends with `items`, or when this iterator is closed.
    """
    queue: Queue = Queue(ahead)
    closed, device = Event(), torch.cuda.current_device() if torch.cuda.is_initialized() else None

    def produce() -> None:
        try:
            if device is not None:
                torch.cuda.set_device(device)  # a new thread starts with device 0
            for item in items:
                queue.put((item, None))
                if closed.is_set():
                    return
            queue.put((None, StopIteration()))
        except BaseException as error:
            queue.put((None, error))

    thread = Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        closed.set()
        while thread.is_alive():  # it may be waiting for a free slot
            try:
                queue.get(timeout=0.05)
            except Empty:
                continue


def _draw_noise(shape: Sequence[int], *parts: int) -> Tensor:
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(derive_seed("noise", *parts)))
