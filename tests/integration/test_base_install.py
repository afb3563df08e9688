"""What works without any extra: asking, and looking at a checkpoint; the rest says
what to install.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from running import Ran
from speechverse.data import Corpus
from taught import INTENTS, Taught

# accelerate is not among them: PEFT brings it.
OF_EXTRAS = (
    "espeakng_loader",
    "fastapi",
    "gradio",
    "jiwer",
    "lhotse",
    "matplotlib",
    "prometheus_client",
    "rapidfuzz",
    "sacrebleu",
    "sklearn",
    "tensorboard",
    "uvicorn",
)
RUN_ALL = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys({of_extras}))
from speechverse.cli import main
told = []
for arguments in {commands}:
    sys.argv = ["speechverse", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    told.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def without_extras(taught: Taught) -> dict[str, Ran]:
    """Verb → how it went, all in one process that finds no module of an extra."""
    clip = Corpus.open(taught.corpus).utterances("test")[0]
    model = str(taught.model)
    commands = {
        "ask": [
            str(clip.audio.path),
            "What does the speaker want?",
            "--choices",
            ",".join(INTENTS.values()),
        ],
        "info": [model],
        "evaluate": [model],
        "train": ["small"],
        "serve": [model],
    }
    commands["ask"] += ["--model", model]
    code = RUN_ALL.format(
        of_extras=OF_EXTRAS, commands=[[verb, *rest] for verb, rest in commands.items()]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {verb: Ran(*told) for verb, told in zip(commands, json.loads(done.stdout), strict=True)}


def test_whisper_s_text_read_by_the_llm_needs_no_extra() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({OF_EXTRAS}));"
        "import speechverse.evaluation.cascades"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_question_is_answered(without_extras: dict[str, Ran]) -> None:
    shown = without_extras["ask"]
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip() in INTENTS.values()


def test_a_checkpoint_is_described(without_extras: dict[str, Ran], taught: Taught) -> None:
    shown = without_extras["info"]
    assert shown.returncode == 0, shown.stderr
    assert "downsampler" in shown.stdout


@pytest.mark.parametrize(
    ("verb", "extra"), [("evaluate", "eval"), ("train", "train"), ("serve", "serve")]
)
def test_a_verb_that_needs_more_says_what_to_install(
    without_extras: dict[str, Ran], verb: str, extra: str
) -> None:
    shown = without_extras[verb]
    assert shown.returncode == 2
    assert f"pip install 'speechverse[{extra}]'" in shown.stderr
    assert "Traceback" not in shown.stderr
