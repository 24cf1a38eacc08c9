"""Which row of an ablation is the one that the others are compared with."""

import json

import pytest

from experiments.ablations.results import collect


def write_run(folder, wanted, **options):
    task = {"_target_": "experiments.ablations.listening.listen_scenes", **options}
    record = {
        "status": "finished", "name": "ways", "title": "Which?", "shown": ["score"], "seed": 0, "key": "k",
        "task": task, "overrides": [], "figures": {"score": 1.0}, "state": {}, "seconds": 1.0,
        "cpu_seconds": 1.0, "baseline": wanted,
    }  # fmt: skip
    place = folder / "-".join(map(str, options.values()))
    place.mkdir(parents=True)
    (place / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    "wanted, found",
    [
        ({"way": "b", "strength": 60}, {"way": "b"}),  # strength is the same in all runs, and 60
        ({"way": "b"}, {"way": "b"}),
        ({"way": "b", "strength": 30}, None),
        ({"strength": 60}, None),  # of several it would be any
        (None, None),
    ],
)
def test_the_baseline_is_the_one_row_that_has_its_options(tmp_path, wanted, found):
    for way in ("a", "b", "c"):
        write_run(tmp_path, wanted, way=way, strength=60)
    (one,) = collect(tmp_path)
    assert (one.baseline and one.baseline.variant) == found
