"""What must hold for every recording, whatever is in it: at the door, in files, and for the listener."""

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audiotoken.audio import as_recording, load_audio, resample, to_mono
from audiotoken.audio_file import read_blocks, read_length
from audiotoken.errors import AudioError
from spatial.errors import SpatialError
from spatial.listening import listen

some = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
few = settings(some, max_examples=8)
RATE = 16_000

shapes = st.tuples(st.integers(1, 6), st.integers(6, 200))
samples = st.floats(width=32, allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, -1.0, 1e-40, 3e38])
anything = shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=samples))
# what a recorder writes: within full scale, not silent
heard = shapes.flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-1, 1, width=32)).map(lambda x: x + _edge(x.shape))
).map(lambda x: np.clip(x, -1, 1))


def _edge(shape):
    edge = np.zeros(shape, np.float32)
    edge[0, :2] = 0.5, -0.5
    return edge


@some
@given(anything)
def test_what_passes_the_door_is_sound(recording):
    before = recording.copy()
    try:
        passed, rate = as_recording(recording, RATE)
    except AudioError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
        clean = np.nan_to_num(recording)
        loud = max(1.0, float(np.abs(clean).max()))
        swing = np.abs(clean / loud - clean.mean(axis=1, keepdims=True, dtype=float) / loud).max()
        assert not np.isfinite(recording).all() or swing < 1.01e-4
    else:
        assert rate == RATE and passed.shape == recording.shape and passed.dtype == np.float32
        assert np.isfinite(passed).all() and np.abs(passed).max() <= 1
        assert np.isfinite(to_mono(passed)).all()
    np.testing.assert_array_equal(before, recording)


@some
@given(heard)
def test_the_door_changes_nothing_that_is_right(recording):
    passed, _ = as_recording(recording, RATE)
    np.testing.assert_array_equal(passed, recording)
    np.testing.assert_array_equal(as_recording(passed, RATE)[0], passed)  # and once is enough


@some
@given(heard, st.floats(1.5, 1e6))
def test_louder_than_full_scale_is_the_same_sound(recording, factor):
    passed, _ = as_recording(recording * np.float32(factor), RATE)
    peak = max(np.abs(passed).max(), 1e-9)
    np.testing.assert_allclose(passed / peak, recording / np.abs(recording).max(), atol=1e-5)


@some
@given(heard, st.sampled_from(["PCM_16", "PCM_24", "FLOAT"]), st.sampled_from(["wav", "aiff"]))
def test_a_file_is_what_was_written_at_once_and_in_blocks(tmp_path, recording, subtype, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, recording.T, RATE, subtype=subtype)
    read, rate = load_audio(path)
    assert rate == RATE and read_length(path) == (recording.shape[1], RATE)
    np.testing.assert_allclose(read, recording, atol=1e-6 if subtype == "FLOAT" else 2**-15)
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(path, 7)), axis=1), read)


@some
@given(st.binary(max_size=300), st.sampled_from(["wav", "flac", "ogg", "mp3", "mp4", "mkv", "raw", "", "txt"]))
def test_bytes_that_are_no_sound_are_a_sentence(tmp_path, content, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"Cannot read .*\.$"):
        load_audio(path)


@some
@given(heard, st.data())
def test_a_damaged_file_is_heard_or_refused(tmp_path, recording, data):
    path = tmp_path / "a.wav"
    soundfile.write(path, recording.T, RATE, subtype="FLOAT")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content) - 1, 80)))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        read, _ = load_audio(path)
    except AudioError as error:
        assert str(error).startswith("Cannot read") and str(error).endswith(".")
    else:
        assert np.isfinite(read).all() and np.abs(read).max() <= 1


@some
@given(heard, st.sampled_from([8000, 11_025, 44_100, 48_000, 192_000]))
def test_resampling_keeps_length_and_channels_apart(recording, wanted):
    out = resample(recording, RATE, wanted)
    assert out.shape[0] == recording.shape[0] and abs(out.shape[1] - recording.shape[1] * wanted / RATE) <= 1
    assert np.isfinite(out).all() and np.abs(out).max() <= 1
    np.testing.assert_allclose(out[:1], resample(recording[:1], RATE, wanted), atol=1e-6)


@few
@given(arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(0, 400)), elements=samples))
def test_the_listener_gives_numbers_or_a_sentence(recording):
    try:
        scene = listen(recording, RATE)
    except SpatialError as error:
        assert str(error).endswith(".") and (len(recording) == 3 or np.nanmax(np.abs(recording)) > 1e9)
        return
    for source in scene.sources:
        numbers = [source.direction.azimuth, source.direction.spread, source.direction.confidence, source.level]
        assert np.isfinite(numbers).all() and np.isfinite(source.signal).all() and np.isfinite(source.image).all()
        assert -90 <= source.direction.azimuth <= 90 and 0 <= source.direction.confidence <= 1
        assert all(0 <= a < b <= recording.shape[1] / RATE + 0.05 for a, b in source.active)


@settings(some, max_examples=4)
@given(st.integers(0, 99), st.floats(-40, 40).filter(lambda azimuth: abs(azimuth) > 5))
def test_swapped_channels_are_the_mirrored_scene(seed, azimuth):
    noise = 0.2 * np.random.default_rng(seed).normal(size=RATE // 2)
    share = (azimuth + 45) / 90 * np.pi / 2
    recording = np.stack([np.cos(share) * noise, np.sin(share) * noise]).astype(np.float32)
    (one,), (other,) = (listen(x, RATE, setup="panned", count=1).azimuths for x in (recording, recording[::-1]))
    assert one == pytest.approx(-other, abs=0.5) and one * azimuth > 0


@pytest.mark.parametrize("setup", ["auto", "panned"])
def test_listened_to_twice_it_is_the_same_to_the_last_bit(setup):
    noise = np.random.default_rng(3).normal(size=(2, RATE // 2))
    recording = (0.1 * np.array([[1.0, 0.3], [0.4, 1.0]]) @ noise).astype(np.float32)
    np.random.seed(1)  # noqa: NPY002
    one = listen(recording, RATE, setup=setup)
    np.random.seed(2)  # noqa: NPY002
    two = listen(recording, RATE, setup=setup)
    assert one.azimuths == two.azimuths and one.setup == two.setup
    for first, second in zip(one.sources, two.sources, strict=True):
        np.testing.assert_array_equal(first.signal, second.signal)
