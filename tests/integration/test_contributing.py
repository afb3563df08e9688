"""The tutorial for a twelfth task, done as CONTRIBUTING.md says it: the text cannot rot."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from speechverse.tasks import get_task
from speechverse.types import AudioRef, Utterance
from task_check import validate_task

CONTRIBUTING = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


def block(language: str) -> str:
    found = re.search(
        rf"^   ```{language}\n(.*?)^   ```", CONTRIBUTING.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return textwrap.dedent(found[1])


def test_the_twelfth_task_of_the_tutorial_works(tmp_path: Path) -> None:
    prompts = tmp_path / "qst.txt"
    prompts.write_text(block("text"))
    (tmp_path / "qst.py").write_text(block("python").replace('load("qst")', f'load("{prompts}")'))
    task = get_task(f"{tmp_path}/qst.py:QST")
    for asks in (True, False):
        utterance = Utterance(
            "u", AudioRef(Path("u.wav")), 1.0, "are you there", labels={"is_question": asks}
        )
        assert {example.target for example in validate_task(task, utterance)} == {
            "yes" if asks else "no"
        }
