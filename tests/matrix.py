"""Counts the cells of the authorization matrix that were tried, for the last lines of a test run."""

_CELLS = {"tried": 0, "of": 0}


def expect_cells(cells: int) -> None:
    """How many there are: operations and node types × callers × own or another account."""
    _CELLS["of"] = cells


def count_cells(cells: int) -> None:
    """So many answered as they should."""
    _CELLS["tried"] += cells


def summary() -> str:
    """Empty where the matrix was not part of the run."""
    if not _CELLS["tried"]:
        return ""
    return f"authorization matrix: {_CELLS['tried']} of {_CELLS['of']} cells (operation × role × own or other account)"
