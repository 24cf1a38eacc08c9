"""What a command says of warnings; errors are in test_early_errors.py and test_stopped.py."""

import warnings

import pytest

from audiotoken.metrics import score_examples
from audiotoken.tasks.sentences import errors_as_sentences

SAME = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]  # three pictures, equally near to each clip


def test_a_warning_of_ours_is_one_note_without_its_place(capsys):
    with errors_as_sentences():
        for _ in range(2):
            assert list(score_examples(generated=SAME, audio=SAME)["ais_z"]) == [0, 0, 0]
    told = capsys.readouterr().err
    assert told == "note   All other pictures are equally similar to some clip, so its z-score is 0.\n"


def test_other_warnings_are_as_they_were(capsys):
    with pytest.warns(UserWarning, match="Something is old"), errors_as_sentences():
        warnings.warn("Something is old.", stacklevel=1)
    with pytest.warns(UserWarning, match="equally similar"), errors_as_sentences(traceback=True):
        score_examples(generated=SAME, audio=SAME)
    assert capsys.readouterr().err == ""
