"""Whisper as a recogniser: the decoder that comes with its encoder writes down what is said,
greedily.

Shape letters: L layers, B batch, T frames, D width, N tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    WhisperForConditionalGeneration,
)
from transformers.modeling_outputs import BaseModelOutput

from speechverse.encoders.contract import FrontEnd, SpeechEncoder, Window
from speechverse.encoders.loading import load_front_end
from speechverse.encoders.recogniser import Recogniser, by_length
from speechverse.encoders.whisper import WhisperEncoder
from speechverse.errors import CheckpointError, UserError, unknown_name
from speechverse.hub import Resolved, loading, quiet_transformers, resolve
from speechverse.types import SAMPLING_RATE, TOKENS_A_SECOND, TOKENS_BESIDE, Answer

KNOWN_WHISPER = "whisper-base"
"""Who listens where a model's own encoder is no Whisper with a decoder."""


class WhisperRecogniser(Recogniser):
    """Whisper's encoder and decoder; greedy, without timestamps.

    The decoder was trained on windows of 30 s and knows by the silence behind a clip that it is
    over: where it sees none, it says everything again and again. So what the encoder heard in a
    window that fits the clip is followed by what it makes of silence, up to the 30 s; the encoder
    runs over the clip only (measured in docs/decisions.md).

    Attributes:
        source: Its name.
        language: Code of what is spoken; None has Whisper find it out for each clip.
        task: "transcribe", or "translate" into English.
    """

    def __init__(
        self,
        encoder: SpeechEncoder,
        model: WhisperForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        source: str = "",
    ) -> None:
        super().__init__(encoder, tokenizer)
        self.source = source
        self.model = model.requires_grad_(False).eval()
        self.language: str | None = "en"
        self.task = "transcribe"
        self._silence_TD: Tensor | None = None

    @property
    def max_seconds(self) -> float:
        """The longest clip it hears."""
        return self.encoder.max_seconds or float("inf")

    @property
    def languages(self) -> list[str]:
        """Codes of the languages it knows."""
        return languages_of(self.model.generation_config) or ["en"]

    def check_language(self, language: str | None) -> None:
        """Whether this Whisper knows a language.

        Raises:
            UserError: If it does not, with those it knows.
        """
        if language is not None and language not in self.languages:
            raise UserError(unknown_name("language of Whisper", language, self.languages))

    def answers(self, waveforms: Sequence[np.ndarray], batch_size: int = 16) -> list[Answer]:
        """As `transcribe`, each text with why it ends: a lost Whisper turns in circles."""
        return by_length(waveforms, batch_size, self._answers)

    def answers_of_features(self, features: Sequence[Tensor], batch_size: int = 16) -> list[Answer]:
        """As `transcribe_features`, each text with why it ends."""
        return by_length([layers[-1] for layers in features], batch_size, self._answers_of)

    def _transcribe(self, waveforms: list[np.ndarray]) -> list[str]:
        return [answer.text for answer in self._answers(waveforms)]

    @torch.no_grad()
    def _answers(self, waveforms: list[np.ndarray]) -> list[Answer]:
        seconds = [len(samples) / SAMPLING_RATE for samples in waveforms]
        return self._write(self._encode(waveforms), seconds)

    def _read(self, layers: list[Tensor]) -> list[str]:
        return [answer.text for answer in self._answers_of(layers)]

    @torch.no_grad()
    def _answers_of(self, layers: list[Tensor]) -> list[Answer]:
        return self._write(layers, [len(layer) / self.encoder.frame_rate for layer in layers])

    def _encode(
        self, waveforms: Sequence[np.ndarray], front_end: FrontEnd | None = None
    ) -> list[Tensor]:
        """The last layer of each clip, (T, D); in the full window with the silence behind it."""
        front_end = front_end or self.encoder.front_end
        inputs = front_end.prepare(waveforms)
        if front_end.window == "full":
            inputs["frame_lengths"] = inputs["window_lengths"]
        output = self.encoder(**{name: x.to(self.model.device) for name, x in inputs.items()})
        layer_BTD, lengths = output.hidden_states[-1], output.lengths.tolist()
        return [row_TD[:length] for row_TD, length in zip(layer_BTD, lengths, strict=True)]

    def _silence(self) -> Tensor:
        """What the encoder makes of nothing in the full window, (T, D)."""
        if self._silence_TD is None:
            front_end = copy.copy(self.encoder.front_end)
            front_end.window = "full"
            [self._silence_TD] = self._encode(
                [np.zeros(SAMPLING_RATE, dtype=np.float32)], front_end
            )
        return self._silence_TD.to(self.model.device)

    def _write(self, heard: Sequence[Tensor], seconds: Sequence[float]) -> list[Answer]:
        """Texts of last layers (T, D); all rows get the full window, so none is masked."""
        silence_TD = self._silence()
        heard_BTD = torch.stack(
            [torch.cat([x.to(silence_TD), silence_TD[len(x) :]]) for x in heard]
        )
        # What is longer turns in circles, and is cut there.
        limits = [
            min(int(TOKENS_A_SECOND * of_one) + TOKENS_BESIDE, self._most_tokens)
            for of_one in seconds
        ]
        with quiet_transformers():  # it finds each of its own habits worth a warning
            ids_BN = self.model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=heard_BTD),
                max_new_tokens=max(limits),
                return_timestamps=False,
                num_beams=1,
                do_sample=False,
                **self._spoken,
            )
        return [self._read_row(*row) for row in zip(ids_BN.tolist(), limits, strict=True)]

    def _read_row(self, ids: list[int], limit: int) -> Answer:
        end = self.model.config.eos_token_id
        said = ids[: ids.index(end) if end in ids else len(ids)][:limit]
        text = self.tokenizer.decode(said, skip_special_tokens=True).strip()
        return Answer(text, ended="end" if len(said) < limit else "length", limit=limit)

    @property
    def _most_tokens(self) -> int:
        # Four say language, task and that no times are wanted.
        return self.model.config.max_target_positions - 4

    @property
    def _spoken(self) -> dict[str, str | None]:
        return {"language": self.language, "task": self.task} if self.is_multilingual else {}

    @property
    def is_multilingual(self) -> bool:
        """Whether it can be told what is spoken, and to translate."""
        return bool(getattr(self.model.generation_config, "is_multilingual", False))


