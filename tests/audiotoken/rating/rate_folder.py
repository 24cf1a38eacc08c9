"""A folder to rate: three clips, two systems, and sides that are asked about one clip; and its page, served."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from PIL import Image

from audiotoken import rating
from audiotoken.rating.store import FILE, Store
from audiotoken.rating.study import read_study
from audiotoken.rating.trials import Trials
from audiotoken.serving import prepare_gradio

CLIPS, SYSTEMS = ("bell", "dog", "frog"), ("combined", "mono")
OBJECTS = {"frog": ["frog on the left", "bell on the right"]}
QUESTIONS = 2 * (1 + 1 + 4)  # for each rater


def rate_folder(folder):
    (folder / "clips").mkdir(parents=True)
    (folder / "objects.json").write_text(json.dumps(OBJECTS))
    for i, clip in enumerate(CLIPS):
        soundfile.write(folder / "clips" / f"{clip}.wav", np.full((800, 2), 0.1 * (i + 1)), 8000)
        for j, system in enumerate(SYSTEMS):
            (folder / system).mkdir(exist_ok=True)
            Image.new("RGB", (8, 8), (60 * i, 60 * j, 99)).save(folder / system / f"{clip}.png")
    return folder


@contextmanager
def served(tmp_path):
    """Yields a running page with its `url`, `port`, `trials`, `store` and whose sounds were `heard`: (rater, place)."""
    folder, files, heard = rate_folder(tmp_path / "study"), tmp_path / "files", []
    files.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
            patch.setenv(name, "")  # put back afterwards
        prepare_gradio(files)
        note_heard = rating.app.RatingPage.note_heard

        def record(self, visit):
            heard.append((visit.rater, visit.place))
            return note_heard(self, visit)

        patch.setattr(rating.app.RatingPage, "note_heard", record)
        store = Store(folder / FILE)
        trials = Trials(read_study(folder), store, files)
        page = rating.app.serve(trials, rater='<"anna">')
        try:
            yield SimpleNamespace(url=page.local_url, port=page.server_port, trials=trials, store=store, heard=heard)
        finally:
            page.close(verbose=False)
            store.close()
