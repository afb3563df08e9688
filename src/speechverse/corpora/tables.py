"""Tables as corpora bring them: text with a row of names at the top."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechverse.errors import CorpusError

Row = dict[str, str]


def read_table(path: Path, columns: tuple[str, ...] = (), quoted: bool | None = None) -> list[Row]:
    """Rows of a CSV file, or of a TSV file (by its ending).

    Args:
        columns: That must be there.
        quoted: Whether cells may stand in quotes; by default in a CSV alone, as corpora's TSV files
            have stray ones.

    Raises:
        CorpusError: If the file cannot be read as a table, or a column is missing.
    """
    is_csv = path.suffix.lower() == ".csv"
    quoting = csv.QUOTE_MINIMAL if (is_csv if quoted is None else quoted) else csv.QUOTE_NONE
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(_rows(lines, "," if is_csv else "\t", quoting))
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusError(f"the table '{path}' cannot be read: {error}") from error
    if rows and (missing := [name for name in columns if name not in rows[0]]):
        raise CorpusError(
            f"the table '{path}' has no column {', '.join(missing)}; it has {', '.join(rows[0])}"
        )
    return rows


def _rows(lines: Iterator[str], delimiter: str, quoting: int) -> Iterator[Row]:
    how: dict[str, Any] = {"delimiter": delimiter, "quoting": quoting, "strict": True}
    table = csv.DictReader(lines, **how)
    twice = [name for name, count in Counter(table.fieldnames or ()).items() if count > 1]
    if twice:
        raise ValueError(f"it has two columns {twice[0]!r}")
    for row in table:
        if None in row or None in row.values():
            raise ValueError(f"line {table.line_num} has another number of cells than the first")
        yield row
