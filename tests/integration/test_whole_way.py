"""The whole way at its smallest, through the command line: speech, training, evaluation, answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STAGES = ("align", "instruct")
STEPS = [f"curriculum.{stage}.{key}" for stage in STAGES for key in ("steps=2", "warmup_steps=1")]


def speechverse(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "COLUMNS": "120"}
    command = [sys.executable, "-m", "speechverse", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("whole-way") / "world"
    speechverse("synth", folder, "--train", 48, "--dev", 8, "--test", 24, "--seed", 5)
    return folder


@pytest.fixture(scope="module")
def trained(world: Path) -> Path:
    folder = world.parent / "model"
    changes = [f"data.corpora.world.path={world}", "data.validation.every=2", "data.validation.decoded=2", *STEPS]
    speechverse("train", "tiny", *changes, "--output", folder)
    return folder


def test_a_run_leaves_a_model_a_recipe_and_a_log(trained: Path) -> None:
    assert (trained / "recipe.yaml").is_file()
    stages = {json.loads(line)["stage"] for line in (trained / "metrics.jsonl").read_text().splitlines()}
    assert stages == set(STAGES)


def test_evaluation_puts_every_system_beside_the_model(world: Path, trained: Path) -> None:
    report = world.parent / "report"
    speechverse("evaluate", trained, "--corpus", world, "--limit", 4, "--output", report)
    results = json.loads((report / "results.json").read_text())
    systems = {score["system"] for score in results["scores"]}
    assert systems == {"speechverse", "cascade-ctc", "cascade", "oracle", "log-mel", "majority"}
    tasks = {score["task"] for score in results["scores"]}
    assert tasks == set("asr st ic sf kwe kws er asc ac sc sns".split())
    page = (report / "report.html").read_text()
    assert "<svg" in page and "http-equiv" not in page and 'src="http' not in page, "one file, nothing fetched"


def test_ask_answers_from_the_allowed_choices(world: Path, trained: Path) -> None:
    clip = sorted((world / "audio").rglob("*.flac"))[0]
    shown = speechverse("ask", clip, "Which is it?", "--choices", "cat,dog", "--model", trained, "--json")
    assert json.loads(shown.stdout)["answer"] in ("cat", "dog")


def test_a_shipped_model_answers_by_name(world: Path) -> None:
    clip = sorted((world / "audio").rglob("*.flac"))[0]
    assert speechverse("ask", clip, "Transcribe the audio.", "--model", "tiny").stdout.strip()


def test_the_default_model_names_the_command_that_fetches_its_parts(world: Path, tmp_path: Path) -> None:
    clip = sorted((world / "audio").rglob("*.flac"))[0]
    empty = os.environ | {"SPEECHVERSE_CACHE": str(tmp_path)}
    command = [sys.executable, "-m", "speechverse", "ask", str(clip), "Transcribe the audio.", "--offline"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, env=empty)
    assert shown.returncode == 2 and "speechverse pretrained get whisper-base" in " ".join(shown.stderr.split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("curriculum.align.learnig_rate=1", "learning_rate"),
        ("data.mixtures.all.0.task=asd", "asr"),
        ("data.corpora.world.path=/nowhere/at/all", "/nowhere/at/all"),
    ],
)
def test_a_wrong_line_of_a_recipe_says_what_to_write(change: str, said: str, world: Path, tmp_path: Path) -> None:
    changes = [f"data.corpora.world.path={world}", change]
    assert said in speechverse("train", "tiny", *changes, "--output", tmp_path / "run", status=2).stderr
