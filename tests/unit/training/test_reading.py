"""A stage that reads transcripts: the LLM of a cascade is taught on the same examples as text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from speechverse.data import Collator, Corpus, length_function
from speechverse.encoders import SpeechEncoder
from speechverse.errors import AudioError, RecipeError
from speechverse.evaluation import EvaluationSettings, evaluate
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.seeding import rng_for
from speechverse.tasks import Ask, get_task
from speechverse.training.build import build_model
from speechverse.training.trainer import train
from speechverse.types import IGNORED


def reading(recipe, **changes):
    """A run that only teaches the LLM to read transcripts."""
    read = {"name": "read", "mixture": "all", "train": ["lora"], "steps": 6, "learning_rate": 1e-2}
    return recipe(curriculum=[{**read, "reads": "transcript", **changes}])


def test_a_stage_that_reads_transcripts_hears_nothing_and_trains_lora_alone(
    recipe, tmp_path, monkeypatch
):
    def unheard(*_, **__):
        raise AssertionError("something was heard")

    monkeypatch.setattr(SpeechEncoder, "forward", unheard)
    start = build_model(reading(recipe)).state_dict()
    summary = train(reading(recipe), tmp_path)
    trained = SpeechVerseForConditionalGeneration.from_pretrained(tmp_path).state_dict()
    changed = {
        name
        for name, weight in trained.items()
        if name in start and not torch.equal(weight, start[name])
    }
    assert not changed
    assert any(weight.any() for name, weight in trained.items() if ".lora_B" in name)
    assert (
        summary["stages"][0]["validation/loss"] > 0 and "validation/wer/asr" in summary["stages"][0]
    )
    assert not (tmp_path / "features").exists()


@pytest.mark.filterwarnings("error:Unable to fetch", "error:Could not find a config")
def test_what_was_taught_to_read_is_measured_as_a_tuned_cascade_that_asks_no_hub(
    recipe, tmp_path, world
):
    train(reading(recipe), tmp_path)
    config = tmp_path / "lora" / "adapter_config.json"
    of_a_part = {"base_model_name_or_path": "smollm2-135m-instruct"}  # no folder of this machine
    config.write_text(json.dumps(json.loads(config.read_text()) | of_a_part))
    model = build_model(reading(recipe)).eval()
    settings = EvaluationSettings("dev", ("ic", "er"), ("oracle", "oracle-tuned"), num_resamples=10)
    results = evaluate(
        model, model.processor(), Corpus.open(world), settings, reader_lora=tmp_path / "lora"
    )
    assert all(results.score(task, "oracle-tuned") for task in ("ic", "er"))
    assert not model.has_lora and not hasattr(model.llm, "peft_config")


def test_clips_without_a_transcript_are_counted_and_not_read(recipe, tmp_path, world):
    utterance = Corpus.open(world).utterances("train")[0]
    example = get_task("er").render(replace(utterance, text=None), Ask(rng_for(0)))
    model = build_model(reading(recipe))
    with pytest.raises(AudioError, match="has no transcript to read"):
        length_function(model.processor(), "transcript")(example)
    batch = Collator(model.processor(), reads="transcript")([example])
    assert "no transcript" in batch.skipped[0] and (batch.inputs["labels"] == IGNORED).all()


@pytest.mark.parametrize(
    "wrong", [{"train": ["lora", "mixer"]}, {"train": ["downsampler"]}, {"objective": "ctc"}]
)
def test_who_reads_transcripts_can_train_nothing_that_hears(recipe, wrong):
    with pytest.raises(RecipeError, match="curriculum.read"):
        reading(recipe, **wrong)
