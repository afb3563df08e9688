"""What a model and a processor promise to whoever asks, trains or measures them.

Shape letters: B batch, P prompt positions, N new tokens, L layers, T frames, D width of the
encoder, E of the LLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from speechverse.types import Lengths, Prompt

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from speechverse.encoders.contract import FrontEnd, SpeechEncoder
    from speechverse.models.clip_statistics import ClipStatistics
    from speechverse.models.configuration_speechverse import SpeechVerseConfig
    from speechverse.models.mixer import LayerMixer


class ModelBatch(Protocol):
    """Keyword arguments of a model's `forward` and `generate`."""

    def __getitem__(self, name: str, /) -> Any: ...
    def get(self, name: str, /) -> Any: ...
    def keys(self) -> Any: ...
    def to(self, device: torch.device | str) -> ModelBatch:
        """The same on another device."""


class Text(Protocol):
    """Spells text in the tokenizer's pieces."""

    def unspelt(self, text: str) -> str:
        """What of a text there are no pieces for; empty if all can be spelt."""

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Text of ids, row by row, without control signs."""


class Processor(Protocol):
    """From instructions and audio to what a model reads, and back to text.

    Attributes:
        config: The model's configuration.
        tokenizer: The LLM's.
        front_end: The encoder's.
        text: How it spells.
    """

    config: SpeechVerseConfig
    tokenizer: PreTrainedTokenizerBase
    front_end: FrontEnd

    @property
    def text(self) -> Text: ...
    @property
    def max_audio_seconds(self) -> float:
        """The longest audio accepted."""

    def heard_of(self, samples: np.ndarray) -> np.ndarray:
        """The part of a clip (T,) that is heard."""

    @property
    def end_token_id(self) -> int:
        """The token that ends an answer."""

    def __call__(
        self,
        instructions: Sequence[Prompt],
        *,
        audio: Sequence[np.ndarray | list[np.ndarray]] | None = None,
        features: Sequence[Tensor | list[Tensor]] | None = None,
        transcripts: Sequence[str | list[str]] | None = None,
        targets: Sequence[str] | None = None,
        generation: bool = False,
    ) -> ModelBatch:
        """A batch from instructions and one of three things to ask about: samples, kept features
        (L, T, D), texts; of a row with several clips a list.
        """

    def check_length(self, num_samples: int) -> None:
        """Raises `AudioError` where the model cannot hear audio of so many samples."""

    def lengths(
        self,
        instruction: Prompt,
        target: str = "",
        *,
        num_samples: int | list[int] = 0,
        transcript: str | list[str] | None = None,
    ) -> Lengths:
        """LLM positions an example costs."""

    def num_positions(self, instruction: Prompt, target: str = "", **heard: Any) -> int:
        """`lengths`, prompt and answer together."""

    def room(self, prompt: int) -> int | None:
        """Tokens that an answer to a prompt of so many positions may have; None without a limit."""

    def check_room(self, lengths: Lengths) -> None:
        """Raises `AudioTooLongError` where prompt and answer do not fit the LLM."""

    def check_question(
        self, prompt: Prompt, choices: Sequence[str] = (), *, num_samples: int | list[int]
    ) -> Lengths:
        """What a prompt and the end of its answer cost; raises `AudioTooLongError` where the LLM
        has no room for them or the longest of the choices.
        """

    def encode_target(self, text: str) -> list[int]:
        """The ids the model is taught to generate for an answer, end token included."""

    def decode(self, ids: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Text of generated ids, each row up to its end token."""


class Model(Protocol):
    """A speech encoder joined with an LLM.

    Attributes:
        config: What it is made of.
        encoder: Its speech encoder.
        llm: Its LLM, in transformers' form.
        mixer: Its layer weights.
        clip_statistics: What tells each position of the whole clip, if it has that.
        training: Whether it is in training mode.
    """

    config: SpeechVerseConfig
    encoder: SpeechEncoder
    llm: PreTrainedModel
    mixer: LayerMixer
    clip_statistics: ClipStatistics | None
    training: bool

    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def num_start_tokens(self) -> int:
        """Ids before the first new token while generating."""

    def __call__(self, *args: Any, **inputs: Any) -> Any: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def state_dict(self) -> Mapping[str, Any]: ...
    def encode(self, audio_inputs: dict[str, Tensor]) -> Any:
        """Hidden states (L, B, T, D) and lengths (B,) of what the processor's front end made."""

    def embed_prompt(
        self,
        input_ids: Tensor,
        audio_inputs: dict[str, Tensor] | None = None,
        encoder_output: Any = None,
    ) -> Tensor:
        """[audio ; prompt] as the LLM takes it, shape (B, P, E)."""

    def generate(self, **inputs: Any) -> Any:
        """New tokens only, shape (B, N)."""

    def without_lora(self) -> AbstractContextManager[None]:
        """The LLM as it was before any training, within the block."""

    def processor(self) -> Processor:
        """What makes its batches."""
