"""BEST-RQ: the codes of frames that are hidden from the encoder (arXiv 2202.01855; SpeechVerse,
App. A.1).

Shapes: B examples.
"""

from __future__ import annotations

import torch
from torch import nn

from speechverse.data import Batch
from speechverse.seeding import hash_seed
from speechverse.tasks import Task
from speechverse.tasks.prompts import PromptSet
from speechverse.training.loss import ExampleLosses, num_target_tokens

LISTEN = Task(
    name="listen",
    title="Recordings",
    group="audio",
    prompts=PromptSet(("Listen.",)),
    target=lambda utterance: "heard",
    speech_only=False,
    metrics=("wer",),
)
"""What is asked of recordings that nobody has transcribed: nothing."""


def masked_prediction_losses(model: nn.Module, batch: Batch) -> ExampleLosses:
    """Of each example the mean over its hidden frames, times all its frames: how many are hidden is
    chance, drawn anew at each step of training, and the same wherever the model is measured.
    """
    generator = None
    if not model.training:
        names = [example.utterance.id for example in batch.examples]
        generator = torch.Generator().manual_seed(hash_seed(0, "hidden", *names) % 2**63)
    output = model(
        batch.inputs["input_features"], batch.inputs["frame_lengths"], "best_rq", generator
    )
    num_frames = num_target_tokens(batch.inputs["labels"])
    hidden = torch.bincount(output.rows, minlength=len(num_frames)).clamp(min=1)
    nll = output.by_frame.new_zeros(len(num_frames)).index_add(0, output.rows, output.by_frame)
    return ExampleLosses(nll / hidden * num_frames, num_frames, output.watched)
