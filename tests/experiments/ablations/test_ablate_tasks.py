"""What the tasks change in the pipeline: truth by construction, on small scenes and models."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audiotoken.errors import OptionError
from experiments.ablations.end_to_end import find_true_words, match_greedily, match_sources, score_plan
from experiments.ablations.guidance import build_guidance
from experiments.ablations.layers import LAST, LayeredEncoder
from experiments.ablations.listening import (
    listen_scenes,
    listen_to_scene,
    pair_sources,
    record_case,
    replace_signals,
    spread_cases,
)
from experiments.benchmarks.cases import Case
from spatial.scene import Direction, Scene

SCORES = np.array([[0.9, 0.8], [0.8, 0.1]])  # the best pair first leaves a bad one


@pytest.fixture(scope="module")
def simulated():
    return record_case(Case(("bell", "dog"), (-32.0, 21.0), (-35.0, -35.0), 7), "ortf", None, None)


def test_greedy_takes_the_best_pair_and_hungarian_the_best_sum():
    assert match_greedily(SCORES, 0.05) == {0: 0, 1: 1} and match_greedily(SCORES, 0.3) == {0: 0}
    best = {pair.source: pair.token for pair in match_sources(SCORES, "hungarian", {}) if pair.source is not None}
    assert best == {0: 1, 1: 0}


def test_no_matching_is_the_order_and_the_oracle_the_truth():
    none = {pair.source: pair.token for pair in match_sources(SCORES, "none", {0: 1, 1: 0})}
    oracle = {pair.source: pair.token for pair in match_sources(SCORES, "oracle", {0: 1, 1: 0})}
    assert none == {0: 0, 1: 1} and oracle == {0: 1, 1: 0}
    assert match_sources(np.zeros((3, 0)), "none", {}) == match_sources(np.zeros((0, 2)), "greedy", {}) == []


def test_scenes_depend_on_the_seed_and_stand_apart():
    made = spread_cases(6, 3, 5, 38.0, sides=True)
    assert made == spread_cases(6, 3, 5, 38.0, sides=True) and made[:2] == spread_cases(2, 3, 5, 38.0, sides=True)
    assert made != spread_cases(6, 3, 6, 38.0, sides=True)
    for case in made:
        assert len(set(case.words)) == 3 and min(np.diff(sorted(case.azimuths))) >= 20 - 1e-9
        assert min(map(abs, case.azimuths)) > 10 and min(case.azimuths) < 0 < max(case.azimuths)
        assert max(map(abs, case.azimuths)) <= 38
    with pytest.raises(OptionError, match="num_sources=5"):
        spread_cases(2, 5, 0, 70.0)


def test_oracle_directions_are_the_true_ones_and_separated_by_us(simulated):
    scene = listen_to_scene(simulated, "auto", None, "oracle")
    assert scene.azimuths == pytest.approx([-32.0, 21.0]) and scene.setup == "ortf"
    assert all(source.image.shape == simulated.recording.shape for source in scene.sources)


def test_separations_none_and_oracle(simulated):
    scene = listen_to_scene(simulated, "auto", None, "oracle")
    turned = replace(scene, sources=scene.sources[::-1])  # whoever is first, the truth goes to the nearest
    best = replace_signals(turned, simulated, "oracle")
    np.testing.assert_array_equal(best.sources[0].image, simulated.images[1])
    np.testing.assert_array_equal(best.sources[1].image, simulated.images[0])
    none = replace_signals(scene, simulated, "none")
    assert all(np.array_equal(source.image, simulated.recording) for source in none.sources)
    assert replace_signals(scene, simulated, "estimated") is scene
    nothing = Scene((), scene.rate, "ortf")
    assert replace_signals(nothing, simulated, "oracle") is nothing


def test_what_was_matched_is_scored_by_where_it_truly_is(simulated):
    """bell left, dog right; a plan that swaps the words has nothing right, half a plan has half."""
    case, scene = (
        Case(("bell", "dog"), (-32.0, 21.0), (-35.0, -35.0), 7),
        listen_to_scene(simulated, "auto", None, "oracle"),
    )
    words = [SimpleNamespace(text="dog"), SimpleNamespace(text="bell")]
    assert find_true_words(scene, simulated, case, words) == {0: 1, 1: 0}
    left, right = (0.1, 0.3, 0.4, 0.7), (0.6, 0.3, 0.9, 0.7)

    def share(chosen: dict[int, int], boxes: dict[str, tuple]) -> tuple[float, float]:
        matches = [SimpleNamespace(source=source, token=token) for source, token in chosen.items()]
        regions = {i: SimpleNamespace(label=name, box=box) for i, (name, box) in enumerate(boxes.items())}
        found = score_plan(SimpleNamespace(scene=scene, words=words, matches=matches, regions=regions), case, simulated)
        return found["matched"], found["sided"]

    assert share({0: 1, 1: 0}, {"bell": left, "dog": right}) == (1.0, 1.0)
    assert share({0: 0, 1: 1}, {"bell": right, "dog": left}) == (0.0, 0.0)
    assert share({0: 1}, {"bell": left}) == (0.5, 0.5)


def test_pairs_are_of_the_nearest():
    def scene(*azimuths: float) -> Scene:
        from spatial.scene import Source

        return Scene(tuple(Source(np.zeros(1, np.float32), Direction(a)) for a in azimuths), 16_000, "ortf")

    assert sorted(pair_sources(scene(25.0, -30.0), scene(-28.0, 20.0))) == [(0, 1), (1, 0)]
    assert pair_sources(scene(5.0), scene(-40.0, 10.0)) == [(0, 1)]


def test_listening_with_all_that_is_true_is_right(tmp_path):
    figures = listen_scenes(directions="oracle", separation="oracle", n=2, seed=4, out=tmp_path)
    assert figures["error"] == pytest.approx(0, abs=1e-6) and figures["f"] == figures["count_right"] == 1.0
    assert figures["si_sdr"] > 35 and (tmp_path / "pictures" / "last.png").is_file()
    with pytest.raises(OptionError, match="Got separation=our, expected some of none, estimated, oracle"):
        listen_scenes(separation="our", seed=0, out=tmp_path)


def test_guidance_is_changed_only_where_something_is_given():
    from guidance.methods import METHODS

    assert build_guidance("layout") == METHODS["layout"] and build_guidance("none") == "none"
    changed = build_guidance("combined", strength=15.0, guided_steps=2, inner=3, layers=["a", "b"])
    assert changed.layers == ("a", "b") and changed.energy == METHODS["combined"].energy
    assert (changed.schedule.strength, changed.schedule.steps, changed.schedule.inner) == (15.0, 2, 3)
    assert changed.schedule.bias == METHODS["combined"].schedule.bias
    with pytest.raises(OptionError, match="Got strength for energy=none"):
        build_guidance("none", strength=15.0)


@pytest.fixture(scope="module")
def encoder():
    from audiotoken.encoders.mini import MiniEncoder

    torch.manual_seed(3)
    return MiniEncoder(width=12, mels=32, channels=(2, 3, 4, 5, 6)).eval()


def test_the_last_layer_is_what_the_encoder_says_itself(encoder):
    sound = torch.randn(2, 24_000, generator=torch.Generator().manual_seed(1)) / 10
    own = LayeredEncoder.from_encoder(encoder, [LAST])
    torch.testing.assert_close(own.features(sound), encoder.features(sound), rtol=0, atol=0)
    assert own.width == 12


def test_layers_stand_side_by_side_in_the_encoders_pace(encoder):
    sound = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(1)) / 10
    both, third = LayeredEncoder.from_encoder(encoder, [3, 1]), LayeredEncoder.from_encoder(encoder, [3])
    features = both.features(sound)
    assert features.shape == (1, encoder.features(sound).shape[1], 2 * 4 + 2 * 2) and both.width == features.shape[2]
    torch.testing.assert_close(features[..., :8], third.features(sound))
    with pytest.raises(OptionError, match="expected some of 1 to 6"):
        LayeredEncoder.from_encoder(encoder, [7])
