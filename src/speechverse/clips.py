"""What a question is about: one clip, or several that stand in its instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechverse.audio import AudioSource, Waveform
from speechverse.errors import UserError
from speechverse.protocols import Model, Processor
from speechverse.seeding import fingerprint
from speechverse.types import Dialogue, Prompt, Turn


class Clips(tuple[AudioSource, ...]):
    """Clips that one instruction is about; each stands where the instruction has a `<|audio|>`.

    `model.ask(Clips(first, second), "Who speaks in <|audio|> and who in <|audio|>?")`. A list of
    sounds is something else: as many questions.
    """

    __slots__ = ()

    def __new__(cls, *clips: AudioSource) -> Clips:
        """Takes one clip or more, each whatever `SpeechVerse.ask` takes as a sound.

        Raises:
            UserError: If there is none.
        """
        if not clips:
            raise UserError("Clips() holds no clip; name one for each <|audio|> of the instruction")
        return super().__new__(cls, clips)


class Heard:
    """What a question is about: one sound, or several that stand at their own places.

    Attributes:
        waveforms: In the order of their places.
        several: Whether they are `Clips`.
    """

    def __init__(self, waveforms: Sequence[Waveform], several: bool) -> None:
        self.waveforms = tuple(waveforms)
        self.several = several

    @property
    def seconds(self) -> float:
        return sum(waveform.duration for waveform in self.waveforms)

    @property
    def num_samples(self) -> int | list[int]:
        return self._one_or_all([len(waveform.samples) for waveform in self.waveforms])

    def samples(self) -> np.ndarray | list[np.ndarray]:
        return self._one_or_all([waveform.samples for waveform in self.waveforms])

    @property
    def fingerprint(self) -> str:
        """The same for the same sounds."""
        return fingerprint(*(waveform.samples.tobytes() for waveform in self.waveforms))

    def prompt(self, instruction: str, earlier: Sequence[Turn] = ()) -> Prompt:
        """What a model reads beside it."""
        if not earlier and not self.several:
            return instruction
        return Dialogue(instruction, tuple(earlier), len(self.waveforms) if self.several else None)

    def encoded(self, model: Model, processor: Processor) -> Tensor | list[Tensor]:
        """The encoder's output (L, T, D) of each sound."""
        made = []
        with torch.no_grad():
            for waveform in self.waveforms:
                inputs = processor([""], audio=[waveform.samples], generation=True)
                output = model.encode(inputs.to(model.device)["audio_inputs"])
                made.append(output.hidden_states[:, 0, : int(output.lengths[0])])
        return self._one_or_all(made)

    def _one_or_all(self, values: list[Any]) -> Any:
        return values if self.several else values[0]
