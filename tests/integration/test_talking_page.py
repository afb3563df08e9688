"""What docs/talking.md shows, run as it stands there, on the microscopic pair."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from running import speechverse
from taught import THINGS, Taught, say

PAGE = Path(__file__).resolve().parents[2] / "docs" / "talking.md"
NAMES = {"play_music": "happy", "set_alarm": "neutral"}
"""The page's choices by words that so small an LLM can spell."""
OWN_TASK = """
from speechverse.tasks import LabelSet, OneOf, PromptSet, Task

TONE = Task(
    name="tone",
    title="Tone",
    group="psp",
    prompts=PromptSet(seen=("How does the speaker feel? {labels}",)),
    requires=("emotion",),
    target=lambda utterance: utterance.labels["emotion"],
    labels=LabelSet("emotion", {"happy": "", "sad": ""}),
    constraint=OneOf,
    metrics=("uar",),
)
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls").mkdir()
    for name in ("clip.wav", "a.wav", "b.wav", "calls/one.wav", "calls/two.wav"):
        say(tmp_path / name, f"play {THINGS[0]}", "happy", 1)
    (tmp_path / "my_task.py").write_text(OWN_TASK)
    [schema] = re.findall(r"`order.json` is `(.+?)`", PAGE.read_text())
    (tmp_path / "order.json").write_text(schema)
    return tmp_path


def test_every_command_of_the_page_runs(taught: Taught, folder: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) > 5
    for line in lines:
        for theirs, its in NAMES.items():
            line = line.replace(theirs, its)
        done = speechverse(*shlex.split(line)[1:], "--model", str(taught.model))
        assert done.stdout.strip() or "--output" in line, line
    answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert [Path(answer["clip"]).name for answer in answers] == ["one.wav", "two.wav"]


def test_every_python_block_of_the_page_runs(
    taught: Taught, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    code = "from speechverse import SpeechVerse\nmodel = SpeechVerse.from_pretrained('small')\n"
    for block in [code, *blocks("python")]:
        exec(
            block.replace('"small"', repr(str(taught.model))).replace(
                "'small'", repr(str(taught.model))
            ),
            names,
        )
    assert capsys.readouterr().out.strip()
