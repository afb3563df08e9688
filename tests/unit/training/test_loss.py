"""The loss of a micro-batch: that of the whole prompt's logits, for less work and without waiting
for a device.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from speechverse.data import Collator, Corpus, Mixture, MixtureItem
from speechverse.data.mixture import Draw
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.training.objectives import example_losses
from speechverse.types import IGNORED


def test_only_a_targets_logits_are_computed_and_no_device_is_waited_for(
    world: Path, foundation: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    parts = str(foundation("best-rq")), str(foundation("qwen"))
    model = SpeechVerseForConditionalGeneration.from_foundations(
        *parts, downsampler={"strides": [2, 2]}
    )
    mixture = Mixture([MixtureItem(Corpus.open(world), "asr")])
    batch = Collator(model.processor())([mixture.example(Draw(0, place, 0)) for place in range(3)])
    labels = batch.inputs["labels"]
    whole = F.cross_entropy(
        model(**batch.inputs).logits.transpose(1, 2), labels, reduction="none", ignore_index=IGNORED
    )
    shapes = []
    head = model.llm.get_output_embeddings()
    head.register_forward_hook(lambda *args: shapes.append(args[-1].shape[1]))
    monkeypatch.setattr(
        torch.Tensor, "nonzero", lambda *_: pytest.fail("a GPU would be waited for")
    )
    losses = example_losses(model, batch.to("cpu"))
    torch.testing.assert_close(losses.nll, whole.sum(dim=1), atol=1e-4, rtol=1e-4)
    assert shapes == [len(batch.labelled)] and shapes[0] < labels.shape[1]
