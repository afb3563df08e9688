"""Labels offered in short lists: what is listed, who chooses, and what is kept of it."""

from __future__ import annotations

import io
import json
import re
import runpy
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from speechverse.audio import Waveform, save
from speechverse.data import Corpus, write_corpus
from speechverse.errors import CorpusError, UserError
from speechverse.evaluation.offered import (
    CHOOSERS,
    LISTINGS,
    OfferSettings,
    measure_offered,
    offer_labels,
    offered_table,
)
from speechverse.evaluation.provenance import find_recogniser
from speechverse.tasks import LabelSet
from speechverse.types import AudioRef, Utterance
from speechverse.world.language import grammar, inventory

EXAMPLE = Path(__file__).parents[3] / "examples" / "unseen_labels" / "measure.py"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Twelve requests of each intent of the world, that training holds or not, all of them one noise."""
    folder = tmp_path_factory.mktemp("world")
    noise = save(folder / "noise.wav", Waveform(np.full(1600, 0.1, dtype=np.float32)))
    labels = inventory(held_out=True)["intent"]
    held_out = {intent.name for intent in (*grammar.load().unseen_intents, *grammar.load().unseen_domain)}
    clips = [
        Utterance(
            f"{name}-{number}",
            AudioRef(noise),
            0.1,
            "do it",
            labels={"intent": name, "stratum": "held out" if name in held_out else "seen"},
        )
        for name in labels
        for number in range(12)
    ]
    return write_corpus(folder, "world", {"test": clips}, labels={"intent": LabelSet("intent", labels)})


def trained_on(name: str) -> bool:
    return name in {intent.name for intent in grammar.load().seen_intents}


def test_a_clip_is_offered_its_own_intent_among_eight_of_one_kind(world: Corpus) -> None:
    for offer in offer_labels(world, "test", 8):
        choices = offer.example.choices or ()
        assert len(set(choices)) == 8
        assert choices[offer.right] == offer.example.reference == offer.example.utterance.labels["intent"]
        assert len({trained_on(name) for name in choices}) == 1, "being new would tell the right one"
        assert all(name in offer.example.instruction for name in choices)


def test_both_listings_offer_the_same_and_only_one_says_what_is_meant(world: Corpus) -> None:
    offers = offer_labels(world, "test", 8, limit=20)
    meanings = inventory(held_out=True)["intent"]
    for named, described in zip(offers[::2], offers[1::2], strict=True):
        assert (named.listing, described.listing) == LISTINGS
        assert named.example.choices == described.example.choices
        for name in named.example.choices or ():
            assert meanings[name] in described.example.instruction
            assert meanings[name] not in named.example.instruction
        assert all(long.startswith(short) for short, long in zip(named.texts, described.texts, strict=True))


def test_the_place_in_the_list_does_not_tell(world: Corpus) -> None:
    places = Counter()
    for offer in offer_labels(world, "test", 8)[::2]:
        one = f"(?:{'|'.join(map(re.escape, offer.example.choices or ()))})"
        listed = re.search(rf"{one}(?:, {one}){{7}}", offer.example.instruction)
        assert listed is not None
        places[listed[0].split(", ").index(offer.example.target)] += 1
    assert set(places) == set(range(8))
    assert max(places.values()) < 1.5 * min(places.values())


def test_a_list_depends_on_the_seed_and_the_clip_alone(world: Corpus) -> None:
    everyone = {(o.example.id, o.listing): o for o in offer_labels(world, "test", 8, seed=1)}
    few = offer_labels(world, "test", 8, limit=3, seed=1)
    assert Counter(offer.stratum for offer in few) == {"held out": 6, "seen": 6}, "a limit counts each stratum apart"
    assert all(everyone[offer.example.id, offer.listing] == offer for offer in few)
    other = offer_labels(world, "test", 8, seed=2)
    assert sum(everyone[o.example.id, o.listing].example.choices == o.example.choices for o in other) < len(other) / 10


def test_a_list_longer_than_the_inventory_is_refused(world: Corpus, corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="4 intents; a list of 8"):
        offer_labels(corpus, "test", 8)
    with pytest.raises(UserError, match="at least 2"):
        OfferSettings(size=1)
    with pytest.raises(UserError, match="majority|leave the others out"):
        OfferSettings(systems=("majority",))


def test_everyone_chooses_and_everything_is_kept(loaded: Any, corpus: Corpus, tmp_path: Path) -> None:
    model, processor = loaded
    results = measure_offered(
        model,
        processor,
        corpus,
        OfferSettings(size=3, num_resamples=50),
        output=tmp_path,
        features=tmp_path / "features",
        recogniser=find_recogniser(model)[0],
    )
    assert results.chance == pytest.approx(1 / 3)
    assert not results.notes and not results.skipped
    choosers = {name: {s.chooser for s in results.scores if s.system == name} for name in results.systems}
    assert choosers["cascade-ctc"] == choosers["oracle"] == set(CHOOSERS)
    assert choosers["speechverse"] == set(CHOOSERS) - {"word overlap", "word vectors"}, "it reads no transcript"
    assert all(0 <= score.low <= score.value <= score.high <= 1 for score in results.scores)

    records = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(records) == 4 * len(LISTINGS) * (3 + 5 + 5), "each clip with words, by each listing, in each way"
    for score in results.scores:
        row = (score.stratum, score.listing, score.system, score.chooser)
        credits = [r["credit"] for r in records if (r["stratum"], r["listing"], r["system"], r["chooser"]) == row]
        assert score.num_clips == len(credits)
        assert score.value == pytest.approx(sum(credits) / len(credits))
    assert json.loads((tmp_path / "results.json").read_text())["scores"][0]["chooser"] == "greedy"

    console = Console(width=160, record=True, file=io.StringIO())
    console.print(offered_table([results]))
    printed = console.export_text()
    assert "by chance 33.3%" in printed
    assert all(word in printed for word in (*results.systems, *LISTINGS, "prior subtracted", "word vectors"))


def test_a_shared_word_decides_and_a_tie_earns_its_share(loaded: Any, corpus: Corpus) -> None:
    model, processor = loaded
    results = measure_offered(model, processor, corpus, OfferSettings(size=4, systems=("oracle",)))
    overlap = {s.stratum: s.value for s in results.scores if (s.chooser, s.listing) == ("word overlap", "names")}
    assert overlap == {"grammar": 1.0, "names": 1.0}, "each sentence says a word of its own intent's name alone"


def test_clips_too_long_for_the_model_are_counted_not_asked(loaded: Any, corpus: Corpus, tmp_path: Path) -> None:
    model, processor = loaded
    first, *others = corpus.utterances("test")
    noise = save(tmp_path / "long.wav", Waveform(np.full(5 * 16_000, 0.1, dtype=np.float32)))
    clips = {"test": [replace(first, audio=AudioRef(noise), duration=5.0), *others]}
    longer = write_corpus(tmp_path, "longer", clips, labels=corpus.labels)
    results = measure_offered(model, processor, longer, OfferSettings(size=3, systems=("oracle",)))
    assert results.skipped == {"longer than 4 s": 1}
    assert {s.stratum: s.num_clips for s in results.scores} == {"grammar": 1, "names": 2}


def test_what_a_system_lacks_is_told(loaded: Any, corpus: Corpus) -> None:
    model, processor = loaded
    results = measure_offered(model, processor, corpus, OfferSettings(size=3, systems=("cascade-ctc", "oracle")))
    assert results.notes == ["cascade-ctc: not measured: the encoder has no CTC head"]
    assert {score.system for score in results.scores} == {"oracle"}


def test_the_example_measures_several_corpora_in_one_table(
    checkpoint: Path,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = corpus.utterances("test")[0].audio.path.parents[2]
    arguments = ["measure.py", checkpoint, folder, "--size", "3", "--systems", "oracle", "--limit", "1"]
    monkeypatch.setattr(sys, "argv", [*map(str, arguments), "--output", str(tmp_path)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "one of 3 intents" in capsys.readouterr().out
    assert json.loads((tmp_path / folder.name / "results.json").read_text())["model"]["name"] == "model"
    assert not list((tmp_path / folder.name).glob(".features-*")), "what the encoder heard is not left behind"

    monkeypatch.setattr(sys, "argv", ["measure.py", str(checkpoint), str(tmp_path / "absent")])
    with pytest.raises(SystemExit, match="there is no corpus"):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
