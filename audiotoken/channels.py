"""The order of channels: files name and order them in many ways, recordings here are in that of WAVE.

Left, right, centre, low frequencies, back left, back right, ... (Microsoft's dwChannelMask, from the lowest bit).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAVE = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
VORBIS = {  # number of channels -> their names in Ogg's Vorbis and Opus (Vorbis I specification, 4.3.9)
    3: ("FL", "FC", "FR"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FC", "FR", "BL", "BR"),
    6: ("FL", "FC", "FR", "BL", "BR", "LFE"),
    7: ("FL", "FC", "FR", "SL", "SR", "BC", "LFE"),
    8: ("FL", "FC", "FR", "SL", "SR", "BL", "BR", "LFE"),
}
AMBISONIC = (4, 9, 16, 25, 36)  # channels of the orders 1 to 5; the first four are W, Y, Z, X
TILE, BAND = 2048, 8  # frames, and bins, in which the power of W is compared with that of Y, Z and X together
AGREE = (1.5, 1.2)  # dB: by how much they may differ in all, and in the median tile from that


@dataclass(frozen=True, eq=False)
class StereoMix:
    """How two channels are made of many: `weights` (2, channels), a note for the listener, and the setup if known."""

    weights: NDArray[np.float32]
    note: str | None = None
    setup: str | None = None

    def apply(self, recording: NDArray) -> NDArray:
        """(channels, frames) -> (2, frames); one or two channels stay as they are."""
        return recording if len(recording) <= 2 else self.weights @ recording


def find_stereo(recording: NDArray) -> StereoMix:
    """The left and right of a recording of many channels in the order of WAVE, or of first order Ambisonics (AmbiX).

    Files seldom say that they hold Ambisonics, but in any field of plane waves the powers of Y, Z and X (SN3D) add up
    to that of W, at each time and frequency. It becomes two coincident cardioids at 90 degrees.
    """
    count = len(recording)
    weights = np.eye(2, count, dtype=np.float32)
    if count <= 2:
        return StereoMix(weights)
    if count not in AMBISONIC or not sounds_ambisonic(recording):
        note = f"The recording has {count} channels: the first two were used as left and right."
        return StereoMix(weights, note)
    side = np.sqrt(0.5)
    weights[:, :4] = 0.5 * np.array([[1, side, 0, side], [1, -side, 0, side]])  # W, Y (to the left), Z, X
    note = (
        f"The {count} channels are Ambisonics (AmbiX): two cardioids at 90 degrees were made of them, as by setup xy."
    )
    return StereoMix(weights, note, "xy")


def sounds_ambisonic(recording: NDArray) -> bool:
    """Whether the first four channels relate as W, Y, Z, X of AmbiX do wherever there is sound."""
    frames = recording.shape[1] // TILE * TILE
    pieces = recording[:4, : min(frames, 500 * TILE)].reshape(4, -1, TILE) * np.hanning(TILE)
    power = np.abs(np.fft.rfft(pieces, axis=2))[:, :, 4:-1] ** 2  # (channels, times, bins)
    power = power[:, :, : power.shape[2] // BAND * BAND].reshape(4, power.shape[1], -1, BAND).sum(3)
    whole, parts = power[0], power[1:].sum(0)
    loud = whole + parts > 1e-4 * (whole + parts).max(initial=0.0)
    if not loud.any() or not whole.any() or not parts.any():
        return False
    total = 10 * np.log10(parts.sum() / whole.sum())
    tiles = 10 * np.log10((parts[loud] + 1e-30) / (whole[loud] + 1e-30))
    return bool(abs(total) < AGREE[0] and np.median(np.abs(tiles - total)) < AGREE[1])


def rank_channels(names: Sequence[str]) -> list[int]:
    """The place of each channel in the order of WAVE; channels without a known name come last, as they are."""
    if not set(names) & {"FL", "FR"}:
        return list(range(len(names)))
    ranks = [WAVE.index(name) if name in WAVE else len(WAVE) + i for i, name in enumerate(names)]
    return [sorted(ranks).index(rank) for rank in ranks]


def find_order(sound: Any, file: Any) -> list[int]:
    """The channels of an open `soundfile.SoundFile` in the order of WAVE; `file` is what it reads."""
    count = sound.channels
    if count < 3:
        return list(range(count))
    names = VORBIS.get(count, ()) if sound.format == "OGG" else _read_names(file)
    return np.argsort(rank_channels(names)).tolist() if len(names) == count else list(range(count))


def _read_names(file: Any) -> Sequence[str]:
    """The names of the channels by the file's header, as FFmpeg reads it; none if it cannot."""
    import av

    position = file.tell()
    try:
        file.seek(0)
        with av.open(file, options={"protocol_whitelist": "none"}) as container:
            context = container.streams.audio[0].codec_context
            return [] if context is None else [each.name for each in context.layout.channels]
    except (av.FFmpegError, EOFError, OSError, ValueError, IndexError):
        return []
    finally:
        file.seek(position)
