"""What the frozen parts say of raw examples, and what happens to those that are broken."""

import numpy as np
import pytest
import torch
from tiny_source import RATE, TinySource

from audiotoken.audio import to_mono
from audiotoken.data import fit_image, fit_signal
from audiotoken.data.augment import Augment
from audiotoken.data.examples import RawExamples, derive_seed
from audiotoken.debug import debug_pipeline
from audiotoken.errors import DataError

PIPE = debug_pipeline()


def raw(source, **options) -> RawExamples:
    return RawExamples(source, PIPE, **({"size": 32, "seconds": 0.75} | options))


def equal(a, b) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("moments", "features", "labels"))


def test_moments_and_features_are_those_of_the_models():
    source = TinySource(4)
    encoded = raw(source).load([2, 0])
    assert encoded.moments.shape == (2, 16, 4, 4) and encoded.features.shape[::2] == (2, 24)
    example = source[2]
    with torch.no_grad():
        wanted = PIPE.vae.encode(fit_image(example.image, 32)[None]).latent_dist
        signal = torch.from_numpy(fit_signal(to_mono(example.recording), round(0.75 * RATE)))
        features = PIPE.audio_encoder.features(signal[None])
    assert torch.equal(encoded.moments[0].chunk(2)[0], wanted.mean[0])
    assert torch.equal(encoded.moments[0].chunk(2)[1], wanted.logvar[0])
    assert torch.equal(encoded.features[0], features[0])


def test_names_are_sorted_and_labels_index_them():
    examples = raw(TinySource(5))
    assert examples.names == ("bell", "dog", "rain")
    assert examples.load([0, 1, 2, 3]).labels.tolist() == [1, 2, 0, 1]


def test_a_source_without_labels_has_no_names():
    examples = raw(TinySource(3, unlabelled=range(3)))
    assert examples.names == () and examples.load([0, 1]).labels.tolist() == [-1, -1]
    assert not examples.skipped


def test_the_next_good_one_stands_in_for_a_broken_one():
    source = TinySource(6, broken=[1, 5], silent=[2], unlabelled=[4])
    examples = raw(source)
    assert equal(examples.load([1, 2, 5, 4, 3]), raw(TinySource(6)).load([3, 3, 0, 0, 3]))
    assert set(examples.skipped) == {"clip-001", "clip-002", "clip-004", "clip-005"}
    assert "it is cut off" in examples.skipped["clip-001"] and "silent" in examples.skipped["clip-002"]
    assert "no label" in examples.skipped["clip-004"]
    asked = len(source.asked)
    examples.load([1])
    assert not list(examples.each([1, 2, 4]))
    assert source.asked[asked:] == [3]  # what is known to be broken is not tried again


def test_nothing_good_is_an_error_that_names_one():
    with pytest.raises(DataError, match=r"None of the 3 examples .* clip-000: .*cut off"):
        raw(TinySource(3, broken=range(3))).load([0])
    with pytest.raises(DataError, match="without examples"):
        raw(TinySource(0))


def test_what_a_model_cannot_encode_is_broken():
    class Deaf(torch.nn.Module):
        rate, device = RATE, torch.device("cpu")

        def features(self, waveform):
            return torch.full((len(waveform), 2, 3), torch.nan)

    pipe = debug_pipeline()
    pipe.register_modules(audio_encoder=Deaf())
    with pytest.raises(DataError, match="audio encoder answers with NaN"):
        RawExamples(TinySource(2), pipe, size=32, seconds=0.5).load([0])


def test_several_at_once_are_as_one_by_one():
    one, several = (raw(TinySource(5), at_once=count).load([3, 0, 4, 1]) for count in (1, 3))
    assert torch.allclose(one.moments, several.moments, atol=1e-5)
    assert torch.allclose(one.features, several.features, atol=1e-5)
    neighbours = raw(TinySource(5)).load([1, 4, 2])
    assert torch.equal(neighbours.features[1], one.features[2])  # to the bit, whoever is beside it


def test_augmentation_depends_on_seed_key_and_variant():
    augment = Augment(crop=True, picture_crop=True, noise_db=(10, 20), gain_db=3)
    examples = raw(TinySource(4), augment=augment)
    assert equal(examples.load([1, 2], 3), raw(TinySource(4), augment=augment).load([1, 2], 3))
    for other in (examples.load([1, 2], 4), raw(TinySource(4), augment=augment, seed=1).load([1, 2], 3)):
        assert not torch.equal(examples.load([1, 2], 3).features, other.features)
        assert not torch.equal(examples.load([1, 2], 3).moments, other.moments)
    assert equal(raw(TinySource(4)).load([1], 0), raw(TinySource(4)).load([1], 9))


def test_nearby_seeds_are_unrelated():
    seeds = [derive_seed("noise", 0, step, place) for step in range(50) for place in range(50)]
    assert len({seed % 2**32 for seed in seeds}) == len(seeds)  # torch's CPU generator reads 32 bits
    assert abs(np.mean([seed / 2**64 for seed in seeds]) - 0.5) < 0.02
