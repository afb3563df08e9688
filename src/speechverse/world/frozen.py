"""The frozen test sets: fixed specs and committed manifest hashes keep results comparable."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from speechverse.errors import CorpusError, UserError, unknown_name
from speechverse.seeding import fingerprint
from speechverse.types import Utterance
from speechverse.world.spec import SynthSpec

_HASH_FILE = "test_sets.sha256"
_SEED = 20240514
_SHARES = tuple(name for name in SynthSpec().as_dict() if name.endswith("_share"))
_ALL_KINDS: dict[str, Any] = {
    "two_speaker_share": 170 / 730,
    "one_speaker_turns_share": 60 / 730,
    "non_speech_share": 170 / 730,
}


def _spec(name: str, size: int, *strata: str, seed: int = _SEED, **changes: Any) -> SynthSpec:
    """A test split of quiet single sentences in equal shares of the strata, but for the changes."""
    shares: dict[str, Any] = {**dict.fromkeys(_SHARES, 0.0), **changes}
    return SynthSpec(name, 0, 0, size, seed, dict.fromkeys(strata, 1.0), **shares)


_NOISY: dict[str, Any] = {"noisy_share": 1.0, "snr_db": (5, 20), "room_share": 0.5, **_ALL_KINDS}
_TEST_SETS = {
    "clean": _spec("world-test", 730, "grammar", **_ALL_KINDS),
    "noisy": _spec("world-test-noisy", 730, "grammar", seed=_SEED + 1, **_NOISY),
    "words": _spec("world-test-words", 520, "free", "names", "numbers", "random"),
    "unseen": _spec("world-test-unseen", 390, "unseen_intents", "unseen_domain", "unseen_names"),
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
    """sha256 over id, text, speaker, labels and duration (to 10 ms); neither paths nor samples."""
    records = (
        {
            "id": utterance.id,
            "text": utterance.text,
            "speaker": utterance.speaker,
            "duration": round(utterance.duration, 2),
            "labels": utterance.labels,
        }
        for utterance in utterances
    )
    return fingerprint(*(f"{json.dumps(record, sort_keys=True)}\n" for record in records))


def _committed_hash(name: str) -> str:
    lines = resources.files("speechverse.world").joinpath(_HASH_FILE).read_text().splitlines()
    hashes = {line.split()[1]: line.split()[0] for line in lines if not line.startswith("#")}
    return hashes[name]


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
    found, committed = manifest_hash(corpus.utterances("test")), _committed_hash(corpus.name)
    if found != committed:
        raise CorpusError(
            f"'{folder}' is not the frozen test set of this version (hash {found}, committed"
            f" {committed[:12]}...): make it anew with: speechverse synth OUT --test-set"
            f" {names[corpus.name]}"
        )
    return found
