"""Answers -> means, intervals over clips and raters, agreement; and the files of --table."""

import csv
import re
from math import isnan, sqrt

import numpy as np
import pytest
from rate_folder import rate_folder
from typer.testing import CliRunner

from audiotoken.cli.app import app
from audiotoken.metrics import bootstrap_interval
from audiotoken.rating.store import FILE, Answer, Store
from audiotoken.rating.table import compute_rows, format_csv, format_latex, format_markdown


def crossed(table):
    """{(rater, clip): value} of a (raters, clips) array -> what `bootstrap_interval` takes."""
    raters, clips = np.indices(table.shape)
    return table.ravel().tolist(), [f"c{i}" for i in clips.ravel()], [f"r{i}" for i in raters.ravel()]


def test_one_rater_is_the_plain_bootstrap():
    values = np.random.default_rng(4).uniform(1, 5, 200)
    half = 1.96 * values.std() / sqrt(200)
    assert bootstrap_interval(*crossed(values[None])) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.04
    )


@pytest.mark.parametrize("turned", [False, True], ids=["raters differ", "clips differ"])
def test_clips_and_raters_are_both_resampled(turned):
    """Six who differ are six, however many answers each gave: a bootstrap of answers would be 5 times as narrow."""
    table = np.repeat([[1.0], [2.0], [2.0], [3.0], [4.0], [5.0]], 40, axis=1)
    low, high = bootstrap_interval(*crossed(table.T if turned else table))
    half = 1.96 * table[:, 0].std() / sqrt(6)
    assert (low, high) == pytest.approx((17 / 6 - half, 17 / 6 + half), abs=0.15)


def test_missing_answers_shift_nothing():
    """Each rater has answered another number of clips, all alike: there is nothing to be unsure of."""
    raters = [f"r{i}" for i in range(5) for _ in range(i + 1)]
    clips = [f"c{j}" for i in range(5) for j in range(i + 1)]
    assert bootstrap_interval([3.0] * len(raters), clips, raters) == (3, 3)


def test_the_interval_is_seeded_and_undefined_for_one_answer():
    some = crossed(np.random.default_rng(0).uniform(size=(4, 9)))
    assert bootstrap_interval(*some, seed=1) == bootstrap_interval(*some, seed=1) != bootstrap_interval(*some, seed=2)
    (row,) = compute_rows([Answer("anna", "dog", "combined", "belongs", "3")])
    assert row.mean == 3 and isnan(row.low) and isnan(row.high)
    (row,) = compute_rows([Answer("anna", "dog", "combined", "belongs", "cannot say")])
    assert isnan(row.mean) and isnan(row.low)


def answers():
    scores = {("anna", "dog"): "4", ("anna", "frog"): "5", ("ben", "dog"): "2", ("ben", "frog"): "cannot say"}
    given = [Answer(rater, clip, "combined", "belongs", score) for (rater, clip), score in scores.items()]
    given += [Answer(rater, clip, "mono", "belongs", "1") for rater, clip in scores]
    sides = {("anna", "left"): "yes", ("ben", "left"): "yes", ("anna", "right"): "no", ("ben", "right"): "no"}
    return given + [
        Answer(rater, "frog", "combined", f"side: frog {side}", answer) for (rater, side), answer in sides.items()
    ]


def test_rows():
    rows = {(row.system, row.question): row for row in compute_rows(answers())}
    assert list(rows) == [
        ("combined", "belongs"),
        ("mono", "belongs"),
        ("all systems", "belongs"),
        ("combined", "side"),
    ]
    row = rows["combined", "belongs"]
    assert (row.answers, row.cannot_say, row.clips, row.raters) == (3, 1, 2, 2)
    assert row.mean == pytest.approx(11 / 3) and row.low <= row.mean <= row.high
    assert row.alpha == pytest.approx(0)  # one pair, of the only two values there are
    side = rows["combined", "side"]
    assert (side.mean, side.answers, side.alpha) == (0.5, 4, 1)  # each object is a thing of its own
    assert isnan(rows["mono", "belongs"].alpha)
    # two pairs agree on 1 and one is 2 against 4: ranks by how many lie between, 2011, section D
    observed, expected = 2 * 1**2, 2 * (4 * 2.5**2 + 4 * 3.5**2 + 1 * 1**2) / 5
    assert rows["all systems", "belongs"].alpha == pytest.approx(1 - observed / expected)


