"""The frozen test set: a fixed spec whose manifest hash is committed, so that results stay comparable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from speechverse.errors import CorpusError
from speechverse.synth.spec import SynthSpec
from speechverse.types import Utterance

_HASH_FILE = "test_set.sha256"


def test_set_spec() -> SynthSpec:
    """What the frozen test set is made from: 730 clean clips, 330 of them requests (see docs/data.md)."""
    return SynthSpec(
        name="world-test",
        num_train=0,
        num_dev=0,
        num_test=730,
        seed=20240514,
        strata={"grammar": 1.0},
        two_speaker_share=170 / 730,
        one_speaker_turns_share=60 / 730,
        non_speech_share=170 / 730,
        noisy_share=0.0,
        room_share=0.0,
        clipping_share=0.0,
        telephone_share=0.0,
        codec_share=0.0,
    )


def manifest_hash(utterances: Iterable[Utterance]) -> str:
    """sha256 over id, text, speaker, labels and duration (to 10 ms) of each utterance; neither paths nor samples."""
    digest = hashlib.sha256()
    for utterance in utterances:
        record = {
            "id": utterance.id,
            "text": utterance.text,
            "speaker": utterance.speaker,
            "duration": round(utterance.duration, 2),
            "labels": utterance.labels,
        }
        digest.update(json.dumps(record, sort_keys=True, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()


def committed_hash() -> str:
    """The hash that the frozen test set must have."""
    return resources.files("speechverse.synth").joinpath(_HASH_FILE).read_text().split()[0]


def verify_test_set(folder: str | Path) -> str:
    """Checks that a corpus folder holds the frozen test set.

    Returns:
        The hash of its manifest.

    Raises:
        CorpusError: It holds something else.
    """
    from speechverse.data import Corpus  # lhotse, which only this function needs

    found, committed = manifest_hash(Corpus.open(folder).utterances("test")), committed_hash()
    if found != committed:
        raise CorpusError(
            f"'{folder}' is not the frozen test set of this version (hash {found[:12]}, committed {committed[:12]}): "
            "make it anew with: speechverse synth OUT --test-set"
        )
    return found
