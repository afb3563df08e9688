"""Rules that choose a label for a transcript without a model: words in common, and the nearest mean
of word vectors.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from speechverse.stop_words import STOP_WORDS


def content_words(text: str) -> frozenset[str]:
    """The words of a text, or of a label's name, that are not stop words, without plural and verb
    endings.
    """
    words = re.findall(r"[a-z']+", text.lower().replace("_", " "))
    return frozenset(
        re.sub(r"(?<=...)(ing|ed|es|s)$", "", word) for word in words if word not in STOP_WORDS
    )


def shared_words(said: str, labels: Sequence[str]) -> list[float]:
    """How many content words of what is said each label has too."""
    return [float(len(content_words(said) & content_words(label))) for label in labels]


class WordVectors:
    """Vectors of length one; words are near that stand among the same words.

    Learned from positive pointwise mutual information within sentences, cut to its largest
    dimensions.
    """

    def __init__(self, texts: Iterable[str], size: int = 100, fewest: int = 3) -> None:
        """Words in fewer sentences than `fewest` are left out."""
        said = [content_words(text) for text in texts]
        counts = Counter(word for words in said for word in words)
        self.rows = {
            word: row
            for row, word in enumerate(sorted(w for w, n in counts.items() if n >= fewest))
        }
        together = np.zeros((len(self.rows), len(self.rows)))
        for words in said:
            for one, other in combinations(
                [self.rows[word] for word in words if word in self.rows], 2
            ):
                together[[one, other], [other, one]] += 1
        each = together.sum(axis=1)
        by_chance = np.outer(each, each) / max(each.sum(), 1.0)
        ratio = np.divide(together, by_chance, out=np.zeros_like(together), where=by_chance > 0)
        values, vectors = np.linalg.eigh(np.log(np.maximum(ratio, 1.0)))
        largest = np.argsort(-np.abs(values))[:size]
        self.vectors = _unit(vectors[:, largest] * np.sqrt(np.abs(values[largest])))

    def similarities(self, said: str, labels: Sequence[str]) -> list[float]:
        """The cosine between the mean vector of a sentence and that of each label; 0 where no word
        is known.
        """
        return [float(self._mean(said) @ self._mean(label)) for label in labels]

    def _mean(self, text: str) -> np.ndarray:
        return _unit(
            self.vectors[sorted(self.rows[w] for w in content_words(text) if w in self.rows)].sum(
                axis=0
            )
        )


def credit(scores: Sequence[float], right: int) -> float:
    """What choosing the best score earns, on average, where ties are broken by lot: 1 over how many
    tie, or 0.
    """
    return (scores[right] == max(scores)) / list(scores).count(max(scores))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)
