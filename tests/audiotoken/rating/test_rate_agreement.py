"""Krippendorff's alpha on published worked examples, and at its limits."""

from math import isnan

import pytest

from audiotoken.rating.agreement import krippendorff_alpha

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, https://repository.upenn.edu/asc_papers/43:
# a row for each observer, "." where there is no answer, and the alpha printed there
BINARY = ("0100000010", "1110010000")  # section A, 0.095
LETTERS = ("aabbdcccedda", "babbbccceddd")  # section B, 0.692
MISSING = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")  # section C
# "Krippendorff's alpha" in Wikipedia, a computational example: three coders, fifteen units
WIKIPEDIA = (".....34121133.3", "1.213343.......", "..21344.21133.4")


def units(rows):
    return [[float(int(value, 36)) for value in column if value != "."] for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(
    ("rows", "level", "alpha"),
    [
        (BINARY, "nominal", 0.095),
        (LETTERS, "nominal", 0.692),
        (MISSING, "nominal", 0.743),
        (MISSING, "ordinal", 0.815),
        (MISSING, "interval", 0.849),
        (WIKIPEDIA, "nominal", 0.691),
        (WIKIPEDIA, "interval", 0.811),
    ],
)
def test_alpha_is_as_published(rows, level, alpha):
    assert krippendorff_alpha(units(rows), level) == pytest.approx(alpha, abs=0.0005)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_agreement_is_one_and_disagreement_below_zero(level):
    assert krippendorff_alpha([[1, 1], [4, 4, 4], [5, 5]], level) == 1
    assert krippendorff_alpha([[1, 5], [5, 1], [1, 5]], level) < 0


def test_ordinal_depends_on_order_alone():
    stretched = [[{1: 1, 2: 10, 3: 11, 4: 50, 5: 51}[value] for value in unit] for unit in units(MISSING)]
    assert krippendorff_alpha(stretched, "ordinal") == pytest.approx(krippendorff_alpha(units(MISSING), "ordinal"))
    assert krippendorff_alpha(stretched, "interval") != pytest.approx(0.849, abs=0.005)


@pytest.mark.parametrize("rated", [[], [[3]], [[1], [2]], [[3, 3], [3, 3]]])
def test_alpha_is_undefined_without_two_values(rated):
    assert isnan(krippendorff_alpha(rated, "nominal"))