def languages_of(generation_config: Any) -> list[str]:
    """Codes of the languages that a Whisper can be told; none of one for English alone."""
    return [sign.strip("<|>") for sign in getattr(generation_config, "lang_to_id", None) or ()]


def load_whisper(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    window: Window = "fit",
    dtype: torch.dtype = torch.float32,
) -> WhisperRecogniser:
    """Loads a Whisper with its decoder and tokenizer.

    Raises:
        CheckpointError: If there is no such model, or it is no Whisper with a decoder.
    """
    resolved = resolve(name_or_path, revision)
    with loading("Whisper", resolved):
        config = AutoConfig.from_pretrained(resolved.name, revision=resolved.revision)
    if config.model_type != "whisper":
        raise _decoderless(resolved, f"it is of kind '{config.model_type}'")
    model_class: Any = WhisperForConditionalGeneration
    with loading("Whisper", resolved):
        model, info = model_class.from_pretrained(
            resolved.name, revision=resolved.revision, dtype=dtype, output_loading_info=True
        )
    if missing := sorted(info["missing_keys"]):
        raise _decoderless(resolved, f"it lacks weights, such as '{missing[0]}'")
    with loading("tokenizer of", resolved):
        tokenizer = AutoTokenizer.from_pretrained(resolved.name, revision=resolved.revision)
    front_end = load_front_end(resolved.name, resolved.revision, window)
    encoder = WhisperEncoder(model.model.encoder, front_end)
    return WhisperRecogniser(encoder, model, tokenizer, source=str(name_or_path))


def _decoderless(resolved: Resolved, why: str) -> CheckpointError:
    return CheckpointError(
        f"'{resolved.name}' is no Whisper with a decoder: {why}; only such a one can transcribe"
    )
