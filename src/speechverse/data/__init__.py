"""Corpora, mixtures, the batch plan, collation and the feature cache."""

from __future__ import annotations

from speechverse.data.cache import FeatureCache, encoder_fingerprint
from speechverse.data.collate import Batch, Choices, Collator, length_function
from speechverse.data.corpus import Corpus, write_corpus
from speechverse.data.frames import FrameCollator, frames_of
from speechverse.data.labels import collect_labels
from speechverse.data.loader import LoadedStep, PlanLoader
from speechverse.data.mixture import Mixture, MixtureItem
from speechverse.data.plan import BatchPlan
from speechverse.data.recordings import corpus_of_recordings
from speechverse.data.split_examples import (
    Rendered,
    render_for_evaluation,
    render_split,
    take_at_most,
)

__all__ = [
    "Batch",
    "BatchPlan",
    "Choices",
    "Collator",
    "Corpus",
    "FeatureCache",
    "FrameCollator",
    "LoadedStep",
    "Mixture",
    "MixtureItem",
    "PlanLoader",
    "Rendered",
    "collect_labels",
    "corpus_of_recordings",
    "encoder_fingerprint",
    "frames_of",
    "take_at_most",
    "length_function",
    "render_for_evaluation",
    "render_split",
    "write_corpus",
]
