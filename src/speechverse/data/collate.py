"""From examples to the tensors the model takes; the processor does the work, this loads what it
needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechverse.audio import load
from speechverse.data.cache import FeatureCache
from speechverse.data.plan import Length
from speechverse.errors import AudioError
from speechverse.types import IGNORED, Example, Utterance

if TYPE_CHECKING:
    from speechverse.models import SpeechVerseProcessor


Reads = Literal["audio", "transcript"]
"""What the LLM reads: what the encoder hears, or the words that are said, as in a cascade."""


class Choices(NamedTuple):
    """The answers an example allows, each as the token that tells it from the others, and which of
    them is right.
    """

    tokens: tuple[int, ...]
    right: int


@dataclass
class Batch:
    """Examples as tensors.

    Attributes:
        inputs: What the model is called with: `model(**batch.inputs)`.
        examples: The examples, one a row.
        loss_weights: What each row's loss counts, shape (B,).
        choices: Of each row, None where the answer is free.
        labelled: Label positions at which any row has a label, shape (K,); found here, where no
            device is waited for.
        skipped: Rows whose audio could not be used, by number, with the reason; nothing of them is
            learnt.
    """

    inputs: Any
    examples: tuple[Example, ...]
    loss_weights: Tensor
    choices: tuple[Choices | None, ...]
    labelled: Tensor
    skipped: dict[int, str] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Each row's task."""
        return tuple(example.task for example in self.examples)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device."""
        return replace(
            self,
            inputs=self.inputs.to(device),
            loss_weights=self.loss_weights.to(device),
            labelled=self.labelled.to(device),
        )


Collate = Callable[[Sequence[Example], Sequence[float] | None], Batch]
"""Makes a batch of examples with their loss weights."""


def batch_of(
    inputs: Any,
    examples: Sequence[Example],
    loss_weights: Sequence[float] | None,
    choices: tuple[Choices | None, ...],
    skipped: dict[int, str],
) -> Batch:
    """A batch of collated inputs; rows that were skipped lose their labels and weights."""
    weights = torch.tensor(
        list(loss_weights) if loss_weights is not None else [1.0] * len(examples)
    )
    for row in skipped:
        inputs["labels"][row] = IGNORED
        weights[row] = 0.0
    labelled = (inputs["labels"] != IGNORED).any(dim=0).nonzero()[:, 0]
    return Batch(inputs, tuple(examples), weights, choices, labelled, skipped)


@dataclass
class Collator:
    """Makes batches to train on and to measure the loss with.

    A clip that cannot be used becomes silence without labels, and is told of in `Batch.skipped`:
    the batch keeps its shape, so processes stay in step and no example moves.

    Attributes:
        processor: The model's processor.
        cache: Encoder outputs to use instead of audio.
        reads: Whether true transcripts stand where the audio would.
    """

    processor: SpeechVerseProcessor
    cache: FeatureCache | None = None
    reads: Reads = "audio"

    def __call__(
        self, examples: Sequence[Example], loss_weights: Sequence[float] | None = None
    ) -> Batch:
        """Loads and collates examples, with their targets as labels."""
        skipped: dict[int, str] = {}
        heard = [self._load_input(row, example, skipped) for row, example in enumerate(examples)]
        asked: dict[str, Any] = {
            self._given: heard,
            "targets": [example.target for example in examples],
        }
        inputs = self.processor([example.prompt for example in examples], **asked)
        return batch_of(
            inputs, examples, loss_weights, tuple(map(self._choices, examples)), skipped
        )

    @property
    def _given(self) -> str:
        if self.reads == "transcript":
            return "transcripts"
        return "audio" if self.cache is None else "features"

    def _choices(self, example: Example) -> Choices | None:
        if example.choices is None or example.target not in example.choices:
            return None
        return Choices(
            self.processor.distinguishing_tokens(example.choices),
            example.choices.index(example.target),
        )

    def _load_input(self, row: int, example: Example, skipped: dict[int, str]) -> Any:
        try:
            if self.reads == "transcript":
                return example.utterance.of_clips(_transcript)
            if self.cache is not None:
                return example.utterance.of_clips(self.cache.__getitem__)
            return example.utterance.of_clips(self._load)
        except AudioError as error:
            skipped[row] = str(error)
            if self.reads == "transcript":
                return example.utterance.of_clips(lambda _: "")
            return example.utterance.of_clips(self._silence)

    def _load(self, clip: Utterance) -> np.ndarray:
        samples = load(clip.audio).samples
        self.processor.check_length(len(samples))
        return samples

    def _silence(self, clip: Utterance) -> Any:
        if self.cache is None:
            return np.zeros(clip.num_samples, dtype=np.float32)
        num_frames = self.processor.front_end.num_frames(clip.num_samples)
        return torch.zeros(
            self.cache.num_layers, num_frames, self.cache.width, dtype=self.cache.dtype
        )


def length_function(processor: SpeechVerseProcessor, reads: Reads = "audio") -> Length:
    """The length function of a batch plan: LLM positions by the processor's arithmetic.

    The function raises AudioError for a clip the model, its encoder or its LLM cannot take, and,
    where transcripts are read, for one without.
    """

    def length(example: Example) -> int:
        if reads == "transcript":
            lengths = processor.lengths(
                example.prompt, example.target, transcript=example.utterance.of_clips(_transcript)
            )
        else:
            num_samples = example.utterance.of_clips(lambda clip: clip.num_samples)
            for number in num_samples if isinstance(num_samples, list) else [num_samples]:
                processor.check_length(number)
            lengths = processor.lengths(example.prompt, example.target, num_samples=num_samples)
        processor.check_room(lengths)
        return sum(lengths)

    return length


def _transcript(clip: Utterance) -> str:
    if clip.text is None:
        raise AudioError(f"'{clip.id}' has no transcript to read")
    return clip.text
