"""The stage that aligns audio positions with the transcript by the LLM's token embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from speechverse.data import Batch, Choices
from speechverse.encoders import EncoderOutput
from speechverse.encoders.ctc import greedy_ids
from speechverse.errors import AudioError, RecipeError
from speechverse.models import SpeechVerseForConditionalGeneration, token_logits
from speechverse.training import train
from speechverse.training.inputs import AskedInputs
from speechverse.training.loss import ExampleLosses
from speechverse.training.objectives import ctc
from speechverse.training.objectives.ctc import ctc_losses
from speechverse.training.recipe import Recipe, StageSection
from speechverse.types import IGNORED, AudioRef, Example, Utterance


@pytest.fixture
def model(foundation: Callable[[str], Path]) -> SpeechVerseForConditionalGeneration:
    torch.manual_seed(0)
    return SpeechVerseForConditionalGeneration.from_foundations(
        str(foundation("best-rq")),
        str(foundation("bart")),
        layer_mixing="softmax",
        downsampler={"strides": [2, 1], "activation": "gelu", "scale_to_embeddings": True},
    )


def losses_of(model, labels, heard, choices) -> ExampleLosses:
    inputs = {
        "input_ids": labels,
        "attention_mask": labels,
        "labels": labels,
        "encoder_output": heard,
    }
    labelled, clip = torch.arange(labels.shape[1]), Utterance("a", AudioRef(Path("a.wav")), 1.0)
    examples = (Example("a", clip, "ic", "Which?", "on", "on"),) * len(choices)
    weights = torch.ones(len(choices))
    return ctc_losses(model, Batch(inputs, examples, weights, tuple(choices), labelled))


def among_crowded_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tokens crowd the micro LLM's few dimensions; every place there is near to one."""
    monkeypatch.setattr(token_logits, "_BLANK_COSINE", 0.9)
    monkeypatch.setattr(token_logits, "_sharpness", lambda num_tokens: 30.0)


def test_a_target_longer_than_its_clip_has_positions_is_left_out_and_told(model) -> None:
    stage = StageSection(
        name="align", mixture="all", train=["downsampler"], objective="ctc", steps=1,
        learning_rate=0.1,
    )  # fmt: skip
    clip = Utterance("a", AudioRef(Path("a.wav")), 0.5)
    inputs = AskedInputs(None, model, model.processor())

    def length(target: str, **how: Any) -> int:
        return inputs.length(stage)(Example("a", clip, "asr", "Write.", target, "", **how))

    assert length("on") > 0
    long = "a sentence that nobody says in half a second, whoever tries to"
    with pytest.raises(AudioError, match="positions of audio are too few for CTC to write 'a sent"):
        length(long)
    assert length(long, choices=(long, "off")) > 0, "a label lies along no positions"


def test_positions_learn_the_transcript_and_the_llm_is_not_run(
    model, monkeypatch: pytest.MonkeyPatch
) -> None:
    among_crowded_tokens(monkeypatch)
    monkeypatch.setattr(model.llm, "forward", lambda *_, **__: pytest.fail("the LLM was run"))
    width, layers = model.downsampler.convolutions[0].in_channels, model.mixer.num_layers
    end = model.config.end_id
    targets = torch.tensor([[9, 31, 31, 57, end], [88, 12, end, IGNORED, IGNORED]])
    heard = EncoderOutput(torch.randn(layers, 2, 36, width), torch.tensor([36, 30]))
    model.set_trainable(["mixer", "downsampler"])
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    for _ in range(400):
        losses = losses_of(model, targets, heard, [None, None])
        losses.nll.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses.nll.max() < 0.5
    assert losses.num_tokens.tolist() == [5, 3]
    # Of 18 + 15 positions at least the six tokens and the gap between equal ones are known.
    assert 1 / 33 <= float(losses.watched["blank_share"]) <= 1 - 6 / 33
    every = torch.arange(model.config.audio_token_id)
    output = model(targets, targets, encoder_output=heard, ctc_tokens=every)
    assert output.lengths.tolist() == [18, 15]
    assert greedy_ids(output.logits, output.lengths, model.config.pad_id) == [
        [9, 31, 31, 57],
        [88, 12],
    ]


def test_the_share_of_blanks_counts_true_positions_alone() -> None:
    logits = torch.zeros(2, 4, 3)
    logits[0, :, 2], logits[1, 0, 1], logits[1, 1:, 2] = 1.0, 1.0, 1.0
    share = ctc.blank_share(logits, torch.tensor([3, 2]), 2)
    assert float(share["blank_share"]) == pytest.approx(4 / 5)


