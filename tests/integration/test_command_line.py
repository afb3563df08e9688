"""What a person meets at the prompt: help, speed of start, exit statuses, and errors without
tracebacks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from running import run_here
from speechverse import __version__
from speechverse.cli import VERBS

HEAVY = ("torch", "transformers", "lhotse", "scipy", "sklearn", "matplotlib")


def test_help_names_every_verb() -> None:
    shown = run_here("--help")
    assert shown.returncode == 0
    for verb in VERBS:
        assert verb in shown.stdout


def test_the_version_is_told() -> None:
    shown = run_here("--version")
    assert (shown.returncode, shown.stdout) == (0, f"speechverse {__version__}\n")


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pretrained", "get", "whisper-base", "--json"), "--json lists the parts"),
        (("texts", "out.jsonl", "--prose", "a.txt", "--wordnet", "dict"), "of --prose or of"),
        (("prepare", "--json"), "name a corpus"),
        (("prepare", "librispeech", "here", "there", "--device", "cpu"), "--keywords are chosen"),
        (("ask", "a.wav", "What is said?", "--language", "de"), "--language is told to Whisper"),
        (("reproduce", "small", "--clip-steps", "9"), "--quick trains nothing"),
        (("reproduce", "small", "--only", "F9", "--systems", "tf-idf"), "rivals in F1 and F8"),
        (("reproduce", "small", "--only", ","), "--only names no finding: name some of F1, "),
        (("reproduce", "small", "--systems", ","), "--systems names no rival"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(words: tuple[str, ...], told: str) -> None:
    shown = run_here(*words)
    assert shown.returncode == 2 and told in shown.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("quickstart", "-o"),
        ("reproduce", "small", "--quick", "-o"),
        ("synth",),
        ("train", "small", "-o"),
    ],
)
def test_a_file_where_a_folder_is_to_be_written_is_refused(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    shown = run_here(*words, str(tmp_path / "file"))
    assert shown.returncode == 2 and "file" in shown.stderr and "internal" not in shown.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_variable_turns_the_traceback_on_and_off() -> None:
    wrong = ("ask", "no-such-file.wav", "What is being said?")
    shown = run_here(*wrong, SPEECHVERSE_TRACEBACK="0")
    assert shown.returncode == 2 and "no-such-file.wav" in shown.stderr
    command = [sys.executable, "-m", "speechverse", *wrong]
    environment = {**os.environ, "SPEECHVERSE_TRACEBACK": "1"}
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert "Traceback" in shown.stderr and "no-such-file.wav" in shown.stderr


def test_output_that_nobody_reads_ends_quietly() -> None:
    command = [sys.executable, "-m", "speechverse", "pretrained"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout and running.stderr
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 141  # what a shell says of a program that SIGPIPE ended


def test_output_onto_a_full_disk_is_an_error_in_words() -> None:
    with open("/dev/full", "w") as full:
        shown = subprocess.run(
            [sys.executable, "-m", "speechverse", "pretrained"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert shown.returncode == 2
    assert shown.stderr.startswith("error: the disk is full") and "internal" not in shown.stderr


@pytest.mark.parametrize("verb", ["info", "probe", "instructions"])
def test_what_only_looks_at_a_model_may_be_kept_off_the_network_too(
    verb: str, tmp_path: Path
) -> None:
    (tmp_path / "lines.jsonl").write_text('{"text": "turn on the radio now"}\n')
    mine, theirs = tmp_path / "clips.jsonl", tmp_path / "others.jsonl"
    for path in (mine, theirs):
        path.write_text('{"audio": "clip.wav", "text": "one"}\n')
    soundfile.write(tmp_path / "clip.wav", [0.1, -0.1] * 8000, 16_000)
    arguments: dict[str, list[object]] = {
        "info": ["whisper-base"],
        "probe": [
            "whisper-base",
            "--corpus",
            mine,
            "--test-corpus",
            theirs,
            "-o",
            tmp_path / "p.json",
        ],
        "instructions": [tmp_path / "lines.jsonl", tmp_path / "o.jsonl", "--model", "whisper-base"],
    }
    shown = run_here(verb, *arguments[verb], "--offline", SPEECHVERSE_CACHE=str(tmp_path / "no"))
    assert shown.returncode == 2 and "the network is forbidden" in shown.stderr


def test_an_unknown_verb_is_exit_status_2() -> None:
    assert run_here("trian").returncode == 2
