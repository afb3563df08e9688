"""Plain word vectors from which words the spoken world says together: what meaning gets without hearing or reading."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from speechverse.seeding import rng_for
from speechverse.world.language.overlap import content_words
from speechverse.world.language.sentence import draw_sentence

_SENTENCES = 20_000


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of length one; words are near that stand among the same words.

    V words, D dimensions.
    """

    rows: Mapping[str, int]  # folded content word to its row
    vectors_VD: np.ndarray  # one vector a word

    @classmethod
    def learn(cls, texts: Iterable[str], size: int = 100, fewest: int = 3) -> WordVectors:
        """Learns from positive pointwise mutual information within sentences, cut to its largest dimensions.

        Args:
            texts: Sentences; words count once in each, stop words not at all.
            size: D, or fewer where there are fewer words.
            fewest: Words in fewer sentences are left out.
        """
        said = [content_words(text) for text in texts]
        counts = Counter(word for words in said for word in words)
        rows = {word: row for row, word in enumerate(sorted(w for w, count in counts.items() if count >= fewest))}
        together_VV = np.zeros((len(rows), len(rows)), dtype=np.float32)
        for words in said:
            known = [rows[word] for word in words if word in rows]
            for one, other in combinations(known, 2):
                together_VV[one, other] += 1
                together_VV[other, one] += 1
        values, vectors_VV = np.linalg.eigh(_positive_information(together_VV))
        largest = np.argsort(-np.abs(values))[:size]
        return cls(rows, _unit(vectors_VV[:, largest] * np.sqrt(np.abs(values[largest]))))

    def similarities(self, said: str, texts: Sequence[str]) -> list[float]:
        """The cosine between the mean vector of a sentence and that of each text; 0 where no word is known."""
        mean_D = self._mean(said)
        return [float(mean_D @ self._mean(text)) for text in texts]

    def _mean(self, text: str) -> np.ndarray:
        known = sorted(self.rows[word] for word in content_words(text) if word in self.rows)
        return _unit(self.vectors_VD[known].sum(axis=0))


@functools.cache
def world_vectors(seed: int = 0) -> WordVectors:
    """Vectors from requests that training may hold: nothing of held-out intents, domains and names."""
    return WordVectors.learn(
        draw_sentence("train", rng_for(seed, "word vectors", index)).text for index in range(_SENTENCES)
    )


def _positive_information(together_VV: np.ndarray) -> np.ndarray:
    """How much more often than by chance two words stand together, in nats; never less than 0."""
    each_V = together_VV.sum(axis=1)
    by_chance_VV = np.outer(each_V, each_V) / max(float(each_V.sum()), 1.0)
    ratio_VV = np.divide(together_VV, by_chance_VV, out=np.zeros_like(together_VV), where=by_chance_VV > 0)
    return np.log(np.maximum(ratio_VV, 1.0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)
