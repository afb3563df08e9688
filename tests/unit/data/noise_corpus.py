"""A small corpus of noise with labels, and stand-ins for the processor and the encoder."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch

from speechverse.data import Corpus, collect_labels
from speechverse.encoders import EncoderOutput
from speechverse.errors import AudioError, AudioTooLongError
from speechverse.types import SAMPLING_RATE, AudioRef, Utterance

WORDS = (
    "play turn on off the kitchen light music radio alarm weather today tomorrow jazz table".split()
)


def utterances(
    folder: Path, num: int, *, seconds: tuple[float, float] = (1, 8), prefix: str = "u"
) -> list[Utterance]:
    """Labelled utterances whose audio need not be there."""
    rng = random.Random(prefix)
    made = []
    for number in range(num):
        words = rng.choices(WORDS, k=rng.randint(3, 12))
        labels = {
            "intent": f"intent_{number % 7}",
            "slots": [["room", "kitchen"]] if number % 3 else [],
            "keywords": sorted(set(words))[:2],
            "emotion": rng.choice(["happy", "sad", "angry", "neutral"]),
            "is_speech": True,
        }
        duration = round(rng.uniform(*seconds) * SAMPLING_RATE) / SAMPLING_RATE
        ref = AudioRef(folder / f"{prefix}{number}.wav")
        made.append(
            Utterance(
                f"{prefix}{number}", ref, duration, " ".join(words), f"s{number % 5}", "en", labels
            )
        )
    return made


def write_audio(made: list[Utterance]) -> list[Utterance]:
    for number, utterance in enumerate(made):
        samples = (
            np.random.RandomState(number).randn(round(utterance.duration * SAMPLING_RATE)) * 0.1
        )
        soundfile.write(utterance.audio.path, samples.astype(np.float32), SAMPLING_RATE)
    return made


def in_memory(made: list[Utterance], name: str = "world", split: str = "train") -> Corpus:
    return Corpus(name, collect_labels(made), _sources={split: made})


class FrontEnd:
    """A hundredth of a second a frame."""

    feature_extractor = SimpleNamespace(to_dict=lambda: {"hop": 160})
    window = "fit"

    def num_frames(self, num_samples: int) -> int:
        return num_samples // 160

    def count_frames(self, waveform: np.ndarray) -> int:
        if (frames := self.num_frames(len(waveform))) < 1:
            raise AudioError("too short for the encoder to give a frame")
        return frames


class Encoder(torch.nn.Module):
    """Two layers, three wide: the mean and the loudness of each frame."""

    last_layer_only, num_layers, width, max_seconds = False, 2, 3, None

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.model = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(self.model.weight, scale)
        torch.nn.init.zeros_(self.model.bias)
        self.model.config = SimpleNamespace(to_dict=lambda: {"layers": 2})
        self.front_end = FrontEnd()
        self.num_calls = 0

    def num_frames(self, num_samples: int) -> int:
        return self.front_end.num_frames(num_samples)

    def prepare(self, waveforms):
        lengths = torch.tensor([len(waveform) // 160 for waveform in waveforms])
        frames = torch.zeros(len(waveforms), int(lengths.max()), 160)
        for row, waveform in zip(frames, waveforms, strict=True):
            row[: len(waveform) // 160] = torch.as_tensor(
                waveform[: len(waveform) // 160 * 160]
            ).view(-1, 160)
        return {"frames": frames, "lengths": lengths}

    def forward(self, frames, lengths) -> EncoderOutput:
        self.num_calls += 1
        layer = (
            torch.stack([frames.mean(-1), frames.std(-1), frames.abs().amax(-1)], -1)
            * self.model.weight
        )
        return EncoderOutput(torch.stack([layer, 2 * layer]), lengths)


class Inputs(dict):
    def to(self, device):
        return Inputs({name: value.to(device) for name, value in self.items()})


class Processor:
    """Words for tokens; labels are the lengths of the target's words."""

    front_end = FrontEnd()
    max_positions = 1024

    def check_length(self, num_samples):
        if num_samples > 30 * SAMPLING_RATE:
            raise AudioTooLongError(
                f"audio of {num_samples / SAMPLING_RATE:.1f} s is longer than 30 s"
            )
        if self.front_end.num_frames(num_samples) < 1:
            raise AudioError("too short for the encoder to give a frame")

    def distinguishing_tokens(self, answers):
        return tuple(len(text.split()[0]) for text in answers)

    def lengths(self, instruction, target="", *, num_samples):
        return num_samples // 1280 + len(instruction.split()), len(target.split())

    def check_room(self, lengths):
        if sum(lengths) > self.max_positions:
            raise AudioTooLongError(
                f"{sum(lengths)} positions are more than the {self.max_positions} the LLM can read"
            )

    def __call__(self, instructions, *, targets, audio=None, features=None):
        heard = [torch.as_tensor(item).float().flatten() for item in (audio or features)]
        labels = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor([len(word) for word in target.split()]) for target in targets], True, -100
        )
        return Inputs(sums=torch.stack([item.sum() for item in heard]), labels=labels)
