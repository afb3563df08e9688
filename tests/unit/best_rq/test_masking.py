from __future__ import annotations

import pytest
import torch

from speechverse.encoders.best_rq.masking import mask_with_noise, perplexity, span_mask


@pytest.mark.parametrize(("ratio", "span"), [(0.4, 10), (0.2, 5), (0.4, 1)])
def test_hides_about_the_share_asked_for(ratio: float, span: int) -> None:
    hidden = span_mask(torch.full((200,), 100), ratio, span, torch.Generator().manual_seed(0))
    assert hidden.float().mean() == pytest.approx(ratio, abs=0.03)


def test_never_beyond_a_true_length_and_never_nothing() -> None:
    lengths = torch.tensor([1, 3, 20])
    hidden = span_mask(lengths, 0.1, 2, torch.Generator().manual_seed(0))
    assert hidden.shape == (3, 20)
    assert hidden.any(dim=1).all()
    assert not hidden[0, 1:].any()
    assert not hidden[1, 3:].any()


def test_same_generator_same_mask() -> None:
    draws = [
        span_mask(torch.tensor([50, 40]), 0.4, 8, torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert torch.equal(*draws)


def test_only_hidden_frames_become_noise() -> None:
    frames = torch.ones(1, 200, 30)
    hidden = torch.zeros(1, 200, dtype=torch.bool)
    hidden[0, 50:150] = True
    masked = mask_with_noise(frames, hidden, std=0.1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(masked[~hidden], frames[~hidden])
    assert masked[hidden].std() == pytest.approx(0.1, rel=0.1)


def test_perplexity_counts_codes_in_use() -> None:
    assert perplexity(torch.tensor([5, 5, 5, 5, 0, 0])) == pytest.approx(4.0)
    assert perplexity(torch.tensor([9, 0, 0])) == pytest.approx(1.0)
