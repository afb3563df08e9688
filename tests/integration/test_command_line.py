"""What a person meets at the prompt: help, speed of start, exit statuses, and errors without tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from speechverse.cli import VERBS

HEAVY = ("torch", "transformers", "lhotse", "scipy", "sklearn", "matplotlib")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "speechverse", *arguments],
        capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip


def test_help_names_every_verb() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for verb in VERBS:
        assert verb in shown.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(verb: str) -> None:
    shown = run(verb, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"speechverse {verb}" in shown.stdout.split("Usage:", 1)[1].split("\n", 1)[1], "the help shows no example"


def test_starting_does_not_load_the_heavy_libraries() -> None:
    """Import time is a claim for benchmarks; that none of the slow libraries is loaded is what keeps it small."""
    for statement in ("import speechverse", "from speechverse.cli import build_app; build_app()"):
        code = f"{statement}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        assert loaded == "[]", f"{statement} loads {loaded}"


def test_a_users_mistake_is_exit_status_2_without_a_traceback() -> None:
    shown = run("ask", "no-such-file.wav", "What is being said?")
    assert shown.returncode == 2
    assert "no-such-file.wav" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_an_unknown_verb_is_exit_status_2() -> None:
    assert run("trian").returncode == 2
