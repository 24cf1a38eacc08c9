"""Turns sound files and arrays into recordings.

Conventions: a *recording* is `(channels, frames)` float32 in [-1, 1]; a *signal* is `(frames,)`, mono; a *rate* is Hz.
All unusable sounds are refused here, with an `AudioError` that is one sentence.
"""

import os
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio_file import read_file, read_stream
from audiotoken.errors import AudioError

__all__ = ["AudioError", "Recording", "as_recording", "load_audio", "prepare_recording", "resample", "to_mono"]

SILENCE = 1e-4  # -80 dB below full scale: quieter than the dither of a 16-bit file
RATES = (100, 1_000_000)  # Hz; other values come from broken headers
MAX_SECONDS = 600.0  # of a file that is read, and of one that commands listen to

Recording = NDArray[np.float32]


def load_audio(
    path: str | os.PathLike,
    rate: int | None = None,
    *,
    max_seconds: float = MAX_SECONDS,
    first: float | None = None,
) -> tuple[Recording, int]:
    """Read a sound file, or the sound of a video: (recording `(channels, frames)` float32 in [-1, 1], rate in Hz).

    The channels are in the order of WAVE: left, right, centre, ... whatever that of the file; files that were joined to
    one are read one after the other. With `rate` the recording is resampled; otherwise it keeps the rate of the file.
    Float files louder than full scale are scaled down to it, all channels by the same factor. Truncated files (which
    hold less than their header says) and files longer than `max_seconds` are refused. With `first`, only that many
    seconds are read, and the length and the end of the file do not matter.

    Raises `AudioError` for a file that is missing, unreadable, empty, truncated, silent, partly NaN or without audio.
    """
    return load_with_notes(path, rate, max_seconds=max_seconds, first=first)[:2]


def load_with_notes(
    path: str | os.PathLike,
    rate: int | None = None,
    *,
    max_seconds: float = MAX_SECONDS,
    first: float | None = None,
) -> tuple[Recording, int, list[str]]:
    """As `load_audio`, and sentences about the file that a listener should know: tracks left out, joined files."""
    path, notes = Path(path), list[str]()
    try:
        samples, own_rate = read_file(path, max_seconds, first, notes)
    except AudioError as error:
        raise AudioError(f"Cannot read {path}: {error}") from None
    return *prepare_recording(samples, own_rate, rate, str(path)), notes


def as_recording(audio: Any, rate: int | None = None, *, resample_to: int | None = None) -> tuple[Recording, int]:
    """Check and convert a path, or an array `(frames,)` or `(channels, frames)` with its `rate`: (recording, rate).

    Arrays may be numpy or torch, float (of any level) or integer (full scale is that of the type). Also what libraries
    pass around: `(rate, array)` or `(array, rate)`, also of (frames, channels); `{"array", "sampling_rate"}` of
    datasets and transformers, or `{"path", "bytes"}`; and the contents of a file, as bytes or an open binary file.
    Raises AudioError.
    """
    audio, rate = _unpack(audio, rate)
    if isinstance(audio, bytes | bytearray | memoryview) or hasattr(audio, "seek"):
        return _read_contents(audio, resample_to)
    if isinstance(audio, str | os.PathLike):
        if rate is not None:
            raise AudioError(f"Got the file {audio} and rate={rate}, but a file has its own rate; leave `rate` out.")
        return load_audio(audio, resample_to)
    if rate is None:
        raise AudioError("Got an array without its rate; pass rate= in Hz, such as rate=16000.")
    return prepare_recording(_add_channels(_to_float(audio)), rate, resample_to, "the recording")


def is_pair(audio: Any) -> bool:
    """Whether this is (rate, array), as Gradio has it, or (array, rate), as soundfile and torchaudio do."""
    if not isinstance(audio, tuple) or len(audio) != 2:
        return False
    first, second = [isinstance(each, int | np.integer) and not isinstance(each, bool) for each in audio]
    return first != second and hasattr(audio[1] if first else audio[0], "shape")


