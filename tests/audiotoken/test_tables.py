"""Markdown tables: padded, aligned, and not broken by what is in a cell."""

from audiotoken.tables import markdown_table


def test_cells_are_kept_as_they_are_and_aligned():
    lines = markdown_table(["name", "mean", "low, %"], [["a", "1.00", 7], [None, "0.5", "12"]], "lr").splitlines()
    assert lines == [
        "| name   |   mean |   low, % |",
        "|:-------|-------:|---------:|",
        "| a      |   1.00 |        7 |",
        "|        |    0.5 |       12 |",
    ]


def test_a_cell_cannot_break_the_table():
    table = markdown_table(["a|b"], [["x|y\nz"]])
    assert table.splitlines()[0] == "| a\\|b   |" and table.splitlines()[2] == "| x\\|y z |"


def test_a_table_without_rows_has_its_head():
    assert markdown_table(["a", "b"], [], "lr").startswith("| a   | b   |\n|")
