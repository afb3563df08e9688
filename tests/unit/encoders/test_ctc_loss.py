"""CTC's loss over each row's own units is torch's over all of them."""

from __future__ import annotations

import torch

from speechverse.encoders.ctc_loss import ctc_nll


def test_value_and_gradient_are_torch_s() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 12, 40, requires_grad=True)
    lengths = torch.tensor([12, 7, 12, 12, 3])
    targets = [
        [3, 3, 9],
        [5, 4, 5],
        [],
        list(range(1, 13)),
        [7, 7, 7],
    ]  # the last cannot be aligned
    found = ctc_nll(logits, lengths, targets)
    found.sum().backward()
    assert logits.grad is not None
    gradient, logits.grad = logits.grad.clone(), None
    flat, sizes = (
        torch.tensor([unit for target in targets for unit in target]),
        torch.tensor(list(map(len, targets))),
    )
    scores = logits.log_softmax(dim=-1).transpose(0, 1)
    whole = torch.nn.functional.ctc_loss(
        scores, flat, lengths, sizes, reduction="none", zero_infinity=True
    )
    whole.sum().backward()
    torch.testing.assert_close(found, whole)
    torch.testing.assert_close(gradient, logits.grad, atol=1e-6, rtol=1e-4)


def test_a_row_without_units_is_to_be_silent() -> None:
    logits = torch.zeros(1, 6, 4)
    logits[..., 0] = 5.0
    lengths, louder = torch.tensor([6]), logits.roll(1, dims=-1)
    assert ctc_nll(logits, lengths, [[]]) < 0.2 < ctc_nll(louder, lengths, [[]])
