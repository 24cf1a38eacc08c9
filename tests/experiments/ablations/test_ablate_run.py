"""A run leaves a whole folder or is made again; finished ones are kept, failed ones are told."""

import json
import os
from pathlib import Path

import pytest

from audiotoken.errors import OptionError
from experiments.ablations import run as ablate_run
from experiments.ablations.run import find_folder, hash_run, read_record, resolve_task, run

CALLS: list[tuple[int, int]] = []


def ask(*, way: int = 1, broken: bool = False, seed: int, out) -> dict[str, float]:
    """A question for these tests."""
    CALLS.append((way, seed))
    (Path(out) / "pictures").mkdir(exist_ok=True)
    (Path(out) / "pictures" / "one.png").write_bytes(b"picture")
    if broken:
        raise ValueError("Got broken=True, expected False; change it.")
    return {"score": way + seed / 10, "none": float("nan")}


@pytest.fixture
def config(tmp_path):
    CALLS.clear()
    task = {"_target_": f"{__name__}.ask", "way": 3, "broken": False}
    told = {"name": "ways", "title": "Which way?", "shown": ["score"], "seed": 2, "resume": True, "threads": 1}
    return {"task": task, "out": str(tmp_path), **told}


def test_a_run_writes_all_there_is_to_know(config, tmp_path):
    run(config, ["experiment=ways", "task.way=3", "seed=2"])
    (folder,) = (tmp_path / "ways").iterdir()
    assert folder.name == f"way=3,seed=2-{hash_run(config)}"
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "finished" and record["figures"]["score"] == pytest.approx(3.2)
    assert record["task"]["way"] == 3 and record["seed"] == 2 and record["seconds"] >= 0
    assert set(record["state"]) == {"git", "versions", "machine", "threads", "began"}
    assert record["state"]["versions"]["torch"].startswith("2.") and "changed" in record["state"]["git"]
    assert "way: 3" in (folder / "config.yaml").read_text() and (folder / "pictures" / "one.png").is_file()


def test_what_is_finished_is_kept_and_what_differs_is_made(config):
    run(config)
    assert run(config).startswith("kept")
    run(config | {"seed": 3})
    run(config | {"task": config["task"] | {"way": 4}})
    run(config | {"resume": False})
    assert CALLS == [(3, 2), (3, 3), (4, 2), (3, 2)]


def test_a_model_with_other_weights_is_asked_again_in_the_same_folder(config, tmp_path, monkeypatch):
    (weights := tmp_path / "model" / "model.safetensors").parent.mkdir()
    weights.touch()
    config["task"] |= {"model": str(weights.parent)}
    monkeypatch.setattr(ablate_run, "resolve_task", lambda node: (ask, {"way": 3}))
    run(config)
    assert run(config).startswith("kept")
    os.utime(weights, (1, 1))
    assert run(config | {"name": "same"}).startswith("done")  # that of `ways` is no equal run
    assert run(config).startswith("as in") and run(config).startswith("kept")
    assert len(CALLS) == 2 and len(list((tmp_path / "ways").iterdir())) == 1


def test_the_order_of_overrides_makes_no_other_run(config, tmp_path):
    run(config, ["task.way=3", "seed=2"])
    assert run(config, ["seed=2", "task.way=3"]).startswith("kept") and len(CALLS) == 1
    assert len(list((tmp_path / "ways").iterdir())) == 1


def test_a_damaged_record_counts_for_nothing(config):
    run(config)
    record = find_folder(config) / "run.json"
    record.write_text(record.read_text()[:40])
    assert read_record(find_folder(config)) is None
    assert run(config).startswith("done") and len(CALLS) == 2


def test_an_error_is_kept_and_told_and_mended_by_the_next_run(config, monkeypatch):
    broken = config | {"task": config["task"] | {"broken": True}}
    assert run(broken, alone=False).startswith("failed") and "Got broken=True" in run(broken, alone=False)
    folder = find_folder(broken)
    assert read_record(folder)["error"] == "Got broken=True, expected False; change it."
    assert "Traceback" in (folder / "traceback.txt").read_text()
    with pytest.raises(ValueError, match="Got broken=True"):
        run(broken, alone=True)
    monkeypatch.setitem(ask.__kwdefaults__, "broken", False)
    monkeypatch.setattr(ablate_run, "resolve_task", lambda node: (ask, {"way": 3}))
    assert run(broken).startswith("done")
    assert not (folder / "traceback.txt").exists() and read_record(folder)["status"] == "finished"


def test_ctrl_c_leaves_no_record(config, monkeypatch):
    def stopped(**options):
        raise KeyboardInterrupt

    monkeypatch.setattr(ablate_run, "resolve_task", lambda node: (stopped, {}))
    with pytest.raises(KeyboardInterrupt):
        run(config, alone=False)
    assert read_record(find_folder(config)) is None


def test_another_experiment_takes_over_what_was_asked_before(config, tmp_path):
    run(config)
    other = config | {"name": "others", "title": "And then?"}
    assert run(other).startswith("as in") and len(CALLS) == 1
    record = read_record(find_folder(other))
    assert record["name"] == "others" and record["title"] == "And then?" and record["figures"]["score"] == 3.2
    assert (find_folder(other) / record["same_as"]).resolve() == find_folder(config).resolve()
    assert (find_folder(other) / "pictures" / "one.png").is_file()
    third = config | {"name": "third"}
    run(third)
    assert read_record(find_folder(third))["same_as"] == record["same_as"]  # the one that was made, not a copy of it


def test_a_failed_run_is_not_taken_over(config):
    broken = config | {"task": config["task"] | {"broken": True}}
    run(broken, alone=False)
    assert run(broken | {"name": "others"}, alone=False).startswith("failed") and len(CALLS) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [({"way": "far"}, "Got task.way=far, expected a whole number; change task.way."),
     ({"wya": 3}, "Got task.wya, expected one of broken, way"), ({"seed": 3}, "Got task.seed"),
     ({"_target_": "experiments.nothing.ask"}, "There is no task experiments"),
     ({"_target_": "nothing.ask"}, "No module named 'nothing'"), ({"_target_": "ask"}, "There is no task")],
)  # fmt: skip
def test_an_unknown_task_is_a_sentence(change, words, config):
    with pytest.raises(OptionError, match=words):
        resolve_task(config["task"] | change)


def test_any_function_with_seed_and_out_is_a_task(tmp_path, monkeypatch):
    (tmp_path / "one_s_own.py").write_text("def ask(way, seed, out): pass\ndef lost(way, seed): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_task({"_target_": "one_s_own.ask", "way": "a"})[1] == {"way": "a"}
    with pytest.raises(OptionError, match=r"The task one_s_own.lost has no parameter out; add it"):
        resolve_task({"_target_": "one_s_own.lost", "way": "a"})


def test_only_the_first_of_several_processes_writes(config, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    run(config)
    assert CALLS and read_record(find_folder(config)) is None
