"""The small convolutional encoder as a transformers model."""

from __future__ import annotations

import pytest
import torch

from speechverse.encoders.conv_speech import ConvSpeechConfig, ConvSpeechForCTC

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "conv_kernel_size": 5}

MEL = {"num_mel_bins": 5, "mel_conv_width": 16}


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


@pytest.mark.parametrize("options", [{}, MEL], ids=["linear", "convolutions"])
def test_what_a_row_gives_depends_on_nothing_beside_it(options: dict) -> None:
    model = small(**options).eval()
    frames, mask = torch.randn(2, 20, 20), torch.ones(2, 20)
    frames[1, 13:], mask[1, 13:] = 0, 0
    with torch.no_grad():
        together, alone = model(frames, attention_mask=mask).logits[1, :13], model(frames[1:, :13]).logits[0]
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_convolutions_need_a_stride_they_can_halve() -> None:
    with pytest.raises(ValueError, match="stride of 2, 4, 8 or 16"):
        ConvSpeechConfig(feature_projection_input_dim=240, mel_conv_width=8)


@pytest.mark.parametrize("options", [{}, MEL], ids=["linear", "convolutions"])
def test_it_learns_a_batch_by_ctc(options: dict) -> None:
    model = small(**options)
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


@pytest.mark.parametrize("blank", [0, 5])
def test_its_loss_is_torch_s_in_value_and_gradient(blank: int) -> None:
    model, frames, mask = small(pad_token_id=blank), torch.randn(4, 12, 20), torch.ones(4, 12)
    mask[1, 8:] = 0
    labels = torch.tensor([[1, 2, 3, 3], [4, -100, -100, -100], [-100] * 4, [6, 7, 8, -100]])
    output = model(frames, attention_mask=mask, labels=labels)
    whole = torch.nn.functional.ctc_loss(
        output.logits.log_softmax(dim=-1).transpose(0, 1),
        labels.clamp(min=0),
        mask.sum(dim=1).long(),
        (labels >= 0).sum(dim=1),
        blank=blank,
        zero_infinity=True,
    )
    found, expected = (torch.autograd.grad(loss, output.logits, retain_graph=True)[0] for loss in (output.loss, whole))
    torch.testing.assert_close(output.loss, whole)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_dropout_works_in_training_only() -> None:
    model = small(hidden_dropout=0.5)
    frames = torch.randn(1, 12, 20)
    assert not torch.equal(model(frames).logits, model(frames).logits)
    model.eval()
    assert torch.equal(model(frames).logits, model(frames).logits)
