"""Plain word vectors: words that stand among the same words are near."""

from __future__ import annotations

import random

import numpy as np
import pytest

from speechverse.world.language.overlap import credit
from speechverse.world.language.word_vectors import WordVectors, world_vectors


def sentences() -> list[str]:
    """Sofas and couches stand in the same places, and never together; rain and snow in others."""
    rng = random.Random(0)
    made = []
    for _ in range(400):
        made.append(f"{rng.choice(('sofa', 'couch'))} {rng.choice(('pillow', 'livingroom', 'carpet'))} clean")
        made.append(f"{rng.choice(('rain', 'snow'))} {rng.choice(('cloud', 'umbrella', 'sky'))} forecast")
    return made


def test_synonyms_that_never_stand_together_end_up_near():
    vectors = WordVectors.learn(sentences(), size=4)
    near, far = vectors.similarities("the sofa", ["a couch", "the snow"])
    assert near > 0.9
    assert far < 0.3


def test_stop_words_and_forms_of_a_word_change_nothing():
    vectors = WordVectors.learn(sentences(), size=4)
    assert vectors.similarities("please, the sofas", ["couches"]) == vectors.similarities("sofa", ["couch"])


def test_what_was_never_said_is_near_to_nothing_and_ties():
    vectors = WordVectors.learn(sentences(), size=4)
    scores = vectors.similarities("sofa", ["xylophone", "zebra"])
    assert scores == [0.0, 0.0]
    assert credit(scores, 0) == 0.5


def test_rare_words_have_no_vector():
    vectors = WordVectors.learn([*sentences(), "sofa hapax"], fewest=2)
    assert "hapax" not in vectors.rows
    assert vectors.vectors_VD.shape == (len(vectors.rows), len(vectors.rows)), "no more dimensions than words"


def test_the_world_knows_what_belongs_together():
    vectors = world_vectors()
    assert np.allclose(np.linalg.norm(vectors.vectors_VD, axis=1), 1, atol=1e-4)
    music, food = vectors.similarities("jazz", ["funk", "pizza"])
    assert music > food + 0.2


@pytest.mark.parametrize(("scores", "earned"), [([2, 1, 0], 1.0), ([1, 1, 0], 0.5), ([0, 1, 0], 0.0)])
def test_a_tie_earns_what_a_lot_would(scores, earned):
    assert credit(scores, 0) == earned
