"""Every built-in recipe takes two real steps a stage: real classes, truncated layers, random
weights, local folders.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from speechverse.data import Corpus, write_corpus
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.training.recipe_files import load_recipe
from speechverse.training.trainer import train

PARTS = {
    "small": ("whisper", "qwen"),
    "small-gpu": ("whisper", "qwen"),
    "small-world": ("whisper", "qwen"),
    "small-reader": ("whisper", "qwen"),
    "world-reader": ("whisper", "qwen"),
    "laptop": ("wavlm-base", "t5"),
    "modern": ("whisper", "qwen"),
    "paper-wlm": ("wavlm-large", "t5"),
    "paper-brq": ("best-rq", "t5"),
    "people-gpu": ("whisper", "qwen"),
}


def two_steps(name: str, world: Path, *more: str) -> list[str]:
    """Overrides that keep a recipe's settings and shrink its data: two steps a stage, four
    examples.
    """
    recipe = load_recipe(name)
    return [
        *(f"data.corpora.{corpus}={{path: {world}}}" for corpus in recipe.data.corpora),
        *(
            f"curriculum.{stage.name}.{key}"
            for stage in recipe.curriculum
            for key in ("steps=2", "warmup_steps=1")
        ),
        "data.batch.max_examples=2",
        "data.batch.micro_batches=2",
        "data.validation={split: dev, every: 2, examples: 1, decoded: 0}",
        "data.workers=0",
        *(["evaluation.split=dev"] if recipe.evaluation else []),
        "training.precision=fp32",
        *(
            ["model.system_prompt=null"] if name.startswith("small") else []
        ),  # this LLM has no chat template
        *more,
    ]


@pytest.fixture(scope="module")
def everything(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus with instructions about every clip, and in each split a clip in which nobody
    speaks.
    """
    folder, corpus = tmp_path_factory.mktemp("everything") / "world", Corpus.open(world)
    told = {"instructions": [{"instruction": "What is the first word?", "answer": "the"}]}
    splits = {
        split: [replace(u, labels=u.labels | told) for u in corpus.utterances(split)]
        for split in corpus.splits
    }
    for split, clips in splits.items():
        clips.append(replace(clips[0], id=f"silent-{split}", text="", labels={"is_speech": False}))
    folder.mkdir()
    write_corpus(folder, "world", splits)
    return folder


@pytest.fixture(scope="module")
def trained(
    foundation: Callable[[str], Path], everything: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A recipe's name → the run of two steps a stage."""

    @functools.cache
    def run_of(name: str) -> Path:
        encoder, llm = (foundation(kind) for kind in PARTS[name])
        changes = two_steps(name, everything, f"model.encoder={encoder}", f"model.llm={llm}")
        folder = tmp_path_factory.mktemp(name) / "run"
        train(load_recipe(name, changes), folder)
        return folder

    return run_of


@pytest.mark.parametrize("name", PARTS)
def test_a_recipe_takes_two_steps_a_stage(name: str, trained: Callable[[str], Path]):
    summary = json.loads((trained(name) / "summary.json").read_text())
    assert [stage["steps"] for stage in summary["stages"]] == [2] * len(
        load_recipe(name).curriculum
    )
    assert SpeechVerseForConditionalGeneration.from_pretrained(trained(name)).has_lora


def test_the_cascade_of_small_learns_from_the_same_examples() -> None:
    small, reader = load_recipe("small"), load_recipe("small-reader")
    heard = [stage for stage in small.curriculum if "lora" in stage.train]
    assert [dict(stage, train=["lora"], reads="transcript") for stage in heard] == list(
        map(dict, reader.curriculum)
    )
    assert (reader.seed, reader.model, reader.data) == (small.seed, small.model, small.data)


OWN = {
    "digits": {"text": "Jazz."},
    "orders": {"slots": {"genre": "jazz"}},
    "classes": {"class": "a bright voice"},
}


@pytest.mark.parametrize("name", OWN)
def test_a_recipe_adapts_a_checkpoint_to_plain_jsonl(
    name: str, world: Path, trained: Callable[[str], Path], tmp_path: Path
):
    clips = enumerate(sorted((world / "audio").glob("*.wav")))
    lines = [
        {"audio": str(path), "speaker": f"s{number % 3}", **OWN[name]} for number, path in clips
    ]
    if name == "classes":
        lines[0]["class"] = "a dull voice"
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
    recipe = load_recipe(name)
    changes = [
        f"initial={trained('small')}",
        (
            f"data.corpora.{name}.jsonl={{train: {tmp_path / 'own.jsonl'}, test:"
            f" {tmp_path / 'own.jsonl'}}}"
        ),
        *(
            f"curriculum.{stage.name}.{key}"
            for stage in recipe.curriculum
            for key in ("steps=2", "warmup_steps=1")
        ),
    ]
    summary = train(load_recipe(name, changes), tmp_path / "second")
    assert [(stage["stage"], stage["steps"]) for stage in summary["stages"]] == [
        (s.name, 2) for s in recipe.curriculum
    ]
    assert SpeechVerseForConditionalGeneration.from_pretrained(tmp_path / "second").has_lora
