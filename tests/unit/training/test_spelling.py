"""The stage that teaches audio positions to spell the transcript in the LLM's embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from speechverse.encoders import EncoderOutput
from speechverse.encoders.ctc import greedy_ids
from speechverse.errors import RecipeError
from speechverse.models import SpeechVerseForConditionalGeneration, modeling_speechverse
from speechverse.training import train
from speechverse.training.loss import spelling_losses
from speechverse.training.recipe import Recipe
from speechverse.types import IGNORED


@pytest.fixture
def model(foundation: Callable[[str], Path]) -> SpeechVerseForConditionalGeneration:
    torch.manual_seed(0)
    return SpeechVerseForConditionalGeneration.from_foundations(
        str(foundation("best-rq")),
        str(foundation("bart")),
        layer_mixing="softmax",
        downsampler={"strides": [2, 1], "activation": "gelu", "scale_to_embeddings": True},
    )


def test_positions_learn_to_spell_and_the_llm_is_not_run(model, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hundreds of tokens crowd the micro LLM's few dimensions; every place there is near to one.
    monkeypatch.setattr(modeling_speechverse, "_NO_TOKEN", 0.9)
    monkeypatch.setattr(model.llm, "forward", lambda *_, **__: pytest.fail("the LLM was run"))
    width, layers = model.downsampler.convolutions[0].in_channels, model.mixer.num_layers
    end = model.config.end_id
    targets = torch.tensor([[9, 31, 31, 57, end], [88, 12, end, IGNORED, IGNORED]])
    heard = EncoderOutput(torch.randn(layers, 2, 36, width), torch.tensor([36, 30]))
    inputs = {"input_ids": targets, "attention_mask": targets, "labels": targets, "encoder_output": heard}
    model.set_trainable(["mixer", "downsampler"])
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    for _ in range(400):
        losses = spelling_losses(model, inputs)
        losses.nll.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses.nll.max() < 0.5
    assert losses.num_tokens.tolist() == [5, 3]
    output = model(targets, targets, encoder_output=heard, spelling=True)
    assert output.lengths.tolist() == [18, 15]
    assert greedy_ids(output.logits, output.lengths, model.config.pad_id) == [[9, 31, 31, 57], [88, 12]]


def test_nothing_is_learnt_of_a_clip_that_could_not_be_used(model) -> None:
    labels = torch.tensor([[9, 31, model.config.end_id], [IGNORED] * 3])
    width, layers = model.downsampler.convolutions[0].in_channels, model.mixer.num_layers
    heard = EncoderOutput(torch.randn(layers, 2, 20, width), torch.tensor([20, 20]))
    ids = torch.ones(2, 3, dtype=torch.long)
    losses = spelling_losses(
        model, {"input_ids": ids, "attention_mask": ids, "labels": labels, "encoder_output": heard}
    )
    assert losses.nll[0] > 0 and losses.nll[1] == 0 and losses.num_tokens.tolist() == [3, 0]


def test_a_curriculum_may_begin_with_spelling(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    values = recipe().model_dump()["curriculum"]
    values[0]["objective"] = "spell"
    summary = train(recipe(curriculum=values), tmp_path)
    assert [stage["steps"] for stage in summary["stages"]] == [4, 4, 6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixture": "all"}, r"curriculum\.align\.objective: .* from asr alone, not er"),
        ({"train": ["downsampler", "lora"]}, r"curriculum\.align\.train: 'lora' learns nothing"),
    ],
)
def test_spelling_is_for_transcripts_and_before_the_llm(
    recipe: Callable[..., Recipe], change: dict, message: str
) -> None:
    values = recipe().model_dump()["curriculum"]
    values[0] |= {"objective": "spell", **change}
    with pytest.raises(RecipeError, match=message):
        recipe(curriculum=values)
