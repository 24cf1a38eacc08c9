"""Scores on embeddings: perfect, shuffled, by hand, closed form, frozen."""

import warnings

import numpy as np
import pytest
from scipy.linalg import sqrtm

from audiotoken import metrics
from audiotoken.errors import MetricError

LABELS = np.arange(12) % 4


def unit(rng, *shape):
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_perfect_pairs_have_perfect_scores():
    audio = np.eye(12)
    scores = metrics.score_set(generated=audio, audio=audio, real=audio, classes=np.eye(4, 12), labels=LABELS * 0)
    assert scores["ais"] == scores["ais_win"] == scores["iis"] == scores["iis_win"] == 1
    assert scores["clip_fid"] == pytest.approx(0, abs=1e-9)
    every = metrics.score_examples(generated=np.eye(4)[LABELS], classes=np.eye(4), labels=LABELS)
    assert every["aic"].mean() == 1


def test_which_way_is_better():
    """Each score of the right pictures against that of the same ones mixed up, and of wrong ones."""
    rng = np.random.default_rng(3)
    audio, labels = rng.standard_normal((40, 6)), np.arange(40) % 4
    sets = [audio + 0.1 * rng.standard_normal((40, 6)), 1 + 2 * np.roll(audio, 1, axis=0)]
    right, wrong = (
        metrics.score_set(
            generated=each, audio=audio, real=audio, generated_features=each, real_features=audio,
            classes=np.stack([audio[labels == k].mean(axis=0) for k in range(4)]), labels=labels,
        )
        for each in sets
    )  # fmt: skip
    better = {name: right[name] > wrong[name] for name in right}
    assert better == metrics.HIGHER_IS_BETTER


def test_shuffled_pairs_are_chance():
    rng = np.random.default_rng(1)
    audio, pictures = unit(rng, 800, 16), unit(rng, 800, 16)
    assert metrics.z_score(audio, pictures).mean() == pytest.approx(0, abs=0.1)
    assert metrics.win_rate(audio, pictures).mean() == pytest.approx(0.5, abs=0.03)
    labels = rng.integers(5, size=800)
    assert metrics.score_classification(pictures, unit(rng, 5, 16), labels).mean() == pytest.approx(0.2, abs=0.04)


def test_by_hand():
    audio = np.array([[1.0, 0], [0, 2], [3, 3]])
    pictures = np.array([[2.0, 0], [1, 1], [0, 5]])
    half = np.sqrt(0.5)
    assert metrics.cosine(audio, pictures) == pytest.approx([1, half, half])
    # clip 0 with the other pictures: half and 0; clip 1: 0 and 1; clip 2: half and 1
    wanted = [(1 - half / 2) / (half / 2), (half - 0.5) / 0.5, (half - (1 + half) / 2) / ((1 - half) / 2)]
    assert metrics.z_score(audio, pictures) == pytest.approx(wanted)
    # picture 0: 1 beats 0 and half; picture 1: half ties with clip 0, loses to 1; picture 2: half beats 0, loses to 1
    assert metrics.win_rate(audio, pictures) == pytest.approx([1, 0.25, 0.5])


def test_z_scores_compare_pictures_and_win_rates_compare_clips():
    """z goes over the pictures for one clip, win rate over the clips for one picture."""
    audio = np.array([[1.0, 0], [0, 1], [0, 1]])
    pictures = np.array([[1.0, 0], [1, 0], [0, 1]])
    assert metrics.win_rate(audio, pictures) == pytest.approx([1, 0.25, 0.75])
    assert metrics.z_score(audio, pictures)[0] == pytest.approx(1)  # others: 1 and 0
    assert metrics.z_score(audio, pictures)[1] == pytest.approx(-1)


def test_norms_do_not_matter():
    rng = np.random.default_rng(2)
    audio, pictures = rng.standard_normal((6, 5)), rng.standard_normal((6, 5))
    for score in (metrics.cosine, metrics.z_score, metrics.win_rate):
        assert score(audio * 7, pictures * 0.01) == pytest.approx(score(audio, pictures))


def test_draws_are_the_mean_of_all_in_the_long_run():
    rng = np.random.default_rng(3)
    audio, pictures = unit(rng, 20, 8), unit(rng, 20, 8)
    drawn = metrics.win_rate(audio, pictures, draws=3000, seed=5)
    assert drawn == pytest.approx(metrics.win_rate(audio, pictures), abs=0.05)
    assert (drawn == metrics.win_rate(audio, pictures, draws=3000, seed=5)).all()
    assert (drawn != metrics.win_rate(audio, pictures, draws=3000, seed=6)).any()


def test_equal_pictures_have_z_scores_of_zero():
    audio, pictures = np.eye(4), np.ones((4, 4))
    with pytest.warns(UserWarning, match="equally similar"):
        assert (metrics.z_score(audio, pictures) == 0).all()
    assert (metrics.win_rate(audio, pictures) == 0.5).all()


def test_frechet_distance_in_closed_form():
    rng = np.random.default_rng(4)
    white = rng.standard_normal((500, 3))
    white = np.linalg.solve(np.linalg.cholesky(np.cov(white, rowvar=False)), (white - white.mean(0)).T).T
    assert metrics.frechet_distance(white, white + np.array([3, 4, 0])) == pytest.approx(25)
    assert metrics.frechet_distance(white, white * [2, 1, 4]) == pytest.approx(1 + 9)  # sum of (s - 1) squared
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    mixed = white * [2, 1, 4]
    assert metrics.frechet_distance(white @ turn, mixed @ turn) == pytest.approx(10)
    assert metrics.frechet_distance(mixed, mixed @ turn) == pytest.approx(metrics.frechet_distance(mixed @ turn, mixed))


