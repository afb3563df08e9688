"""The paper's specialist: a small classifier of its own for each closed task, on the frozen
encoder's outputs.

Feed-forward, two layers of GRU, mean over time, two more feed-forward layers; the layers of the
encoder are mixed by weights that it learns. Shape letters: L layers, B batch, T frames, D width of
the encoder, H hidden width, C classes.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechverse.encoders.contract import length_mask, pad_rows
from speechverse.metrics import get_metric
from speechverse.models.mixer import LayerMixer
from speechverse.progress import Advance, Watch, watch_nothing
from speechverse.seeding import hash_seed, rng_for
from speechverse.types import AudioRef, Example, Utterance

Frames = Callable[[Example], Tensor]
"""The encoder's outputs for an example's clip at `FRAME_RATE`, (L, T, D)."""

FRAME_RATE = 12.5
"""Frames a second that it reads: the encoder's are averaged to the LLM's own rate."""

_HIDDEN = 256
_DROPOUT = 0.2
_BATCH = 32
_LEARNING_RATE = 1e-3
_EPOCHS, _PATIENCE = 40, 6
_VALIDATION_SHARE = 0.15
_REMEMBERED_BYTES = 2**29


class SpecialistNetwork(nn.Module):
    """Encoder outputs to class scores."""

    def __init__(self, num_layers: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.mixer = LayerMixer(num_layers, "softmax" if num_layers > 1 else "last")
        self.inner = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT)
        )
        self.gru = nn.GRU(_HIDDEN, _HIDDEN, num_layers=2, batch_first=True, dropout=_DROPOUT)
        self.head = nn.Sequential(
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_HIDDEN, num_classes),
        )

    def forward(self, frames_LBTD: Tensor, lengths: Tensor) -> Tensor:
        """Scores (B, C) of clips of true lengths (B,)."""
        mixed_BTD = self.mixer(self.mixer.prepare(frames_LBTD))
        packed = pack_padded_sequence(
            self.inner(mixed_BTD), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        hidden_BTH, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        mask_BT1 = length_mask(lengths, hidden_BTH.shape[1])[..., None]
        return self.head((hidden_BTH * mask_BT1).sum(dim=1) / lengths[:, None])


@dataclass(frozen=True)
class Specialist:
    """A fitted classifier of one task, of C classes; `cost` says what fitting it took."""

    names: tuple[str, ...]
    network: SpecialistNetwork
    cost: str

    @torch.no_grad()
    def predict(self, examples: Sequence[Example], frames: Frames) -> Iterator[str]:
        """The class of each example, in order; what stands beside it changes nothing."""
        self.network.eval()
        device = next(self.network.parameters()).device
        for example in examples:
            yield self.names[int(self.network(*_batch([frames(example)], device)).argmax())]


def fit_specialist(
    examples: Sequence[Example],
    frames: Frames,
    device: torch.device,
    seed: int = 0,
    watch: Watch = watch_nothing,
) -> Specialist:
    """Fits a classifier to examples of one closed task, until it gets no better on speakers that
    were held out.

    The same examples, seed and number of threads give the same classifier.
    """
    began = time.perf_counter()
    names = tuple(sorted({example.target for example in examples}))
    fitted, held = _held_out(examples, seed)
    num_layers, _, width = frames(fitted[0]).shape
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(hash_seed(seed, "specialist", examples[0].task))
        network = SpecialistNetwork(num_layers, width, len(names)).to(device)
        what = f"specialist of {examples[0].task}, {_EPOCHS} epochs at most"
        advance = watch(what, _EPOCHS * len(fitted))
        epochs = _Fitting(network, names, frames, device, seed, advance).run(fitted, held)
    size = sum(parameter.numel() for parameter in network.parameters())
    cost = (
        f"{size / 1e6:.1f} M parameters, fitted on {len(fitted)} examples and validated on"
        f" {len(held)}, {epochs} epochs, {time.perf_counter() - began:.0f} s"
    )
    return Specialist(names, network, cost)


@dataclass
class _Fitting:
    network: SpecialistNetwork
    names: tuple[str, ...]
    frames: Frames
    device: torch.device
    seed: int
    advance: Advance

    def run(self, fitted: Sequence[Example], held: Sequence[Example]) -> int:
        """Leaves the best network of all epochs; gives how many there were."""
        weights = self.network.parameters()
        optimizer = torch.optim.AdamW(weights, lr=_LEARNING_RATE, weight_decay=0.01)
        best, best_state, since, epoch = -1.0, copy.deepcopy(self.network.state_dict()), 0, 0
        while epoch < _EPOCHS and since < _PATIENCE:
            self._epoch(fitted, optimizer, epoch)
            epoch, since = epoch + 1, since + 1
            if (value := self._value(held)) > best:
                best, best_state, since = value, copy.deepcopy(self.network.state_dict()), 0
        self.network.load_state_dict(best_state)
        return epoch

    def _epoch(
        self, fitted: Sequence[Example], optimizer: torch.optim.Optimizer, epoch: int
    ) -> None:
        self.network.train()
        weights = self._class_weights(fitted)
        order = list(range(len(fitted)))
        rng_for(self.seed, "specialist", epoch).shuffle(order)
        for start in range(0, len(order), _BATCH):
            some = [fitted[place] for place in order[start : start + _BATCH]]
            logits = self.network(*_batch([self.frames(example) for example in some], self.device))
            loss = F.cross_entropy(logits, self._classes(some), weights)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            optimizer.step()
            self.advance(len(some))

    def _value(self, held: Sequence[Example]) -> float:
        """Mean recall, the metric of most closed tasks, so that rare classes count."""
        told = list(Specialist(self.names, self.network, "").predict(held, self.frames))
        return get_metric("uar").value(told, [example.target for example in held])

    def _classes(self, examples: Sequence[Example]) -> Tensor:
        classes = [self.names.index(example.target) for example in examples]
        return torch.tensor(classes, device=self.device)

    def _class_weights(self, fitted: Sequence[Example]) -> Tensor:
        """All classes weigh the same together."""
        counts = Counter(example.target for example in fitted)
        each = len(fitted) / len(self.names)
        shares = [each / counts[name] if counts[name] else 0.0 for name in self.names]
        return torch.tensor(shares, device=self.device)


class FrameSource:
    """Gives encoder outputs at `FRAME_RATE`, in bf16; remembers as many as fit into half a
    gigabyte.

    Averaged, they are all a specialist reads, and small; every epoch reads each of them again.
    """

    def __init__(self, encode: Callable[[Utterance], Tensor], frame_rate: float) -> None:
        """Takes what gives outputs (L, T, D) of a clip, and their frames a second."""
        self._encode = encode
        self._step = max(1, round(frame_rate / FRAME_RATE))
        self._kept: dict[AudioRef, Tensor] = {}
        self._room = _REMEMBERED_BYTES

    def __call__(self, example: Example) -> Tensor:
        """Encoder outputs of its clip, (L, T, D) at `FRAME_RATE`; the last frame may stand for
        fewer of the encoder's.

        Raises:
            AudioError: If the clip cannot be heard.
        """
        clip = example.utterance.audio
        if clip in self._kept:
            return self._kept[clip]
        parts = self._encode(example.utterance).float().split(self._step, dim=1)
        frames_LTD = torch.stack([part.mean(dim=1) for part in parts], dim=1).bfloat16()
        if frames_LTD.nbytes <= self._room:
            self._room -= frames_LTD.nbytes
            self._kept[clip] = frames_LTD
        return frames_LTD


def _batch(frames: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    padded_BTLD, lengths = pad_rows([x.transpose(0, 1) for x in frames])
    return padded_BTLD.permute(2, 0, 1, 3).to(device), lengths.to(device)


def _held_out(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Examples to fit on and to validate on: no speaker, and no two who speak together, on both
    sides, where there are enough.
    """
    voices = [example.utterance.speaker or example.id for example in examples]
    for unit in (voices, [example.id for example in examples]):
        aside, wanted, counts = set[str](), _VALIDATION_SHARE * len(examples), Counter(unit)
        for name in sorted(counts, key=lambda name: hash_seed(seed, "held", name)):
            if sum(counts[held] for held in aside) >= wanted:
                break
            aside.add(name)
        pairs = list(zip(examples, unit, strict=True))
        fitted = [example for example, name in pairs if name not in aside]
        held = [example for example, name in pairs if name in aside]
        if len({example.target for example in fitted}) > 1 and len(fitted) >= len(held):
            return fitted, held
    return list(examples), list(examples)
