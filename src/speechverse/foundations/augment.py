"""Other speeds, voices, rooms and noises than were recorded, made on log-mel energies: each row of a batch its own.

All draws are made on the CPU from one generator, so that they are the same on any device.

Shapes: B batch, F mel frames (100 Hz), M mel bins, T stacked frames (25 Hz), K taps of a room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from speechverse.foundations.features import MEL_BINS, MEL_FRAME_RATE, FeatureStore, MelBatch, SpeechBatch
from speechverse.foundations.recipe import Augmentation

_LOWEST_HZ, _HIGHEST_HZ = 20.0, 8000.0
_ROOM_TAPS = 48  # 0.48 s
_DECAY_DB = 60.0
_SILENCE = -16.0  # the floor of the filterbank's logarithm


class Augmenter:
    """Changes batches of one corpus; noises are rows of the same corpus that hold no speech."""

    def __init__(self, settings: Augmentation, store: FeatureStore, noises: Sequence[int]) -> None:
        self.settings, self.store, self.noises = settings, store, list(noises)

    def __call__(self, batch: MelBatch, generator: torch.Generator) -> MelBatch:
        """The batch from other speakers at another speed, in rooms, with noise: what the settings ask for."""
        batch = warped(batch, generator, self.settings.tempo, self.settings.tract)
        batch = self._in_rooms(batch, generator)
        return self._with_noise(batch, generator)

    def _in_rooms(self, batch: MelBatch, generator: torch.Generator) -> MelBatch:
        chosen = _chosen(len(batch.rows), self.settings.room_share, generator)
        seconds = _uniform(len(chosen), 0.1, self.settings.longest_room, generator)
        echo = _uniform(len(chosen), 0.02, 0.3, generator)
        if not len(chosen):
            return batch
        mels = batch.mels.clone()
        where = chosen.to(mels.device)
        mels[where] = reverberated(mels[where], seconds.to(mels.device), echo.to(mels.device))
        return batch._replace(mels=mels)

    def _with_noise(self, batch: MelBatch, generator: torch.Generator) -> MelBatch:
        chosen = _chosen(len(batch.rows), self.settings.noise_share, generator)
        snr = _uniform(len(chosen), *self.settings.noise_snr, generator)
        if not len(chosen) or not self.noises:
            return batch
        frames, mels, where = batch.mels.shape[1], batch.mels.clone(), chosen.to(batch.mels.device)
        noise = torch.stack([self._noise(frames, generator) for _ in chosen]).to(mels.device)
        mels[where] = with_noise(batch.mels[where], noise, batch.mask[where], snr.to(mels.device))
        return batch._replace(mels=mels)

    def _noise(self, frames: int, generator: torch.Generator) -> Tensor:
        """(F, M) of a noise from some point on, over again where it is too short."""
        row = self.noises[int(torch.randint(len(self.noises), (1,), generator=generator))]
        noise = self.store[row]
        start = int(torch.randint(len(noise), (1,), generator=generator))
        return noise[(torch.arange(frames) + start) % len(noise)]


def _chosen(rows: int, share: float, generator: torch.Generator) -> Tensor:
    """The rows that something happens to."""
    return (torch.rand(rows, generator=generator) < share).nonzero().flatten()


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def warped(batch: MelBatch, generator: torch.Generator, tempo: float, tract: float) -> MelBatch:
    """Each row at another speed, from a vocal tract of another length.

    Args:
        batch: As it was recorded.
        generator: Draws both factors of each row.
        tempo: Largest change of speed, as a share.
        tract: Largest change of frequencies, as a share; it moves pitch and formants alike.
    """
    rows, frames, _ = batch.mels.shape
    factors = _uniform(rows, 1 - tempo, 1 + tempo, generator)
    scales = _uniform(rows, 1 - tract, 1 + tract, generator)
    lengths = (batch.lengths.cpu() * factors).round().long().clamp(min=1)
    times = torch.arange(int(lengths.max())) * ((batch.lengths.cpu() - 1) / (lengths - 1).clamp(min=1))[:, None]
    bins = _mel_of(_hertz()[None, :] * scales[:, None])  # (B, M), where each new bin is read
    # Made where it is used: it is as large as the batch itself, twice.
    device = batch.mels.device
    grid = torch.stack(torch.broadcast_tensors(bins.to(device)[:, None, :], times.to(device)[:, :, None]), dim=-1)
    sizes = torch.tensor([MEL_BINS - 1, max(frames - 1, 1)], device=device)
    grid = 2 * grid / sizes - 1
    mels = functional.grid_sample(batch.mels[:, None], grid, padding_mode="border", align_corners=True)
    return MelBatch(mels[:, 0], lengths.to(batch.mels.device), batch.rows)


@cache
def _hertz() -> Tensor:
    """Centre of each mel bin."""
    return 700 * ((_mel(_LOWEST_HZ) + _step() * torch.arange(1, MEL_BINS + 1)) / 1127).expm1()


def _mel_of(hertz: Tensor) -> Tensor:
    """The mel bin, a fraction, of a frequency."""
    return ((1127 * (hertz / 700).log1p() - _mel(_LOWEST_HZ)) / _step() - 1).clamp(0, MEL_BINS - 1)


def _mel(hertz: float) -> float:
    return 1127 * math.log1p(hertz / 700)


def _step() -> float:
    return (_mel(_HIGHEST_HZ) - _mel(_LOWEST_HZ)) / (MEL_BINS + 1)


def reverberated(mels: Tensor, seconds: Tensor, echo: Tensor) -> Tensor:
    """Rows (B, F, M) with the decaying energy of a room behind every frame.

    Args:
        mels: Log energies.
        seconds: (B,) time in which the room's sound falls by 60 dB.
        echo: (B,) energy of the room's first frame beside the direct sound's.
    """
    rows, frames, bins = mels.shape
    taps = torch.arange(1, _ROOM_TAPS, device=mels.device)
    fall = 10 ** (-_DECAY_DB / 10 * taps / (seconds[:, None] * MEL_FRAME_RATE))  # (B, K - 1)
    kernel = torch.cat([fall.flip(1) * echo[:, None], torch.ones_like(echo[:, None])], dim=1)
    energy = functional.pad(mels.exp().permute(2, 0, 1), (_ROOM_TAPS - 1, 0))  # (M, B, F + K - 1)
    heard = functional.conv1d(energy, kernel[:, None], groups=rows)
    return heard.clamp(min=math.exp(_SILENCE)).log().permute(1, 2, 0).reshape(rows, frames, bins)


def with_noise(mels: Tensor, noise: Tensor, mask: Tensor, snr: Tensor) -> Tensor:
    """Rows (B, F, M) with noise (B, F, M) added at a ratio of mean energies.

    Args:
        mels: Log energies.
        noise: Log energies; its level does not matter.
        mask: (B, F), 1 on true frames.
        snr: (B,) in dB.
    """
    counts = mask.sum(dim=1)
    ours, theirs = ((x.exp().sum(dim=2) * mask).sum(dim=1) / counts for x in (mels, noise))
    gain = (ours / theirs.clamp(min=1e-12)).clamp(min=1e-12).log() - snr * math.log(10) / 10
    return torch.logaddexp(mels, noise + gain[:, None, None])


def spec_augment(batch: SpeechBatch, settings: Augmentation, generator: torch.Generator) -> SpeechBatch:
    """Hides spans of time and bands of mel bins, each row its own (SpecAugment, arXiv 1904.08779)."""
    rows, frames = batch.mask.shape
    lengths = batch.mask.sum(dim=1).cpu()
    times = _spans(lengths, frames, settings.time_spans, settings.time_width, generator)
    bands = _spans(torch.full((rows,), MEL_BINS), MEL_BINS, settings.mel_spans, settings.mel_width, generator)
    shape = (rows, frames, -1, MEL_BINS)
    hidden = (times[:, :, None, None] | bands[:, None, None, :]).to(batch.features.device)
    features = batch.features.view(shape).masked_fill(hidden, 0.0).view(batch.features.shape)
    return batch._replace(features=features)


def _spans(lengths: Tensor, size: int, number: int, width: int, generator: torch.Generator) -> Tensor:
    """(B, size) true within `number` spans a row, each up to `width` wide and a quarter of the row's length."""
    widest = torch.minimum(torch.tensor(width), lengths // 4)[:, None]
    widths = (torch.rand(len(lengths), number, generator=generator) * (widest + 1)).long()
    starts = (torch.rand(len(lengths), number, generator=generator) * (lengths[:, None] - widths + 1)).long()
    places = torch.arange(size)
    inside = (places >= starts[..., None]) & (places < (starts + widths)[..., None])
    return inside.any(dim=1)