def test_frechet_distance_as_it_is_written():
    """Heusel et al. (2017), eq. 6, with scipy's root of the product itself."""
    rng = np.random.default_rng(9)
    a, b = rng.standard_normal((50, 5)) @ rng.standard_normal((5, 5)), rng.standard_normal((40, 5)) + 0.3
    one, two, gap = np.cov(a, rowvar=False), np.cov(b, rowvar=False), a.mean(0) - b.mean(0)
    wanted = gap @ gap + np.trace(one + two - 2 * sqrtm(one @ two).real)
    assert metrics.frechet_distance(a, b) == pytest.approx(wanted)


def test_frechet_distance_with_few_pictures_warns():
    with pytest.warns(UserWarning, match="too few"):
        assert metrics.frechet_distance(np.eye(4), np.eye(4)) == pytest.approx(0, abs=1e-9)


def test_bootstrap_covers_the_truth():
    rng = np.random.default_rng(5)
    inside = 0
    for trial in range(200):
        low, high = metrics.bootstrap_interval(rng.normal(2, 1, 60), resamples=300, seed=trial)
        inside += low < 2 < high
    assert 0.88 <= inside / 200 <= 0.99


def test_bootstrap_does_not_count_seeds_as_examples():
    rng = np.random.default_rng(6)
    clips = rng.normal(0, 1, 40)
    few, many = (
        metrics.bootstrap_interval(clips),
        metrics.bootstrap_interval(np.tile(clips, (10, 1))),
    )  # the same ten times over
    assert many[1] - many[0] == pytest.approx(few[1] - few[0], rel=0.15)
    assert metrics.bootstrap_interval(np.ones((2, 5))) == (1, 1)


def test_bootstrap_of_a_distance_lies_around_it():
    rng = np.random.default_rng(7)
    a, b = rng.standard_normal((80, 4)), rng.standard_normal((80, 4)) + 1
    low, high = metrics.bootstrap_distance_interval(a, b, resamples=60)
    assert 0 <= low < metrics.frechet_distance(a, b) < high


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.cosine(np.ones(3), np.ones(3)), "expected \\(examples, width\\)"),
        (lambda: metrics.cosine(np.ones((3, 2)), np.ones((4, 2))), "one row for each example"),
        (lambda: metrics.similarity(np.ones((3, 2)), np.ones((3, 4))), "2 and 4 wide, expected one width"),
        (lambda: metrics.cosine(np.ones((0, 2)), np.ones((0, 2))), "at least one example"),
        (lambda: metrics.cosine(np.ones((2, 2)), np.array([[1, np.nan], [1, 1]])), "NaN or infinite"),
        (lambda: metrics.cosine(np.ones((2, 2)), np.array([[1, 1], [0, 0]])), "norm 0 in row 1"),
        (lambda: metrics.win_rate(np.ones((1, 2)), np.ones((1, 2))), "Got 1 example, expected at least 2"),
        (lambda: metrics.score_classification(np.ones((2, 2)), np.eye(2), [0.0, 1.0]), "indices of classes"),
        (lambda: metrics.score_classification(np.ones((2, 2)), np.eye(2), [0, 1, 1]), "expected 2 indices"),
        (lambda: metrics.score_classification(np.ones((2, 2)), np.eye(2), [0, 2]), "expected 0 to 1"),
        (lambda: metrics.frechet_distance(np.ones((3, 2)), np.ones((3, 3))), "with one width"),
        (lambda: metrics.frechet_distance(np.ones((1, 2)), np.ones((3, 2))), "at least two rows"),
        (lambda: metrics.bootstrap_interval(np.zeros((2, 0))), "finite numbers"),
        (lambda: metrics.bootstrap_interval([1.0, np.inf]), "finite numbers"),
    ],
)
def test_invalid_embeddings_are_errors(call, words):
    with pytest.raises(MetricError, match=words):
        call()


def test_scores_without_inputs_are_left_out():
    pictures = np.eye(3)
    assert set(metrics.score_set(generated=pictures)) == set()
    assert set(metrics.score_set(generated=pictures, audio=pictures)) == {"ais", "ais_z", "ais_win"}


def test_frozen_scores():
    """By this repository, `metrics.score_set` at its first commit, on numbers that numpy's PCG64 gives for seed 8."""
    rng = np.random.default_rng(8)
    audio, real = rng.standard_normal((30, 6)), rng.standard_normal((30, 6))
    generated = 0.7 * audio + 0.5 * real + 0.4 * rng.standard_normal((30, 6))
    classes, labels = rng.standard_normal((5, 6)), rng.integers(5, size=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.score_set(
            generated=generated, audio=audio, real=real, classes=classes, labels=labels,
            generated_features=generated[:, :4], real_features=real[:, :4],
        )  # fmt: skip
    assert {name: round(value, 4) for name, value in scores.items()} == FROZEN


FROZEN = {
    "ais": 0.7718,
    "ais_z": 1.9393,
    "ais_win": 0.9644,
    "iis": 0.5623,
    "iis_z": 1.3978,
    "iis_win": 0.8644,
    "aic": 0.1667,
    "clip_fid": 0.8055,
    "fid": 0.4697,
}
