"""What a batch holds depends on (seed, step) alone."""

import threading
from itertools import islice

import pytest
import torch

from audiotoken.data.batches import TEMPLATES, Batches, prefetch_items
from audiotoken.data.examples import Encoded
from audiotoken.errors import DataError, PromptError


class Numbers:
    """Example i is the number i everywhere; `spread` is the deviation of its Gaussian."""

    names, scaling_factor = ("a", "b"), 0.5

    def __init__(self, count: int, spread: float = 0.0):
        self.count, self.spread = count, spread

    def __len__(self) -> int:
        return self.count

    def load(self, indices, variant=0):
        values = torch.tensor(indices, dtype=torch.float32)
        mean = values[:, None, None, None].expand(-1, 3, 2, 2)
        log_variance = torch.full_like(mean, 2 * torch.tensor(self.spread).log().item())
        features = (values + 1000 * variant)[:, None, None].expand(-1, 5, 4)
        return Encoded(torch.cat([mean, log_variance], 1), features, torch.tensor(indices) % 2)


def first(batches: Batches, count: int, start: int = 0) -> list:
    made = batches(start)
    try:
        return list(islice(made, count))
    finally:
        made.close()


def same(a, b) -> bool:
    tensors = all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("latents", "features", "labels"))
    return tensors and list(a.texts) == list(b.texts)


def test_an_epoch_deals_each_example_once_and_the_next_in_another_order():
    batches = first(Batches(Numbers(11), 5), 4)
    order = [
        [int(value) % 1000 for batch in half for value in batch.features[:, 0, 0]]
        for half in (batches[:2], batches[2:])
    ]
    assert all(len(set(each)) == 10 for each in order) and order[0] != order[1]
    assert [int(batch.features[0, 0, 0]) // 1000 for batch in batches] == [0, 0, 1, 1]  # the epoch is the variant


def test_starting_at_a_step_is_skipping_those_before():
    batches = Batches(Numbers(11, 1.0), 4, seed=3, templates=TEMPLATES)
    for start in (1, 2, 5):
        assert all(map(same, first(batches, 7)[start:], first(batches, 7 - start, start)))


@pytest.mark.parametrize("processes", [2, 3])
def test_the_parts_of_several_processes_are_the_batch_of_one(processes):
    options = {"size": 6, "seed": 5, "templates": TEMPLATES}
    whole = first(Batches(Numbers(13, 1.0), **options), 5)
    parts = [first(Batches(Numbers(13, 1.0), **options, rank=r, processes=processes), 5) for r in range(processes)]
    for one, several in zip(whole, zip(*parts, strict=True), strict=True):
        for name in ("latents", "features", "labels"):
            assert torch.equal(getattr(one, name), torch.cat([getattr(part, name) for part in several]))
        assert list(one.texts) == [text for part in several for text in part.texts]


def test_prefetching_changes_nothing():
    options = {"size": 4, "seed": 1, "templates": TEMPLATES}
    ahead, alone = (Batches(Numbers(9, 1.0), **options, prefetch=prefetch) for prefetch in (3, 0))
    assert all(map(same, first(ahead, 8), first(alone, 8)))


def test_latents_are_drawn_from_the_gaussian_and_scaled():
    (still,) = first(Batches(Numbers(4), 4), 1)
    assert torch.allclose(still.latents[:, 0, 0, 0], 0.5 * still.features[:, 0, 0], atol=1e-5)
    drawn = torch.cat([batch.latents for batch in first(Batches(Numbers(4, 3.0), 4), 200)])
    values = torch.cat([batch.features[:, :1, :1, None] % 1000 for batch in first(Batches(Numbers(4, 3.0), 4), 200)])
    noise = (drawn / 0.5 - values) / 3
    assert noise.mean().abs() < 0.03 and abs(noise.std() - 1) < 0.03
    assert len(noise[:, 0, 0, 0].unique()) == len(noise)  # each picture has its own


def test_seeds_draw_other_orders_and_other_noise():
    one, other = (first(Batches(Numbers(50, 1.0), 8, seed=seed), 1)[0] for seed in (0, 1))
    assert not torch.equal(one.features, other.features)
    assert not torch.equal(one.latents - one.features[:, :1, :1, None], other.latents - other.features[:, :1, :1, None])


def test_a_template_is_drawn_for_each_picture():
    batches = first(Batches(Numbers(20), 10, templates=TEMPLATES), 30)
    texts = [text for batch in batches for text in batch.texts]
    assert set(texts) == set(TEMPLATES) and all(text.count("<audio>") == 1 for text in texts)
    assert len(set(batches[0].texts)) > 1
    assert {text for batch in first(Batches(Numbers(20), 10), 3) for text in batch.texts} == {"a photo of <audio>"}


def test_fewer_examples_than_a_batch_are_dealt_again():
    batches = first(Batches(Numbers(3), 7), 2)
    for batch in batches:
        counts = torch.bincount(batch.features[:, 0, 0].long() % 1000, minlength=3)
        assert counts.sum() == 7 and counts.min() >= 2


def test_an_error_while_making_a_batch_comes_through_in_its_turn():
    def items():
        yield from (1, 2)
        raise DataError("None of the 3 examples can be used.")

    made = prefetch_items(items(), 5)
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(DataError, match="None of the 3"):
        next(made)
    assert list(prefetch_items(iter([4, 5, 6]), 1)) == [4, 5, 6]


def test_the_thread_ends_when_the_iterator_is_closed():
    made = Batches(Numbers(8), 2, prefetch=1)(0)
    next(made)
    assert "prefetch" in [thread.name for thread in threading.enumerate()]
    made.close()
    assert "prefetch" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("options", [{"size": 5, "processes": 2}, {"size": 0}, {"size": 4, "processes": 2, "rank": 2}])
def test_a_batch_that_cannot_be_shared_is_refused(options):
    with pytest.raises(DataError, match="expected one that all can share"):
        Batches(Numbers(8), **options)


@pytest.mark.parametrize("templates", [(), ("a photo",), ("<audio> and <audio>",)])
def test_templates_without_one_sound_are_refused(templates):
    with pytest.raises(PromptError, match="each with one <audio>"):
        Batches(Numbers(8), 4, templates=templates)
