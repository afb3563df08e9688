"""The first tutorial, done as docs/tutorial.md says it, on the microscopic pair: the text cannot
rot.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from running import speechverse
from taught import EMOTIONS, THINGS, Taught, say

NAMES = {"bored": "happy", "keen": "neutral"}
"""The tutorial's classes by words that so small an LLM can say."""
TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TUTORIAL.read_text(), re.DOTALL | re.MULTILINE)


def in_its_words(text: str) -> str:
    for theirs, its in NAMES.items():
        text = text.replace(theirs, its)
    return text


def test_the_tutorial_teaches_two_classes_from_own_recordings(
    taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for emotion, name in zip(
        EMOTIONS, NAMES.values(), strict=True
    ):  # crosswise, so there is something to learn
        folder = tmp_path / "recordings" / name
        folder.mkdir(parents=True)
        for number, speaker in enumerate(("anna", "ben", "carl", "dora") * 4):
            say(
                folder / f"{speaker}-{1 + number // 4}.wav",
                f"play {THINGS[number // 4]}",
                emotion,
                number,
            )
    [code] = blocks("python")
    exec(code, {})
    commands = [shlex.split(command) for block in blocks("sh") for command in block.splitlines()]
    assert [words[1] for words in commands] == ["evaluate", "train", "evaluate", "ask"]
    rates = [
        "curriculum.1.learning_rate=5e-3",
        "curriculum.1.steps=100",
    ]  # so small a model needs more of both
    changes = [f"initial={taught.model}", *rates]
    for words in commands:
        given = [in_its_words(str(taught.model) if word == "small" else word) for word in words[1:]]
        done = speechverse(*given, *(changes if words[1] == "train" else []))
    assert done.stdout.strip() in NAMES.values()
    scores = json.loads((tmp_path / "after" / "results.json").read_text())["scores"]
    recall = {score["system"]: score["value"] for score in scores if score["metric"] == "uar"}
    assert recall["speechverse"] > 0.85 > 0.5 == recall["majority"]
