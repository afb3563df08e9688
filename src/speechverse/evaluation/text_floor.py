"""The text floor: what the words alone tell a classifier that knows nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from speechverse.evaluation.cascades import WhisperCascade
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.without_words import Fitted
from speechverse.metrics.normalize import normalizer_for, separate_unspaced
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
        fitted = self._fitted_on(examples)
        if len({example.target for example in fitted}) < 2:
            return "no texts of a training split show it two different answers"
        if not any(map(_words, fitted)):
            return "the texts of the training split have no words"
        return None

    def _fitted_on(self, examples: Sequence[Example]) -> list[Example]:
        training = self.parts.training_examples(examples[0].task)
        return [example for example in training if example.utterance.text]

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        fitted = self._fitted_on(examples)
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
        texts = list(map(_words, fitted))
        names = [example.target for example in fitted]
        model = fit_linear(texts, names, penalty=0.1 / len(names), first=words)
        clips, whisper = [example.utterance for example in examples], WhisperCascade(self.parts)
        known = self.parts.transcribe(whisper.kind, clips, whisper.transcribe)
        heard = [known[clip.id] for clip in clips]
        progress(len(clips))
        said = [_said(text, clip.language) for text, clip in zip(heard, clips, strict=True)]
        told = model.predict(said)
        return [Answer(str(name), transcript=text) for name, text in zip(told, heard, strict=True)]


def _words(example: Example) -> str:
    return _said(example.utterance.text or "", example.utterance.language)


def _said(text: str, language: str | None) -> str:
    """Words as error rates compare them, for recognisers write `7` for seven; of scripts without
    spaces the characters.
    """
    return separate_unspaced(normalizer_for(text, language)(text))