def test_texts():
    rows = compute_rows(answers())
    read = list(csv.DictReader(format_csv(rows).splitlines()))
    assert read[0]["mean"] == "3.6667" and read[1]["alpha"] == "" and read[3]["question"] == "side"
    text = re.sub(" +", " ", format_markdown(rows))
    assert "| mono | 1.00 | 1.00 to 1.00 | 4 | 0 | 2 | 2 | |" in text
    assert text.index("belongs to the sound") < text.index("on its side")
    text = re.sub(" +", " ", format_markdown(compute_rows([Answer("anna", "a", "x|y", "belongs", "3")])))
    assert text.count("| x\\|y | 3.00 | | 1 |") == 1


def test_order_is_a_question_of_its_own_and_latex_has_a_line_for_each_system():
    given = [*answers(), Answer("anna", "frog", "a_b", "order", "yes"), Answer("ben", "frog", "a_b", "order", "no")]
    rows = {(row.system, row.question): row for row in compute_rows(given)}
    assert rows["a_b", "order"].mean == 0.5 and rows["combined", "side"].answers == 4
    lines = format_latex(list(rows.values())).splitlines()
    assert lines[2] == r"system & belongs (1 to 5) & side (\%) & order (\%) \\"
    cells = {line.split(" & ")[0]: line.split(" & ")[1:] for line in lines[4:-2]}
    assert cells["mono"] == [r"1.00 $\pm$ 0.00", "", r" \\"] and list(cells) == ["combined", "mono", r"a\_b"]
    assert re.fullmatch(r"3\.67 \$\\pm\$ \d\.\d\d", cells["combined"][0])


def test_latex_prints_names_of_folders_as_they_are():
    name = r"~50%_of\x^2 & {y}"
    text = format_latex(compute_rows([Answer("anna", "a", name, "belongs", "3")]))
    shown = r"\textasciitilde{}50\%\_of\textbackslash{}x\textasciicircum{}2 \& \{y\} & 3.00 \\"
    assert text.splitlines()[4] == shown


def run(*arguments):
    return CliRunner().invoke(app, ["rate", *(str(each) for each in arguments)])


def test_the_table_is_written(tmp_path):
    store = Store(tmp_path / FILE)
    for each in answers():
        store.put(each)
    store.close()
    first = run(tmp_path, "--table")
    assert first.exit_code == 0, first.output
    assert (tmp_path / "ratings.md").read_text() in first.stdout
    assert (tmp_path / "ratings.csv").read_text() == format_csv(compute_rows(answers()))
    assert (tmp_path / "ratings.tex").read_text() == format_latex(compute_rows(answers()))
    assert run(tmp_path, "--table").stdout == first.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--table"], "Found no answers in"),
        (["--rater", " "], "Got rater=' '"),
        (["--no-open"], "Found no picture of dog"),
    ],
)
def test_wrong_options_are_one_sentence(options, message, tmp_path):
    folder = rate_folder(tmp_path / "study")
    (folder / "combined" / "dog.png").unlink()
    result = run(folder, *options)
    assert result.exit_code == 2 and result.stdout == "", result.output
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert not (folder / FILE).exists()


def test_no_answers_yet_is_one_sentence(tmp_path):
    Store(tmp_path / FILE).close()
    result = run(tmp_path, "--table")
    assert result.exit_code == 2 and "expected at least one" in result.stderr and not (tmp_path / "ratings.md").exists()


def test_a_port_out_of_range_is_refused(tmp_path):
    result = run(rate_folder(tmp_path / "study"), "--port", "70000")
    assert result.exit_code == 2 and "Invalid value for '--port'" in result.stderr
