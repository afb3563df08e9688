"""What docs/long-audio.md shows, run as it stands there, on the microscopic pair."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from running import speechverse
from taught import THINGS, Taught, say

PAGE = Path(__file__).resolve().parents[2] / "docs" / "long-audio.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls").mkdir()
    for name in ("clip.wav", "meeting.wav", "calls/one.wav", "calls/two.wav"):
        say(tmp_path / name, f"play {THINGS[0]}", "happy", 1)
    return tmp_path


def test_every_command_of_the_page_runs(taught: Taught, folder: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 3
    for line in lines:
        speechverse(*shlex.split(line)[1:], "--model", str(taught.model))
    assert (folder / "meeting.srt").is_file()
    assert (folder / "transcripts" / "one.vtt").read_text().startswith("WEBVTT")


def test_every_python_block_of_the_page_runs(
    taught: Taught, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(block.replace('"small"', repr(str(taught.model))), names)
    assert capsys.readouterr().out.strip()
