"""The small convolutional encoder as a transformers model."""

from __future__ import annotations

import pytest
import torch

from speechverse.encoders.conv_speech import ConvSpeechConfig, ConvSpeechForCTC

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "conv_kernel_size": 5}


def small(**options: object) -> ConvSpeechForCTC:
    torch.manual_seed(0)
    return ConvSpeechForCTC(ConvSpeechConfig(**SIZES, feature_projection_input_dim=20, vocab_size=9, **options))


def test_it_hears_as_far_ahead_as_back() -> None:
    model = small().eval()
    frames = torch.randn(1, 31, 20)
    changed = frames.clone()
    changed[0, 15, 0] += 5.0
    with torch.no_grad():
        moved = (model(frames).logits - model(changed).logits).abs().amax(dim=-1)[0] > 1e-6
    assert moved.nonzero().flatten().tolist() == list(range(11, 20))
    with pytest.raises(ValueError, match="must be odd"):
        ConvSpeechConfig(conv_kernel_size=4)


def test_it_learns_a_batch_by_ctc() -> None:
    model = small()
    frames, mask = torch.randn(3, 12, 20), torch.ones(3, 12)
    mask[1, 8:] = 0
    labels = torch.tensor([[1, 2, 3, 3], [4, 5, -100, -100], [6, 7, 8, -100]])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(150):
        loss = model(frames, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 2.0 and losses[-1] < 0.1


def test_dropout_works_in_training_only() -> None:
    model = small(hidden_dropout=0.5)
    frames = torch.randn(1, 12, 20)
    assert not torch.equal(model(frames).logits, model(frames).logits)
    model.eval()
    assert torch.equal(model(frames).logits, model(frames).logits)
