"""The frozen test sets: fixed specs whose manifest hashes are committed, so that results stay
comparable.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from speechverse.errors import CorpusError, UserError, unknown_name
from speechverse.types import Utterance
from speechverse.world.spec import SynthSpec

_HASH_FILE = "test_sets.sha256"
_CLEAN = SynthSpec(
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
_SENTENCES = dataclasses.replace(
    _CLEAN, two_speaker_share=0.0, one_speaker_turns_share=0.0, non_speech_share=0.0
)
_TEST_SETS: Mapping[str, SynthSpec] = {
    "clean": _CLEAN,
    "noisy": dataclasses.replace(
        _CLEAN,
        name="world-test-noisy",
        seed=20240515,
        noisy_share=1.0,
        snr_db=(5, 20),
        room_share=0.5,
    ),
    "words": dataclasses.replace(
        _SENTENCES,
        name="world-test-words",
        num_test=520,
        strata={"free": 1.0, "names": 1.0, "numbers": 1.0, "random": 1.0},
    ),
    "unseen": dataclasses.replace(
        _SENTENCES,
        name="world-test-unseen",
        num_test=390,
        strata={"unseen_intents": 1.0, "unseen_domain": 1.0, "unseen_names": 1.0},
    ),
}
TEST_SETS = tuple(_TEST_SETS)
"""Names of the frozen test sets (see docs/data.md)."""


def test_set_spec(name: str = "clean") -> SynthSpec:
    """What a frozen test set is made from.

    "clean" is 730 clips, 330 of them requests; "noisy" the same make-up under noise at 5 to 20 dB,
    half of it in a room; "words" everyday talk, names, numbers and random words; "unseen" requests
    of held-out intents, of a held-out domain, and with held-back names.

    Raises:
        UserError: No such test set.
    """
    if name not in _TEST_SETS:
        raise UserError(unknown_name("test set", name, _TEST_SETS))
    return _TEST_SETS[name]


def manifest_hash(utterances: Iterable[Utterance]) -> str:
    """sha256 over id, text, speaker, labels and duration (to 10 ms) of each utterance; neither
    paths nor samples.
    """
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


def committed_hashes() -> dict[str, str]:
    """Corpus name of each frozen test set → the hash that it must have."""
    lines = resources.files("speechverse.world").joinpath(_HASH_FILE).read_text().splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: digest for digest, name in pairs}


def verify_test_set(folder: str | Path) -> str:
    """Checks that a corpus folder holds the frozen test set that its name says, and gives its
    manifest's hash.

    Raises:
        CorpusError: It holds something else.
    """
    from speechverse.data import Corpus  # lhotse, which only this function needs

    corpus = Corpus.open(folder)
    names = {spec.name: name for name, spec in _TEST_SETS.items()}
    if corpus.name not in names:
        raise CorpusError(
            f"'{folder}' is not a frozen test set but the corpus '{corpus.name}': "
            f"make one with: speechverse synth OUT --test-set NAME, one of {', '.join(TEST_SETS)}"
        )
    found, committed = manifest_hash(corpus.utterances("test")), committed_hashes()[corpus.name]
    if found != committed:
        raise CorpusError(
            f"'{folder}' is not the frozen test set of this version (hash {found[:12]}, committed"
            f" {committed[:12]}): make it anew with: speechverse synth OUT --test-set"
            f" {names[corpus.name]}"
        )
    return found


def hash_lines(folder: str | Path) -> Iterator[str]:
    """Makes all frozen test sets in a folder, and gives the committed file's lines for this version
    of the world.
    """
    from speechverse.data import Corpus
    from speechverse.world.corpus import synthesize_corpus

    for name, spec in _TEST_SETS.items():
        made = synthesize_corpus(Path(folder) / name, spec).folder
        yield f"{manifest_hash(Corpus.open(made).utterances('test'))}  {spec.name}"