def _unpack(audio: Any, rate: int | None) -> tuple[Any, int | None]:
    """(array or file, rate) of a pair or dictionary; others as they are."""
    if is_pair(audio):
        own, array = tuple(audio) if np.ndim(audio[0]) == 0 else (audio[1], audio[0])
        return _turn_upright(array), _same_rate(int(own), rate)
    if not isinstance(audio, Mapping):
        return audio, rate
    if audio.get("array") is not None:
        return audio["array"], _same_rate(audio.get("sampling_rate"), rate)
    content = audio.get("path") if audio.get("bytes") is None else audio["bytes"]
    if content is None:
        raise AudioError(f'Got a dictionary of {", ".join(map(str, audio))}, expected "array" and "sampling_rate".')
    return content, rate


def _turn_upright(audio: Any) -> Any:
    """(frames, channels), as Gradio has it -> (channels, frames)."""
    shape: Any = getattr(audio, "shape", ())
    return audio.T if len(shape) == 2 and shape[0] > shape[1] else audio


def _same_rate(own: Any, given: int | None) -> Any:
    if own is not None and given not in (None, own):
        raise AudioError(f"Got a recording of {own} Hz and rate={given}; leave `rate` out.")
    return given if own is None else own


def _read_contents(content: Any, resample_to: int | None) -> tuple[Recording, int]:
    """The contents of a file: bytes, or an open binary file, which is read from its beginning and stays open."""
    try:
        file = BytesIO(content) if isinstance(content, bytes | bytearray | memoryview) else content
        file.seek(0)
        if not isinstance(file.read(0), bytes):
            raise TypeError("it is open as text")
        samples, rate = read_stream(file, MAX_SECONDS)
    except AudioError as error:
        raise AudioError(f"Cannot read the contents of a file: {error}") from None
    except (OSError, TypeError, AttributeError, UnicodeError) as error:
        raise AudioError(
            f"Got a {type(content).__name__}, expected a binary file; open it with 'rb' ({error})."
        ) from None
    return prepare_recording(samples, rate, resample_to, "the contents of a file")


def to_mono(recording: Recording) -> Recording:
    """(channels, frames) -> (frames,): the mean, or the loudest channel if the channels cancel each other out."""
    mean = recording.mean(axis=0)
    loudest = recording[np.argmax(np.square(recording).mean(axis=1))]
    cancelled = np.square(mean).mean() < 0.01 * np.square(recording).mean()  # 20 dB lost: wired in opposite phase
    return np.ascontiguousarray(loudest if cancelled else mean, dtype=np.float32)


def resample(recording: Recording, rate: int, wanted: int) -> Recording:
    """(..., frames) at `rate` -> (..., frames) at `wanted`: polyphase, flat to 90 % of the band, -80 dB beyond it."""
    from scipy.signal import resample_poly  # here: it takes a second to import, and most reading needs none

    ratio = Fraction(int(wanted), int(rate)).limit_denominator(10_000)  # or 44,101 Hz would need a filter of 100 MB
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return recording
    out = resample_poly(recording, up, down, axis=-1, window=_design_lowpass(max(up, down)))
    return np.clip(out, -1.0, 1.0).astype(np.float32)  # ringing may exceed full scale slightly


@lru_cache(maxsize=8)
def _design_lowpass(widest: int) -> NDArray[np.float32]:
    """The filter of `resample`, of the larger of its two factors."""
    from scipy.signal import firwin

    taps: NDArray[np.float32] = firwin(2 * 64 * widest + 1, 0.955 / widest, window=("kaiser", 9.0)).astype(np.float32)
    taps.setflags(write=False)
    return taps


def prepare_recording(samples: Recording, rate: int, resample_to: int | None, name: str) -> tuple[Recording, int]:
    """Check and resample (channels, frames) of any level: (recording, rate); `name` is for errors."""
    _check_rate(rate, name)
    recording = _normalise(samples, name)
    if resample_to is not None and resample_to != rate:
        _check_rate(resample_to, "the resampled recording")
        recording, rate = resample(recording, rate, resample_to), resample_to
    return recording, int(rate)


