"""Reads one frame and the sound of a video, of the whole file or of an excerpt.

Seconds count from the start of the file; a frame lasts until the next one. Decoding is kept short: a
frame from the key frame before it, the sound of an excerpt from half a second before it. A message here is the second
half of a sentence; the caller puts the name of the file before it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio_file import decode_sound, find_audio_track, open_media
from audiotoken.data.image_file import MAX_PIXELS, check_size
from audiotoken.errors import AudioError, DataError

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = "a video (MP4, MKV, WebM) with pictures and sound"
MAX_DECODED = 5000  # frames after a key frame; encoders set one at least every 250
RUN_UP = 0.5  # seconds; a decoder that starts in the middle needs some to settle

Moment = Callable[[float, float], float]  # (length in seconds, frames per second) -> second


def middle(length: float, rate: float) -> float:
    """A moment of a video `length` seconds long: its middle, in seconds. `rate`, frames a second, is not used."""
    return length / 2


def read_duration(file: BinaryIO) -> float:
    """Duration by the file's header, in seconds; 0 if it is not given."""
    file.seek(0)
    with open_media(file, KINDS, DataError, "a video") as container:
        return (container.duration or 0) / 1e6


def read_sound(
    file: BinaryIO, start: float | None = None, seconds: float = 10.0, max_seconds: float = 600.0
) -> tuple[NDArray, int]:
    """All channels of the sound track (channels, frames) and its rate; from `start`, `seconds` of it if it is as long.

    AudioError: no such track, nothing there, truncated, or the whole lasts longer than `max_seconds`.
    """
    file.seek(0)
    with open_media(file, KINDS) as container:
        if start is None:
            return decode_sound(container, max_seconds)
        return _decode_excerpt(container, find_audio_track(container), start, seconds)


def _decode_excerpt(container: Any, track: Any, start: float, seconds: float) -> tuple[NDArray, int]:
    """The samples from `start`, positioned by the time stamp of the first frame, without gaps."""
    import av

    origin, blocks, read, first, resampler = _origin(container), [], 0, 0.0, None
    if start > RUN_UP:
        container.seek(int((origin + start - RUN_UP) / track.time_base), stream=track)
    for frame in container.decode(track):
        if resampler is None:
            first = (frame.time or 0.0) - origin
            resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.sample_rate)
        for piece in resampler.resample(frame):
            blocks.append(piece.to_ndarray())
            read += piece.samples
        if first + read / resampler.rate >= start + seconds:
            break
    rate = resampler.rate if resampler is not None else 1
    skip = max(0, round((start - first) * rate))
    if read - skip < rate // 10:
        raise AudioError(f"its sound ends before second {start:g}; get the whole video again.")
    if track.duration is not None:
        there = float((track.duration + (track.start_time or 0)) * track.time_base) - origin
        if first + read / rate < min(there, start + seconds) - RUN_UP:
            raise AudioError(f"it is truncated, the sound stops at {first + read / rate:.2f} s; get it again.")
    return np.concatenate(blocks, axis=1)[:, skip : skip + round(seconds * rate)], rate


def read_frame(file: BinaryIO, moment: Moment, start: float | None = None, seconds: float = 10.0) -> "Image":
    """The frame shown at `moment`, a second from 0 to the length of the whole, or of the excerpt from `start`; RGB.

    Upright by the file's rotation, with square pixels. DataError: no pictures, none at that second, too large, damaged.
    """
    file.seek(0)
    with open_media(file, KINDS, DataError, "a video") as container:
        track = _video_track(container)
        begin, length = _find_span(container, track)
        if start is not None:
            begin, length = begin + start, min(seconds, length - start)
        if length <= 0:
            raise DataError(f"its pictures end before second {start or 0:g}; get the whole video again.")
        rate = float(track.average_rate or track.guessed_rate or 25)
        second = min(max(moment(length, rate), 0.0), length)
        return _to_image(_decode_frame(container, track, begin + second, max(1.0, 2 / rate)), track)


def _video_track(container: Any) -> Any:
    import av

    cover = av.stream.Disposition.attached_pic
    tracks = [track for track in container.streams.video if not track.disposition & cover]
    if not tracks:
        raise DataError(f"there is no video track in it; give {KINDS}.")
    best = container.streams.best("video")
    track = best if best in tracks else tracks[0]
    if track.codec_context is None:
        raise DataError(f"its pictures are coded in a way that FFmpeg does not know; give {KINDS}.")
    check_size(track.codec_context.width or 1, track.codec_context.height or 1)
    track.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # a size may change within the track
    return track


def _origin(container: Any) -> float:
    return (container.start_time or 0) / 1e6


def _find_span(container: Any, track: Any) -> tuple[float, float]:
    """Second of the container's clock where the file begins, and how long the pictures last from there."""
    origin = _origin(container)
    if track.duration:
        return origin, float(((track.start_time or 0) + track.duration) * track.time_base) - origin
    if container.duration:
        return origin, container.duration / 1e6
    end = 0.0  # a file that was never finalised: the last time stamp is its length
    for packet in container.demux(track):
        if packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return origin, end - origin


def _decode_frame(container: Any, track: Any, second: float, tolerance: float) -> Any:
    """The last frame that begins at or before `second`, on the container's clock."""
    container.seek(int(second / track.time_base), stream=track)  # to the key frame before
    best = None
    for count, frame in enumerate(container.decode(track)):
        if best is not None and (frame.time is None or frame.time > second + 1e-6 or count > MAX_DECODED):
            break
        best = frame
    if best is None or second - (best.time or 0.0) > tolerance:
        raise DataError(f"there is no picture at second {second:.2f}; it is truncated or damaged, get it again.")
    if best.is_corrupt:
        raise DataError(f"the picture at second {second:.2f} is damaged; get it again.")
    return best


def _to_image(frame: Any, track: Any) -> "Image":
    from PIL.Image import Transpose

    check_size(frame.width, frame.height)
    image = frame.to_image()
    aspect = float(track.sample_aspect_ratio or 1)
    if 0.1 < aspect < 10 and aspect != 1:  # wide pixels, as DVDs have them
        image = image.resize((max(1, round(image.width * aspect)), image.height))
    turns = {90: Transpose.ROTATE_90, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_270}  # counter-clockwise
    turn = turns.get(int(frame.rotation) % 360)
    return image if turn is None else image.transpose(turn)
