from __future__ import annotations

import torch

from speechverse.encoders.best_rq.quantizer import RandomProjectionQuantizer


def test_same_seed_gives_same_codes_and_another_seed_gives_others() -> None:
    frames = torch.randn(2, 7, 12)
    first, again, other = (
        RandomProjectionQuantizer(12, 3, 32, 4, seed=seed)(frames) for seed in (1, 1, 2)
    )
    assert first.shape == (2, 7, 3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_code_is_the_nearest_in_cosine() -> None:
    quantizer = RandomProjectionQuantizer(12, 2, 16, 4)
    frames = torch.randn(5, 12)
    for book in range(2):
        projected = torch.nn.functional.normalize(frames @ quantizer.projection[book], dim=-1)
        distance = torch.cdist(projected, quantizer.codebooks[book])
        assert torch.equal(quantizer(frames)[:, book], distance.argmin(dim=-1))


def test_nothing_is_trained_and_everything_is_saved() -> None:
    quantizer = RandomProjectionQuantizer(12, 2, 16, 4)
    assert not list(quantizer.parameters())
    assert set(quantizer.state_dict()) == {"projection", "codebooks"}


def test_normalised_frames_use_many_codes() -> None:
    codes = RandomProjectionQuantizer(40, 1, 64, 8)(torch.randn(4000, 40))
    assert len(codes.unique()) > 50