def _check_rate(rate: Any, name: str) -> None:
    whole = isinstance(rate, int | np.integer) and not isinstance(rate, bool)
    if not whole or not RATES[0] <= rate <= RATES[1]:
        limits = f"from {RATES[0]} to {RATES[1]}"
        raise AudioError(f"Got a rate of {rate!r} for {name}, expected a whole number of Hz {limits}; resample it.")


def _to_float(audio: Any) -> Recording:
    """Convert any array to float32; integers are divided by the full scale of their type."""
    if hasattr(audio, "detach"):  # a torch tensor, on any device; bfloat16 is unknown to numpy
        audio = audio.detach().cpu()
        audio = (audio.float() if audio.is_floating_point() else audio).numpy()
    if not isinstance(audio, np.ndarray) or audio.dtype.kind not in "fiu":
        kind = audio.dtype if isinstance(audio, np.ndarray) else type(audio).__name__
        raise AudioError(f"Got {kind} as a recording, expected a path or an array of real numbers; convert it.")
    if audio.dtype.kind == "f":
        with np.errstate(over="ignore"):  # overflow is refused later, as not finite
            return audio.astype(np.float32)
    full = 2.0 ** (8 * audio.dtype.itemsize - 1)
    return ((audio.astype(np.float64) - (full if audio.dtype.kind == "u" else 0)) / full).astype(np.float32)


def _add_channels(audio: Recording) -> Recording:
    """(frames,) or (channels, frames) -> (channels, frames)."""
    recording = audio[None] if audio.ndim == 1 else audio
    if recording.ndim != 2 or recording.size == 0:
        raise AudioError(f"Got an array {audio.shape}, expected non-empty (channels, frames) or (frames,); reshape it.")
    if recording.shape[0] > recording.shape[1]:
        raise AudioError(
            f"Got an array {audio.shape}, expected (channels, frames) with more frames than channels; transpose it."
        )
    return recording


def _normalise(recording: Recording, name: str) -> Recording:
    """Refuse NaN, infinity and silence; scale down recordings louder than full scale."""
    bad = recording.size - int(np.isfinite(recording).sum())
    if bad:
        raise AudioError(f"Cannot read {name}: {bad} of {recording.size} samples are NaN or infinite; export it again.")
    low, high = recording.min(axis=1), recording.max(axis=1)  # no copies: a recording may be a gigabyte
    peak = float(max(-low.min(), high.max()))
    if peak > 1.0:
        recording = recording / np.float32(peak)
        low, high = low / np.float32(peak), high / np.float32(peak)
    mean = recording.mean(axis=1, dtype=np.float64)
    if max((high - mean).max(), (mean - low).max()) < SILENCE:
        raise AudioError(f"Cannot read {name}: {_explain_stillness(recording)}")
    return np.ascontiguousarray(recording, dtype=np.float32)


def _explain_stillness(recording: Recording) -> str:
    """Why nothing can be heard in a recording whose samples are all alike."""
    if recording.shape[1] == 1:
        return "it is a single sample long; give a longer recording."
    if (level := float(np.abs(recording).max())) < SILENCE:
        return f"it is silent (never above {SILENCE:g}); record it louder."
    return f"it is constant (every sample is about {level:.2g}), so there is nothing to hear; check the recorder."


def load_beginning(clip: str | os.PathLike, seconds: float) -> tuple[Recording, int, list[str]]:
    """Read at most that many seconds of a file of any length: (recording, rate, notes); a note says if it was cut."""
    return cut_to_beginning(*load_with_notes(clip, first=seconds + 1), seconds)


def cut_to_beginning(
    recording: Recording, rate: int, notes: list[str], seconds: float
) -> tuple[Recording, int, list[str]]:
    """At most that many seconds of a recording: (recording, rate, notes); a note says if it was cut."""
    frames = round(seconds * rate)
    cut = [f"Only the first {seconds:g} seconds were used; cut the file to use others."]
    return recording[:, :frames], rate, [*notes, *(cut if recording.shape[1] > frames else [])]