@pytest.mark.parametrize("num_tokens", [300, 2200, 32_000, 256_000])
def test_a_position_near_to_no_token_is_blank_and_one_at_a_token_is_that_one(
    num_tokens: int,
) -> None:
    cosines = torch.zeros(2, num_tokens)
    cosines[:, 0], cosines[1, 7] = token_logits._BLANK_COSINE, 1.0
    chances = (token_logits._sharpness(num_tokens) * cosines).softmax(dim=-1)
    assert chances[0, 0] > 0.75
    assert chances[1, 7] > 0.75


def test_of_a_large_vocabulary_a_step_sees_its_own_tokens_and_some_others(
    model, monkeypatch
) -> None:
    monkeypatch.setattr(ctc, "_MOST_CANDIDATES", 50)
    seen = []
    original = model.forward
    monkeypatch.setattr(
        model, "forward", lambda *a, **k: seen.append(k["ctc_tokens"].tolist()) or original(*a, **k)
    )
    width, layers, end = (
        model.downsampler.convolutions[0].in_channels,
        model.mixer.num_layers,
        model.config.end_id,
    )
    heard = EncoderOutput(torch.randn(layers, 1, 20, width), torch.tensor([20]))
    for labels in ([9, 31, end], [9, 31, end], [9, 32, end]):
        assert losses_of(model, torch.tensor([labels]), heard, [None]).nll > 0
    assert all(
        {9, model.config.pad_id} <= set(tokens) and 45 <= len(tokens) <= 50 for tokens in seen
    )
    assert seen[0] == seen[1] != seen[2]  # a resumed run meets the same ones


def test_nothing_is_learnt_of_a_clip_that_could_not_be_used(model) -> None:
    labels = torch.tensor([[9, 31, model.config.end_id], [IGNORED] * 3])
    width, layers = model.downsampler.convolutions[0].in_channels, model.mixer.num_layers
    heard = EncoderOutput(torch.randn(layers, 2, 20, width), torch.tensor([20, 20]))
    losses = losses_of(model, labels, heard, [None, None])
    assert losses.nll[0] > 0 and losses.nll[1] == 0 and losses.num_tokens.tolist() == [3, 0]


def test_a_curriculum_may_begin_with_ctc(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    values = recipe().model_dump()["curriculum"]
    values[0]["objective"] = "ctc"
    summary = train(recipe(curriculum=values), tmp_path)
    assert [stage["steps"] for stage in summary["stages"]] == [4, 4, 6]


def test_positions_learn_labels_beside_transcripts(model, monkeypatch: pytest.MonkeyPatch) -> None:
    among_crowded_tokens(monkeypatch)
    width, layers, end = (
        model.downsampler.convolutions[0].in_channels,
        model.mixer.num_layers,
        model.config.end_id,
    )
    labels = torch.tensor([[9, 31, end], [88, end, IGNORED], [40, end, IGNORED]])
    choices = [None, Choices((88, 40, 41), 0), Choices((88, 40, 41), 1)]
    heard = EncoderOutput(torch.randn(layers, 3, 20, width), torch.tensor([20, 20, 14]))
    model.set_trainable(["mixer", "downsampler"])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(300):
        losses = losses_of(model, labels, heard, choices)
        losses.nll.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses.nll.max() < 0.5
    alone = EncoderOutput(heard.hidden_states[:, 2:, :14], torch.tensor([14]))
    unpadded = losses_of(model, labels[2:, :2], alone, choices[2:])
    padded = losses_of(model, labels, heard, choices)
    torch.testing.assert_close(unpadded.nll, padded.nll[2:])


def test_labels_that_share_a_token_are_told_once(model, caplog) -> None:
    ctc._warn_of_one_token.cache_clear()
    width, layers = model.downsampler.convolutions[0].in_channels, model.mixer.num_layers
    heard = EncoderOutput(torch.randn(layers, 1, 20, width), torch.tensor([20]))
    labels = torch.tensor([[88, model.config.end_id]])
    for tokens, told in (((88, 40), 0), ((88, 88, 40), 1), ((88, 88, 40), 1)):
        assert losses_of(model, labels, heard, [Choices(tokens, 0)]).nll > 0
        assert caplog.text.count("ic: labels that share a token") == told


def test_ctc_is_before_the_llm(recipe: Callable[..., Recipe]) -> None:
    values = recipe().model_dump()["curriculum"]
    values[0] |= {"objective": "ctc", "train": ["downsampler", "lora"]}
    with pytest.raises(RecipeError, match=r"curriculum\.align\.train: 'lora' learns nothing"):
        recipe(curriculum=values)


def test_ctc_takes_what_is_said_and_how_alone(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    values = recipe().model_dump()["curriculum"]
    values[0] |= {"objective": "ctc", "mixture": "all"}
    with pytest.raises(
        RecipeError, match=r"curriculum\.align\.objective: .* not 'ic' \(group slu\)"
    ):
        train(recipe(curriculum=values), tmp_path)
