"""The whole way at its smallest, through the command line: speech, training,
evaluation, answers.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import run_here, speechverse
from speechverse import hub
from speechverse.data import Corpus
from taught import Taught

STAGES = ("align", "warm_up", "instruct")
STEPS = [f"curriculum.{stage}.{key}" for stage in STAGES for key in ("steps=2", "warmup_steps=1")]
SYSTEMS = "speechverse,cascade-whisper,cascade,oracle,log-mel,majority"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("whole-way") / "world"
    speechverse("synth", folder, "--train", 24, "--dev", 4, "--test", 24, "--seed", 5)
    return folder


def changes(world: Path, taught: Taught) -> list[str]:
    """A built-in recipe on microscopic parts and a small corpus."""
    parts = [
        f"model.encoder={taught.encoder}",
        f"model.llm={taught.llm}",
        "model.lora.targets=all-linear",
    ]
    return [*parts, f"data.corpora.world.path={world}", "data.workers=0", "training.precision=fp32"]


@pytest.fixture(scope="module")
def trained(world: Path, taught: Taught) -> Path:
    folder = world.parent / "model"
    short = ["data.validation.every=2", "data.validation.decoded=2", *STEPS]
    speechverse("train", "laptop", *changes(world, taught), *short, "--output", folder)
    return folder


def a_clip_of(world: Path) -> Path:
    return sorted((world / "audio").rglob("*.flac"))[0]


def test_a_run_leaves_a_model_a_recipe_and_a_log(trained: Path) -> None:
    assert (trained / "recipe.yaml").is_file()
    stages = {
        json.loads(line)["stage"] for line in (trained / "metrics.jsonl").read_text().splitlines()
    }
    assert stages == set(STAGES)


def test_evaluation_puts_every_system_beside_the_model(world: Path, trained: Path) -> None:
    report = world.parent / "report"
    asked = ("--systems", SYSTEMS, "--limit", 4, "--max-new-tokens", 8)
    speechverse("evaluate", trained, "--corpus", world, *asked, "--output", report)
    results = json.loads((report / "results.json").read_text())
    assert {score["system"] for score in results["scores"]} == set(SYSTEMS.split(","))
    tasks = {score["task"] for score in results["scores"]}
    assert tasks == set("asr st ic sf kwe kws er asc ac sc sns".split())
    page = (report / "report.html").read_text()
    assert "<svg" in page and "http-equiv" not in page and 'src="http' not in page, (
        "one file, nothing fetched"
    )


def test_ask_answers_from_the_allowed_choices(world: Path, trained: Path) -> None:
    asked = ("Which is it?", "--choices", "cat,dog", "--model", trained, "--json")
    shown = speechverse("ask", a_clip_of(world), *asked)
    assert json.loads(shown.stdout)["answer"] in ("cat", "dog")


def test_a_built_in_model_answers_rightly_by_name(
    taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hub.BUILT_IN, "mine", taught.model)
    for clip in Corpus.open(taught.corpus).utterances("test")[:4]:
        shown = speechverse("ask", clip.audio.path, "Transcribe the speech.", "--model", "mine")
        assert shown.stdout.strip() == clip.text


def test_the_default_model_names_the_command_that_fetches_its_parts(
    world: Path, tmp_path: Path
) -> None:
    asked = ("ask", a_clip_of(world), "Transcribe the audio.", "--offline")
    shown = run_here(*asked, SPEECHVERSE_CACHE=str(tmp_path))
    assert shown.returncode == 2 and "speechverse pretrained get whisper-base" in " ".join(
        shown.stderr.split()
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("curriculum.align.learnig_rate=1", "learning_rate"),
        ("data.mixtures.all.0.task=asd", "asr"),
        ("data.corpora.world.path=/nowhere/at/all", "/nowhere/at/all"),
    ],
)
def test_a_wrong_line_of_a_recipe_says_what_to_write(
    change: str, said: str, world: Path, taught: Taught, tmp_path: Path
) -> None:
    shown = speechverse(
        "train", "laptop", *changes(world, taught), change, "--output", tmp_path / "run", status=2
    )
    assert said in shown.stderr
