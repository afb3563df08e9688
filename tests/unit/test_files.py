"""Files are whole or absent, whoever else writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechverse.files import atomic_write


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    with atomic_write(file) as one, atomic_write(file) as other:
        one.write_text("one, longer")
        other.write_text("other")
    assert file.read_text() == "one, longer"  # the last to end
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text("before")
    with pytest.raises(RuntimeError), atomic_write(file) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert file.read_text() == "before" and list(tmp_path.iterdir()) == [file]


def test_a_written_file_may_be_read_by_whom_the_system_lets(tmp_path: Path) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.touch()
    with atomic_write(written) as aside:
        aside.touch()
    assert written.stat().st_mode == plain.stat().st_mode
