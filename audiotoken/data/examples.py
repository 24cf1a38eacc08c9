"""Images and clips as the frozen models encode them: what training reads, raw or prepared.

Conventions: *moments* (batch, 2 * channels, height, width) float32 are mean and log variance of the VAE's Gaussian,
before a latent is sampled and before `scaling_factor`; *features* (batch, time, width) are the audio encoder's; labels
index `names`, the sorted names of the classes. Two classes implement the protocol `Examples`: `RawExamples`
encodes on demand, `prepared.Prepared` reads what was encoded before; both return the same.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from audiotoken.audio import as_recording, to_mono
from audiotoken.data import fit_image, fit_signal
from audiotoken.data.augment import Augment
from audiotoken.denoising import scaling_factor
from audiotoken.errors import DataError
from audiotoken.protocols import TrainablePipeline

Input = tuple[int, Tensor, Tensor]  # index, picture (3, size, size) in [-1, 1], signal (frames,)
UNREADABLE = (ValueError, OSError)  # what a broken file raises: DataError, AudioError, PyAV's and Pillow's


@dataclass(frozen=True, eq=False)
class Encoded:
    """Encoded examples, in the requested order."""

    moments: Float[Tensor, "batch moments height width"]
    features: Float[Tensor, "batch time width"]
    labels: Int[Tensor, " batch"]  # int64; -1 when no example of the source has a label


class Examples(Protocol):
    """What `audiotoken.data.batches` needs."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the classes, sorted; empty without labels."""

    @property
    def scaling_factor(self) -> float:
        """The VAE's, or 1: latents are sampled from the moments and multiplied by it."""

    def __len__(self) -> int:
        """The number of all examples; broken ones count, because another replaces them."""

    def load(self, indices: Sequence[int], variant: int = 0) -> Encoded:
        """These examples, with the augmentation number `variant`."""


