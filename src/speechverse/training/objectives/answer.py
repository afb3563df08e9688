"""The paper's objective: the cross entropy of the target's tokens in the LLM.

Shapes: B examples, S label positions, V vocabulary.
"""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from speechverse.data import Batch
from speechverse.training.loss import ExampleLosses, num_target_tokens
from speechverse.types import IGNORED


def answer_losses(model: nn.Module, batch: Batch) -> ExampleLosses:
    """Runs a SpeechVerse model, wrapped or not, whose labels are aligned with its logits."""
    inputs, labels = batch.inputs, batch.inputs["labels"]
    # Without labels: the model's own mean is not needed.
    asked = {name: value for name, value in inputs.items() if name != "labels"}
    if "decoder_input_ids" not in inputs:
        # A prompt is most of a row, and its logits are most of the head's work.
        asked["logits_at"] = batch.labelled
        labels = labels[:, batch.labelled]
    logits_BSV = model(**asked).logits
    nll = F.cross_entropy(
        logits_BSV.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(labels)
    return ExampleLosses(nll.sum(1), num_target_tokens(labels))
