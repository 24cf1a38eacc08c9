"""losses.csv of a run: what is whole is read, half rows are left out, and a file of something else is one sentence."""

import pytest

from audiotoken.errors import DataError
from audiotoken.loss_table import check_columns, drop_steps_from, read_losses

HEAD = b"step,total,l1,learning_rate,images_per_second\n"
ROWS = [b"1,3.5,0.5,0.001,8\n", b"2,3.25,0.25,0.001,8\n"]
HALF_ROWS = [
    b"3,1.5\n",
    b"3,1.5,0.5,0.001,8",  # where a disk was full
    b"3,1.5,0.5,0.001,8,9\n",
    b"3,,0.5,0.001,8\n",
    b"3,nan,0.5,0.001,8\n",
    b"3.5,1.5,0.5,0.001,8\n",
    b"0,1.5,0.5,0.001,8\n",
    b"1e300,1.5,0.5,0.001,8\n",
    b"\xff\xfe\x00\x01junk\n",
    b"\n",
]


@pytest.fixture
def table(tmp_path):
    def write(*lines):
        (tmp_path / "losses.csv").write_bytes(b"".join(lines))
        return tmp_path / "losses.csv"

    return write


@pytest.mark.parametrize("half", HALF_ROWS)
def test_a_row_that_is_not_whole_is_left_out(half, table):
    read = read_losses(table(HEAD, *ROWS, half))
    assert read.steps == (1, 2) and read.losses == {"total": [3.5, 3.25], "l1": [0.5, 0.25]}


def test_of_a_step_that_was_done_again_the_last_row_counts(table):
    read = read_losses(table(HEAD, *ROWS, b"1,9,8,0.001,8\n"))
    assert read.steps == (1, 2) and read.losses["total"] == [9, 3.25]


def test_a_file_without_rows_has_no_steps(table):
    assert read_losses(table(b"")).losses == {}
    assert read_losses(table(HEAD)).steps == ()


@pytest.mark.parametrize("head", [b"\x00\xff\x10\n", b"total,l1\n", b"step,learning_rate\n", b"1,3.5,0.5,0.001,8\n"])
def test_a_file_whose_first_line_is_none_of_a_run_is_one_sentence(head, table):
    path = table(head, *ROWS)
    with pytest.raises(DataError, match="first line does not name the step and the losses"):
        read_losses(path)
    assert path.read_bytes() == b"".join([head, *ROWS])


def test_rows_follow_only_rows_of_the_same_columns(table):
    check_columns(["step", "total"], table(b""))
    check_columns(["step", "total"], table(b"step,total\r\n"))
    with pytest.raises(DataError, match="'step,total', expected step,total,l1; move it away"):
        check_columns(["step", "total", "l1"], table(b"step,total\n", *ROWS))


@pytest.mark.parametrize("half", HALF_ROWS)
def test_a_run_that_goes_on_drops_what_it_does_again(half, table):
    path = table(HEAD, *ROWS, half)
    drop_steps_from(2, path)
    assert path.read_bytes() == HEAD + ROWS[0]