class RawExamples:
    """A source of `audiotoken.data`, encoded with a pipeline's VAE and audio encoder on each request.

    size: of the images, pixels. seconds: of the sounds; longer ones are cropped, shorter ones repeated. `augment` is
    seeded with (seed, key, variant). `workers` threads decode; `at_once` examples go through the models together: by
    default one on the CPU, where that is as fast and exactly reproducible, else eight.

    A broken example (unreadable, silent, no label where others have one, not finite when encoded) never stops a run:
    the next good one replaces it, always the same, and `skipped` maps its key to the reason. DataError when all are
    broken.
    """

    def __init__(
        self,
        source: Any,
        pipe: TrainablePipeline,
        *,
        size: int,
        seconds: float,
        augment: Augment | None = None,
        seed: int = 0,
        workers: int = 2,
        at_once: int | None = None,
    ):
        if len(source) == 0:
            raise DataError(
                "Got a source without examples, expected one or more; check the folder or the list it is from."
            )
        self.source, self.pipe, self.augment, self.seed = source, pipe, augment, seed
        self.size, self.seconds = size, seconds
        self.skipped: dict[str, str] = {}  # key -> why
        labels = [source.label(i) for i in range(len(source))]
        self.names = tuple(sorted(set(labels) - {""}))
        numbers = {name: i for i, name in enumerate(self.names)}
        self.labels = [numbers.get(label, -1) for label in labels]
        self._broken: set[int] = set()
        for index in range(len(labels)) if self.names else ():
            if labels[index] == "":
                self.skip(index, "it has no label, but others have one; name its class or leave it out.")
        self._at_once = at_once or (1 if pipe.vae.device.type == "cpu" else 8)
        self._workers, self._pool = workers, ThreadPoolExecutor(workers, "decode")

    @property
    def scaling_factor(self) -> float:
        return scaling_factor(self.pipe.vae)

    def __len__(self) -> int:
        return len(self.source)

    def load(self, indices: Sequence[int], variant: int = 0) -> Encoded:
        """Encode these, on the devices of the models; DataError, naming one, when every example is broken."""
        rows: dict[int, tuple[Tensor, Tensor]] = {}
        places = [self._find_replacement(index) for index in indices]
        while missing := sorted(set(places) - rows.keys()):
            rows |= {index: (moments, features) for index, moments, features in self.each(missing, (variant,))}
            places = [self._find_replacement(place) for place in places]
        return Encoded(
            torch.cat([rows[place][0] for place in places]),
            torch.cat([rows[place][1] for place in places]),
            torch.tensor([self.labels[place] for place in places]),
        )

    def each(self, indices: Sequence[int], variants: Sequence[int] = (0,)) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(index, moments, features) of the good ones in order, both (variants, ...); the others are in `skipped`."""
        inputs, done = self._inputs(indices, variants), []
        while chunk := list(islice(inputs, self._at_once)):
            for index, moments, features in self._encode(chunk):
                done.append((moments, features))
                if len(done) == len(variants):
                    if index not in self._broken:
                        yield index, torch.stack([pair[0] for pair in done]), torch.stack([pair[1] for pair in done])
                    done = []

    def _inputs(self, indices: Sequence[int], variants: Sequence[int]) -> Iterator[Input]:
        """All variants of one readable example after the other; a few are decoded ahead."""
        waiting: deque[tuple[int, Future]] = deque()
        todo = iter([index for index in indices if index not in self._broken])
        try:
            while True:
                ahead = self._workers + self._at_once - len(waiting)
                waiting += [(i, self._pool.submit(self._decode, i, variants)) for i in islice(todo, ahead)]
                if not waiting:
                    return
                index, future = waiting.popleft()
                try:
                    yield from future.result()
                except UNREADABLE as error:
                    self.skip(index, str(error) or type(error).__name__)
        finally:
            for _, future in waiting:
                future.cancel()

    def _decode(self, index: int, variants: Sequence[int]) -> list[Input]:
        """One example in each of its variants."""
        example, rate, augment = self.source[index], self.pipe.audio_encoder.rate, self.augment or Augment()
        whole = to_mono(as_recording(example.recording, example.rate, resample_to=rate)[0])
        inputs = []
        for variant in variants:
            rng = np.random.default_rng(derive_seed(self.seed, example.key, variant))
            signal = fit_signal(whole, round(self.seconds * rate), rng if augment.crop else None)
            signal = augment(signal, rate, rng)
            picture = fit_image(example.image, self.size, rng if augment.picture_crop else None)
            inputs.append((index, picture, torch.from_numpy(signal)))
        return inputs

    @torch.no_grad()
    def _encode(self, chunk: Sequence[Input]) -> list[tuple[int, Tensor, Tensor]]:
        """(index, moments, features) of each; an example for which a model returns NaN is broken."""
        vae, encoder = self.pipe.vae, self.pipe.audio_encoder
        indices = [index for index, _, _ in chunk]
        pictures = torch.stack([picture for _, picture, _ in chunk])  # (batch, 3, size, size)
        waveform = torch.stack([signal for _, _, signal in chunk])  # (batch, frames)
        moments = encode_moments(vae, pictures.to(vae.device, vae.dtype)).float()
        features = encoder.features(waveform.to(encoder.device)).float()
        for values, model in ((moments, f"VAE in {vae.dtype}"), (features, "audio encoder")):
            for index, good in zip(indices, values.isfinite().flatten(1).all(1).tolist(), strict=True):
                if not good:
                    self.skip(index, f"the {model} answers with NaN or infinity; compute it in float32.")
        return list(zip(indices, moments, features, strict=True))

    def _find_replacement(self, index: int) -> int:
        """`index`, or the next that is not known to be broken, wrapping around at the end."""
        count = len(self)
        for place in range(index, index + count):
            if place % count not in self._broken:
                return place % count
        key, why = next(iter(self.skipped.items()))
        raise DataError(f"None of the {count} examples can be used, expected one or more; the first, {key}: {why}")

    def skip(self, index: int, why: str) -> None:
        """Mark an example as broken; from now on another replaces it."""
        self._broken.add(index)
        self.skipped[self.source.key(index)] = why


def encode_moments(vae: Any, pictures: Tensor) -> Tensor:
    """(batch, 3, height, width) in [-1, 1] -> mean and log variance (batch, 2 * channels, h, w)."""
    film = hasattr(vae.config, "temperal_downsample")  # diffusers spells it so
    moments: Tensor = vae.encode(pictures[:, :, None] if film else pictures).latent_dist.parameters
    return moments[:, :, 0] if film else moments


def decode_latents(vae: Any, latents: Tensor) -> Tensor:
    """(batch, channels, h, w) as the VAE samples them -> pictures (batch, 3, height, width); films' VAEs as well."""
    film = hasattr(vae.config, "temperal_downsample")
    pictures: Tensor = vae.decode(latents[:, :, None] if film else latents).sample
    return pictures[:, :, 0] if film else pictures


def derive_seed(*parts: Any) -> int:
    """A 64-bit seed from numbers and words; similar parts give unrelated seeds, the same in every process."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest())
