"""Passages of a book to be read aloud: which sentences are taken, how long they run, and to which
part they belong.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from speechverse.cli.texts import command
from speechverse.errors import UserError
from speechverse.world.language import part_of
from speechverse.world.texts.prose import LONGEST, draw_passages

_BOOK = """CHAPTER 1. A Door

Mr. Hale rose\u2014slowly\u2014and said, \u201cShall we go?\u201d Nobody answered him. In 1851 it rained.

The lamps were lit; the street was wet, and nobody walked there. \u201cWait!\u201d she cried to the driver. They waited.
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(_BOOK, encoding="utf-8")
    return path


def test_a_byte_order_mark_costs_no_sentence(tmp_path: Path) -> None:
    said = "The lamps were lit, and nobody walked there."
    path = tmp_path / "marked.txt"
    path.write_text(said, encoding="utf-8-sig")
    [line] = draw_passages([path], {part_of(said.strip(".")): 1})
    assert line["text"] == said


def test_passages_are_whole_sentences_as_a_reader_says_them(book: Path) -> None:
    texts: set[str] = set()
    for seed in range(60):  # where a passage ends is drawn
        for part in ("train", "dev", "test"):
            try:
                texts |= {line["text"] for line in draw_passages([book], {part: 1}, seed)}
            except UserError:
                continue  # a short book has nothing for some parts
    spoken = " | ".join(texts)
    assert "Mr. Hale rose, slowly, and said, Shall we go?" in spoken, (
        "a title ends no sentence; no quotes, no dashes"
    )
    assert "1851" not in spoken and "CHAPTER" not in spoken, (
        "what is not read as it stands is left out"
    )
    assert any(text.count(".") > 1 for text in texts) and any(
        text.count(".") == 1 for text in texts
    )


def test_a_passage_belongs_to_one_part_and_keeps_to_the_length(tmp_path: Path) -> None:
    names = ("lamp", "door", "ship", "whale", "street", "letter", "garden", "coat")
    sentences = [
        f"The {a} beside the old {b} was seen by nobody at all." for a in names for b in names
    ]
    (tmp_path / "a.txt").write_text(" ".join(sentences))
    drawn = draw_passages([tmp_path], {"train": 6, "dev": 1})
    assert all(3 <= len(line["text"].split()) <= LONGEST for line in drawn)
    trained = [line["text"] for line in drawn if line["split"] == "train"]
    again = draw_passages([tmp_path], {"train": 1}, without=trained)
    assert len(set(trained)) == 6 and again[0]["text"] not in trained
    assert draw_passages([tmp_path], {"train": 6, "dev": 1}) == drawn


def test_too_few_passages_and_files_that_are_no_text_are_told_of(
    book: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="passages for train, not 500"):
        draw_passages([book], {"train": 500})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \*\.txt in"):
        draw_passages([tmp_path / "empty"], {"train": 1})
    (tmp_path / "clip.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="cannot be read as text"):
        draw_passages([tmp_path / "clip.txt"], {"train": 1})


def test_the_command_writes_passages_without_wordnet(book: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    book.write_text(
        _BOOK * 1
        + "\n\n".join(f"The {word} was red and old." for word in ("lamp", "ship", "coat", "key"))
    )
    result = CliRunner().invoke(
        app, [str(tmp_path / "lines.jsonl"), "--train", "2", "--prose", str(book)]
    )
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert [line["stratum"] for line in lines] == ["prose", "prose"]
