"""Cascades on any recogniser that transformers' ASR pipeline takes, by hub name or folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
import torch
import transformers

from speechverse import audio
from speechverse.encoders.whisper_text import languages_of
from speechverse.evaluation.cascades import Cascade, Tuned, spoken_language
from speechverse.evaluation.parts import OfFamily, Parts
from speechverse.hub import folder_fingerprint, loading, local_folder, resolve
from speechverse.quiet import quiet_transformers
from speechverse.types import SAMPLING_RATE, Utterance


class PipelineRecogniser:
    """Transformers' ASR pipeline; one clip at a time, so that none is padded to another."""

    def __init__(self, source: str, device: torch.device) -> None:
        found = resolve(source)
        self.fingerprint = folder_fingerprint(local_folder(found))
        where: dict[str, Any] = {"revision": found.revision, "device": device}
        with loading("recogniser", found):
            self._pipeline: Any = transformers.pipeline(
                "automatic-speech-recognition", model=found.name, dtype=torch.float32, **where
            )
        window = getattr(self._pipeline.feature_extractor, "chunk_length", None)
        # Whisper goes on past its window only with times; other kinds have none.
        whisper = self._pipeline.type == "seq2seq_whisper"
        self._window = window if whisper and window else float("inf")
        # Greedy, as every other system: the pipeline's own is five beams.
        writes = whisper or self._pipeline.type == "seq2seq"
        self._how: dict[str, Any] = {"num_beams": 1} if writes else {}
        generation = getattr(self._pipeline.model, "generation_config", None)
        self._languages: list[str] = []
        if whisper and getattr(generation, "is_multilingual", False):
            self._how["task"] = "transcribe"  # a Whisper that is not told its task runs in circles
            self._languages = languages_of(generation)

    def transcribe(self, samples: np.ndarray, language: str = "en") -> str:
        """The text of mono 16 kHz samples; a Whisper is told the language, if it knows it."""
        longer = len(samples) > self._window * SAMPLING_RATE
        how: dict[str, Any] = {"return_timestamps": True} if longer else {}
        told = {"language": language} if language in self._languages else {}
        if self._how or told:
            how["generate_kwargs"] = self._how | told
        with quiet_transformers():
            heard = self._pipeline({"raw": samples, "sampling_rate": SAMPLING_RATE}, **how)
        return heard["text"].strip()


_load = lru_cache(maxsize=1)(PipelineRecogniser)  # one for the plain cascade and the tuned


class AsrCascade(OfFamily, Cascade):
    """The LLM reads what some recogniser writes."""

    family: ClassVar[str] = "cascade"
    knows_endings: ClassVar[bool] = False
    title: ClassVar[str] = "a recogniser's transcript, read by the same frozen LLM without LoRA"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.recogniser = _load(self.which, parts.model.device)

    @classmethod
    def of(cls, which: str) -> type[Self]:
        made = super().of(which)
        made.kind = f"{AsrCascade.family}:{which}"  # both cascades on it share its transcripts
        return made

    @property
    def stands_on(self) -> str:
        return self.recogniser.fingerprint

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        return [
            self.recogniser.transcribe(audio.load(clip.audio).samples, spoken_language(clip))
            for clip in utterances
        ]


class TunedAsrCascade(Tuned, AsrCascade):
    """As `cascade:`, the LLM taught on the same examples as text."""

    family: ClassVar[str] = "cascade-tuned"
    title: ClassVar[str] = "a recogniser's transcript, read by the same LLM with LoRA tuned on text"
