"""The text floor: what the words alone tell a classifier that knows nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from speechverse.evaluation.cascades import WhisperCascade
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.without_words import Fitted
from speechverse.progress import Advance, ignore
from speechverse.types import Answer, Example


@dataclass
class TextFloor(Fitted):
    """TF-IDF of words and pairs of words, and logistic regression: fitted on the training part's
    true texts, as the tuned cascades are, and asked about what Whisper writes.
    """

    name: ClassVar[str] = "tf-idf"
    title: ClassVar[str] = (
        "the text floor: logistic regression on TF-IDF of Whisper's text, fitted on the true texts"
        " of the training split"
    )
    hears: ClassVar[bool] = True

    def missing(self, examples: Sequence[Example]) -> str | None:
        if lack := Fitted.missing(self, examples) or WhisperCascade(self.parts).lacking(examples):
            return lack
        if len({example.target for example in self._fitted_on(examples)}) < 2:
            return "no texts of a training split show it two different answers"
        return None

    def _fitted_on(self, examples: Sequence[Example]) -> list[Example]:
        training = self.parts.training_examples(examples[0].task)
        return [example for example in training if example.utterance.text]

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        fitted = self._fitted_on(examples)
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        texts = [example.utterance.text or "" for example in fitted]
        names = [example.target for example in fitted]
        model = fit_linear(texts, names, penalty=0.1 / len(names), first=words)
        clips, whisper = [example.utterance for example in examples], WhisperCascade(self.parts)
        known = self.parts.transcribe(whisper.kind, clips, whisper.transcribe)
        heard = [known[clip.id] for clip in clips]
        progress(len(clips))
        told = model.predict(heard)
        return [Answer(str(name), transcript=text) for name, text in zip(told, heard, strict=True)]
