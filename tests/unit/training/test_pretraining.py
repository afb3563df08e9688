"""An encoder is pre-trained by the one trainer: BEST-RQ on recordings, then CTC on transcripts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForCTC

from speechverse.cli.pretrain import command
from speechverse.data import Batch
from speechverse.encoders import load_encoder
from speechverse.encoders.best_rq.config import BestRqConfig, ConformerConfig, SpecAugmentConfig
from speechverse.encoders.best_rq.pieces import learn_pieces
from speechverse.encoders.best_rq.pretraining import EncoderForPreTraining
from speechverse.encoders.ctc import load_ctc
from speechverse.errors import RecipeError, UserError
from speechverse.tasks import Ask
from speechverse.training import trainer as trainer_module
from speechverse.training.objectives import LISTEN, example_losses
from speechverse.training.recipe import Recipe
from speechverse.training.recipe_files import load_recipe
from speechverse.training.stage import StageRun
from speechverse.training.trainer import train
from speechverse.types import IGNORED, AudioRef, Utterance

BODY = ConformerConfig(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
)
OBJECTIVE = BestRqConfig(num_codebooks=2, codebook_size=8, code_width=4, mask_span=3)
SMALL = [
    (
        "encoder.body={hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2,"
        " intermediate_size: 16}"
    ),
    "encoder.best_rq={num_codebooks: 2, codebook_size: 8, code_width: 4, mask_span: 3}",
    "data.batch={max_positions: 100, max_examples: 4}",
    "data.validation={share: 0.2, by: utterance, every: 3}",
    "data.workers=0",
    "training={precision: fp32, log_every: 1, save_every: 2}",
    *(f"curriculum.best_rq.{key}" for key in ("steps=5", "warmup_steps=1")),
]


def recordings(world: Path, *more: str) -> Recipe:
    return load_recipe("best-rq", [*SMALL, f"data.corpora.own.audio={world / 'audio'}", *more])


def transcribed(world: Path, *more: str) -> Recipe:
    changes = [f"curriculum.ctc.{key}" for key in ("steps=3", "warmup_steps=1")]
    own = f"data.corpora.own={{path: {world}}}"
    return load_recipe("ctc", [*SMALL, *changes, own, "encoder.num_pieces=100", *more])


def noise(seconds: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)


def test_a_folder_of_recordings_becomes_an_encoder_that_plain_transformers_loads(
    world: Path, tmp_path: Path
) -> None:
    summary = train(recordings(world), tmp_path)
    model, extractor = (
        AutoModel.from_pretrained(tmp_path),
        AutoFeatureExtractor.from_pretrained(tmp_path),
    )
    states = model(
        **extractor(noise(), sampling_rate=16_000, return_tensors="pt")
    ).last_hidden_state
    assert states.shape == (1, 24, 16) and load_encoder(tmp_path).num_layers == 2
    (stage,) = summary["stages"]
    assert {
        "validation/accuracy",
        "validation/common_share",
        "validation/code_perplexity",
    } <= stage.keys()


def test_transcripts_give_it_a_head_that_transcribes(world: Path, tmp_path: Path) -> None:
    summary = train(transcribed(world), tmp_path)
    assert AutoModelForCTC.from_pretrained(tmp_path).config.vocab_size == len(
        load_ctc(tmp_path).tokenizer
    )
    assert isinstance(load_ctc(tmp_path).transcribe([noise()])[0], str)
    assert "validation/wer/asr" in summary["stages"][-1]


class Killed(Exception):
    pass


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The steps of a run, counted over its stages, before which it is killed."""
    at, step, taken = [], StageRun.step, iter(range(1_000_000))

    def counted(self: StageRun, *arguments: object) -> None:
        if next(taken) in at:
            raise Killed
        step(self, *arguments)

    monkeypatch.setattr(StageRun, "step", counted)
    yield at


def test_killed_and_resumed_is_the_run_that_was_never_stopped(
    world: Path, tmp_path: Path, killed_at: list[int]
) -> None:
    train(transcribed(world), tmp_path / "whole")
    killed_at += [
        8 + 3,
        8 + 3 + 1 + 5,
    ]  # in BEST-RQ after a checkpoint, then (again from step 2) in CTC
    for _ in range(2):
        with pytest.raises(Killed):
            train(transcribed(world), tmp_path / "killed", resume=True)
    train(transcribed(world), tmp_path / "killed", resume=True)
    for name in ("model.safetensors", "best_rq_heads.safetensors"):
        whole, resumed = (load_file(tmp_path / run / name) for run in ("whole", "killed"))
        assert whole.keys() == resumed.keys() and all(
            whole[key].equal(resumed[key]) for key in whole
        )


