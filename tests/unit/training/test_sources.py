"""What of a recipe's data a run opens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from speechverse.audio import load
from speechverse.data import Corpus, FeatureCache, encoder_fingerprint
from speechverse.errors import CacheError
from speechverse.training.build import build_model
from speechverse.training.engine import Engine
from speechverse.training.recipe import Recipe
from speechverse.training.sources import Sources, open_cache
from speechverse.training.trainer import train
from speechverse.training.validation import Validator

STAGE = {"name": "only", "mixture": "asr", "train": ["mixer"], "steps": 1, "learning_rate": 1e-3}


def test_clips_of_like_names_in_two_splits_are_all_cached(
    recipe: Callable[..., Recipe], world: Path, tmp_path: Path
):
    files = {}
    for split, prefix in {"train": "a", "dev": "b"}.items():
        (tmp_path / split).mkdir()
        for number in range(4):
            shutil.copy(
                world / "audio" / f"{prefix}{number}.wav", tmp_path / split / f"{number}.wav"
            )
        lines = [json.dumps({"audio": f"{number}.wav", "text": "jazz"}) for number in range(4)]
        (tmp_path / split / "list.jsonl").write_text("\n".join(lines))
        files[split] = str(tmp_path / split / "list.jsonl")
    mixtures = {"asr": [{"corpus": "mine", "task": "asr"}]}
    made = recipe(
        data={"corpora": {"mine": {"jsonl": files}}, "mixtures": mixtures}, curriculum=[STAGE]
    )
    found = Sources(made).utterances()
    assert len({utterance.audio.path for utterance in found}) == len(found) == 8


def test_a_validation_share_leaves_corpora_alone_that_no_stage_trains_on(
    recipe: Callable[..., Recipe], world: Path
):
    mixtures = {
        "asr": [{"corpus": "world", "task": "asr"}],
        "unused": [
            {"corpus": "idle", "task": "asr"},
            {"corpus": "world", "task": "asr", "split": "dev"},
        ],
    }
    corpora = {name: {"path": str(world)} for name in ("world", "idle", "absent")}
    data = {"corpora": corpora, "mixtures": mixtures, "validation": {"share": 0.3, "every": 1}}
    sources = Sources(recipe(data=data, curriculum=[STAGE]))
    assert "validation" in sources.corpus("world").splits
    assert [sources.corpus(name).splits for name in ("idle", "absent")] == [("train", "dev")] * 2


def test_clips_of_a_validation_that_another_corpus_trains_on_are_told(
    recipe: Callable[..., Recipe], world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    clips = Corpus.open(world).utterances("train")
    lines = [
        {"audio": str(clip.audio.path.resolve()), "id": f"again {number}", "text": clip.text}
        for number, clip in enumerate(clips)
    ]
    (tmp_path / "again.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    corpora = {
        "world": {"path": str(world.resolve())},
        "again": {"jsonl": {"train": str(tmp_path / "again.jsonl")}},
    }
    both = [{"corpus": name, "task": "asr"} for name in corpora]
    for items, is_told in ((both[:1], False), (both, True)):
        data = {
            "corpora": {item["corpus"]: corpora[item["corpus"]] for item in items},
            "mixtures": {"asr": items},
            "validation": {"share": 0.3, "every": 1},
        }
        Sources(recipe(data=data, curriculum=[STAGE])).check()
        assert ("are trained on too" in capsys.readouterr().err) == is_told


@pytest.mark.parametrize("split", ["test", "dev"])
def test_a_validation_that_looks_at_the_test_split_says_so(
    split: str, recipe: Callable[..., Recipe], world: Path, capsys: pytest.CaptureFixture[str]
):
    clips = Corpus.open(world).utterances
    files = {name: world.parent / f"{name}-of-{split}.jsonl" for name in ("train", split)}
    for name, file in files.items():
        there = clips("train" if name == "train" else "dev")
        lines = [{"audio": str(clip.audio.path.resolve()), "text": clip.text} for clip in there]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = {
        "corpora": {"mine": {"jsonl": {name: str(file) for name, file in files.items()}}},
        "mixtures": {"asr": [{"corpus": "mine", "task": "asr"}]},
        "validation": {"split": split, "every": 1},
    }
    Sources(recipe(data=data, curriculum=[STAGE])).check()
    told = "validation looks at the split 'test'" in capsys.readouterr().err
    assert told == (split == "test")


def test_training_hears_no_longer_quiet_end_than_the_model_it_goes_on_from(
    recipe: Callable[..., Recipe], tmp_path: Path
):
    samples = 0.1 * torch.randn(16_000).numpy()
    soundfile.write(tmp_path / "one.wav", np.concatenate([samples, np.zeros(32_000)]), 16_000)
    line = {"audio": "one.wav", "text": "jazz"}
    (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n")
    data = {
        "corpora": {"mine": {"jsonl": {"train": str(tmp_path / "train.jsonl")}}},
        "mixtures": {"asr": [{"corpus": "mine", "task": "asr"}]},
    }
    made = recipe(data=data, curriculum=[STAGE])
    known = made.model_copy(update={"model": made.model.model_copy(update={"quiet_end": 0.5})})
    model = build_model(known, torch.float32)
    model.save_pretrained(tmp_path / "model")
    gone_on = made.model_copy(update={"model": None, "initial": str(tmp_path / "model")})
    heard = [
        Sources(one, as_heard=True).corpus("mine").utterances("train")[0]
        for one in (made, known, gone_on)
    ]
    assert [clip.duration for clip in heard] == pytest.approx([3.0, 1.5, 1.5], abs=0.03)
    assert len(load(heard[2].audio).samples) == heard[2].num_samples


def test_a_stage_may_take_fewer_examples_at_once(recipe: Callable[..., Recipe]):
    made = recipe(curriculum=[STAGE, STAGE | {"name": "small", "max_examples": 2}])
    sources, engine = Sources(made), Engine.make(made)
    plans = [
        sources.loader(stage, lambda _: 10, lambda *_: None, engine).plan
        for stage in made.curriculum
    ]
    most = [len(next(iter(plan.steps())).micro_batches[0].examples) for plan in plans]
    assert most[0] > 2 == most[1]


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_encoder_outputs_are_kept_in_the_recipe_s_precision(
    recipe: Callable[..., Recipe],
    tmp_path: Path,
    name: str,
    dtype: torch.dtype,
    capsys: pytest.CaptureFixture[str],
):
    made = recipe(data={"cache_dtype": name, "validation": {}}, curriculum=[STAGE])
    train(made, tmp_path / "run")
    encoder, utterances = build_model(made).encoder, Sources(made).utterances()
    cache = FeatureCache.open(tmp_path / "run" / "features", encoder_fingerprint(encoder, dtype))
    assert {cache[utterance].dtype for utterance in utterances} == {dtype}
    assert (
        f"{FeatureCache.size(encoder, utterances, dtype) / 2**20:,.0f} MiB"
        in capsys.readouterr().err
    )


def test_a_cache_of_another_precision_is_refused(recipe: Callable[..., Recipe], tmp_path: Path):
    data = {"cache_folder": str(tmp_path), "validation": {}}
    for name, refused in (("fp16", False), ("bf16", True)):
        made = recipe(data={**data, "cache_dtype": name}, curriculum=[STAGE])
        model = build_model(made)
        opening = (Sources(made), model.encoder, model.processor(), tmp_path, Engine.make(made))
        if refused:
            with pytest.raises(CacheError, match="in another precision"):
                open_cache(*opening)
        else:
            open_cache(*opening)


def test_clips_that_the_model_cannot_hear_are_neither_encoded_nor_bad(
    recipe: Callable[..., Recipe], world: Path, tmp_path: Path
):
    seconds = {"long": 3.0, "short": 0.005, "whole": 0.5}
    for name, length in seconds.items():
        soundfile.write(tmp_path / f"{name}.wav", [0.1] * int(length * 16_000), 16_000)
    lines = [json.dumps({"audio": f"{name}.wav", "text": "jazz"}) for name in seconds]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    data = {
        "corpora": {"mine": {"jsonl": {"train": str(tmp_path / "list.jsonl")}}},
        "mixtures": {"asr": [{"corpus": "mine", "task": "asr"}]},
        "validation": {"split": "train"},
    }
    made = recipe(data=data, curriculum=[STAGE])
    assert made.model is not None
    made = made.model_copy(
        update={"model": made.model.model_copy(update={"max_audio_seconds": 1.0})}
    )
    model = build_model(made)
    opening = (Sources(made), model.encoder, model.processor(), tmp_path, Engine.make(made))
    cache = open_cache(*opening)
    assert cache is not None and len(cache) == 1 and not cache.failed


def test_few_validation_examples_are_drawn_from_all_classes(
    recipe: Callable[..., Recipe], world: Path, tmp_path: Path
):
    clip = str(world / "audio" / "a0.wav")
    lines = [
        json.dumps({"audio": clip, "start": 0, "id": f"c{n:03}", "class": "abcd"[n // 25]})
        for n in range(100)
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    files = {split: str(tmp_path / "list.jsonl") for split in ("train", "dev")}
    data = {
        "corpora": {"mine": {"jsonl": files}},
        "mixtures": {"asr": [{"corpus": "mine", "task": "class"}]},
        "validation": {"split": "dev", "every": 1, "examples": 24, "decoded": 8},
    }
    made = recipe(data=data, curriculum=[STAGE])
    examples = Sources(made).validation_examples(made.curriculum[0], lambda _: 10)
    assert len(examples) == 24
    validator = Validator(made, examples, SimpleNamespace(), made.curriculum[0])  # type: ignore[arg-type]
    decoded = validator._some(range(24), 8)
    assert len({examples[place][0].target for place in decoded}) >= 3
