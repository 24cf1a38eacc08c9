"""Several processes that write one folder share the work or wait; none removes what another is writing."""

import os
import threading
from types import SimpleNamespace

import pytest

from audiotoken.data import prepared
from audiotoken.errors import OptionError
from audiotoken.folder_lock import locking, make_folder, writing_alone
from audiotoken.tasks.run_log import log_run


def test_a_lock_has_one_owner_and_leaves_no_file(tmp_path):
    with locking(tmp_path, "a") as one, locking(tmp_path, "a") as two, locking(tmp_path, "b") as other:
        assert one and not two and other
    with locking(tmp_path, "a") as again:
        assert again
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_written_now_is_refused(tmp_path):
    accelerator = SimpleNamespace(is_main_process=True)
    (tmp_path / "settings.json").write_text("theirs")
    with writing_alone(tmp_path):
        with pytest.raises(OptionError, match="another process is writing there now"), writing_alone(tmp_path):
            pass
        with pytest.raises(OptionError, match="another process"), log_run(tmp_path, accelerator, {}, None):
            pass
    assert (tmp_path / "settings.json").read_text() == "theirs"


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "a").touch()
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OptionError, match="Cannot write"):
            make_folder(folder)
    with pytest.raises(OptionError, match="Cannot write"), locking(tmp_path / "a", "x"):
        pass


@pytest.mark.parametrize(("written", "expected"), [(set(), [1, 2, 0]), ({0}, [1, 2]), ({1}, [2, 0])])
def test_shards_of_another_process_are_waited_for_and_written_only_if_it_was_killed(
    written, expected, tmp_path, monkeypatch
):
    def read_notes(folder, shard, manifest):
        return {} if shard in written else None

    monkeypatch.setattr(prepared, "try_read_notes", read_notes)
    theirs, killed = threading.Event(), threading.Event()

    def write_slowly():
        with locking(tmp_path, "claim-00000"):
            theirs.set()
            killed.wait(60)

    other = threading.Thread(target=write_slowly)
    other.start()
    theirs.wait(60)
    mine = []
    for shard in prepared._claim_shards(tmp_path, [0, 1, 2], None):
        mine.append(shard)
        if shard == 2:
            killed.set()
    other.join()
    assert mine == expected and os.listdir(tmp_path) == []