def test_the_command_goes_on_by_itself_and_refuses_a_recipe_of_a_model(
    world: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        command("encoder", "best-rq", SMALL, audio=world / "audio", output=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 5
    with pytest.raises(
        UserError, match="pre-trains no encoder; for a model: speechverse train small"
    ):
        command("encoder", "small", output=tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "curriculum.best_rq.objective=answer",
            r"best_rq\.objective: 'answer' is none of an encoder.*ctc or best_rq",
        ),
        ("curriculum.best_rq.train=[mixer]", r"curriculum\.best_rq: .*train: \[encoder\]"),
        ("curriculum.best_rq.objective=ctc", r"mixtures\.all\.0\.task: .*best_rq asks nothing"),
        ("data.mixtures.all.0.task=asr", r"mixtures\.all\.0\.task: .*best_rq asks nothing"),
        ("data.cache=all", "a trained encoder cannot be cached"),
        (
            "encoder.body.hiden_size=4",
            r"encoder\.body\.hiden_size: unknown key; did you mean 'hidden_size'",
        ),
        ("initial=small", "give exactly one"),
        ("data.corpora.own.path=there", "give either 'path'"),
    ],
)
def test_parts_that_do_not_fit_are_named(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("best-rq", [change])


def test_a_model_with_an_llm_is_not_taught_by_an_encoders_objectives() -> None:
    with pytest.raises(
        RecipeError, match="'best_rq' is none of a model with an LLM; use answer or ctc"
    ):
        load_recipe("small", ["curriculum.align.objective=best_rq"])


def test_both_objectives_teach_one_body() -> None:
    model = EncoderForPreTraining(
        BODY, OBJECTIVE, SpecAugmentConfig(), learn_pieces(["tea for two"], 30)
    ).train()
    assert model.best_rq.body is model.ctc.base_model
    features, lengths = torch.randn(2, 12, 320), torch.tensor([12, 9])
    for loss in (
        model(features, lengths, "best_rq").by_frame.mean(),
        model(features, lengths, "ctc").sum(),
    ):
        model.zero_grad()
        loss.backward()
        low = model.best_rq.body.encoder.layers[0].parameters()
        assert all(parameter.grad is not None for parameter in low)


def heard(*lengths: int) -> Batch:
    """Clips of so many frames."""
    counts = torch.tensor(lengths)
    beyond = torch.arange(max(lengths)) >= counts[:, None]
    labels = torch.zeros(beyond.shape, dtype=torch.long).masked_fill(beyond, IGNORED)
    features = torch.randn(*beyond.shape, 320, generator=torch.Generator().manual_seed(0))
    clips = [
        Utterance(str(row), AudioRef(Path()), length / 25) for row, length in enumerate(lengths)
    ]
    examples = tuple(LISTEN.render(clip, Ask(random.Random(0))) for clip in clips)
    inputs = {"input_features": features, "frame_lengths": counts, "labels": labels}
    return Batch(
        inputs,
        examples,
        torch.ones(len(lengths)),
        (None,) * len(lengths),
        torch.arange(max(lengths)),
    )


def test_each_clip_counts_by_its_length_however_much_of_it_is_hidden() -> None:
    torch.manual_seed(0)
    model = EncoderForPreTraining(BODY, OBJECTIVE, SpecAugmentConfig()).eval()
    losses = example_losses(model, heard(30, 12), "best_rq")
    assert losses.num_tokens.tolist() == [30, 12]
    near_chance = torch.log(torch.tensor(8.0))
    torch.testing.assert_close(
        losses.nll / losses.num_tokens, near_chance.expand(2), atol=0.7, rtol=0
    )
    again = example_losses(model, heard(30, 12), "best_rq")
    assert losses.nll.equal(again.nll), "what is hidden of held-out clips is the same each time"


def test_spans_are_hidden_while_ctc_trains_and_only_then() -> None:
    model = EncoderForPreTraining(BODY, OBJECTIVE, SpecAugmentConfig(), learn_pieces(["tea"], 30))
    seen: list[torch.Tensor] = []
    model.ctc.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    features = torch.randn(1, 40, 320)
    torch.manual_seed(0)
    for mode in (True, False):
        model.train(mode)(features, torch.tensor([40]), "ctc")
    assert 0 < (seen[0] == 0).float().mean() < 0.8 and seen[1].equal(features)


def test_a_run_that_is_asked_to_stop_says_how_to_go_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(
        trainer_module.Trainer, "_should_stop", lambda self, stop, at_any_step=False: True
    )
    with pytest.raises(KeyboardInterrupt):
        train(recordings(world), tmp_path, resume=True)
    assert "stopped and saved after step 1; the same command goes on" in capsys.readouterr().err
