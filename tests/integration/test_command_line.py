"""What a person meets at the prompt: help, speed of start, exit statuses, and errors without
tracebacks.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from running import run_here
from speechverse.cli import VERBS

HEAVY = ("torch", "transformers", "lhotse", "scipy", "sklearn", "matplotlib")


def test_help_names_every_verb() -> None:
    shown = run_here("--help")
    assert shown.returncode == 0
    for verb in VERBS:
        assert verb in shown.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(verb: str) -> None:
    shown = run_here(verb, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"speechverse {verb}" in shown.stdout.split("Usage:", 1)[1].split("\n", 1)[1], (
        "the help shows no example"
    )


def test_starting_does_not_load_the_heavy_libraries() -> None:
    """Import time is a claim for benchmarks; that none of the slow libraries is loaded is what
    keeps it small.
    """
    code = (
        "import speechverse\nfrom speechverse.cli import build_app\nbuild_app()\n"
        f"import sys\nprint([name for name in {HEAVY} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert loaded == "[]", f"the command line loads {loaded}"


def test_a_users_mistake_is_exit_status_2_without_a_traceback() -> None:
    """In a process of its own, as a shell would start it."""
    command = [
        sys.executable,
        "-m",
        "speechverse",
        "ask",
        "no-such-file.wav",
        "What is being said?",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert shown.returncode == 2
    assert "no-such-file.wav" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_an_unknown_verb_is_exit_status_2() -> None:
    assert run_here("trian").returncode == 2
