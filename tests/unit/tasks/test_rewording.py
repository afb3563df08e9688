"""Instructions reworded: placeholders stay, nothing held out comes within reach, and the draws repeat."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from speechverse.tasks import Ask, get_task, task_names
from speechverse.tasks.prompts import placeholders
from speechverse.tasks.rewording import _pieces, reworded, synonyms
from speechverse.types import Utterance

TEMPLATE = "Determine the intent of the speaker. Choose one of: {labels}"


def _many(template: str, count: int = 200) -> list[str]:
    return [reworded(template, random.Random(seed)) for seed in range(count)]


def _wordings() -> Iterator[tuple[str, str]]:
    for name in task_names():
        for text in get_task(name).prompts.seen:
            yield name, text


def test_most_rewordings_are_new_and_none_loses_its_placeholder() -> None:
    texts = _many(TEMPLATE)
    assert len(set(texts)) > 100
    assert all(placeholders(text) == ("labels",) and text.strip() == text and "  " not in text for text in texts)
    assert any(text.startswith("Determine") for text in texts) and any("intent" not in text for text in texts)


def test_the_beginning_of_a_sentence_stays_capital() -> None:
    first = {text.split()[0] for text in _many("Determine it")}
    assert {word[0].isupper() for word in first if word != "it"} == {True} and len(first) > 2


@pytest.mark.parametrize("name", sorted(task_names()))
def test_no_held_out_wording_can_come_of_a_seen_one(name: str) -> None:
    """A rewording draws within groups, or leaves a replaceable word out."""
    prompts = get_task(name).prompts
    seen = [_words(text) for text in prompts.seen]
    held_out = [[word for word, _ in _words(text)] for text in prompts.held_out]
    assert not [number for number, text in enumerate(held_out) if any(_can_become(other, text) for other in seen)]


def test_a_wording_within_reach_would_be_found() -> None:
    seen = _words("Determine the intent of the speaker.")
    for text, within in (
        ("Ascertain the intent of the talker.", True),
        ("The goal of the talker.", True),
        ("Of.", False),
    ):
        assert _can_become(seen, [word for word, _ in _words(text)]) == within


def _words(template: str) -> list[tuple[str, bool]]:
    """A wording's words, replaceable ones by the first of their group, and whether they are replaceable."""
    pieces = [(min([p.text.lower(), *p.others]).strip(), bool(p.others)) for p in _pieces(template)]
    return [piece for piece in pieces if piece[0]]


def _can_become(seen: list[tuple[str, bool]], wanted: list[str]) -> bool:
    if not seen:
        return not wanted
    (word, replaceable), rest = seen[0], seen[1:]
    kept = bool(wanted) and word == wanted[0] and _can_become(rest, wanted[1:])
    return kept or (replaceable and _can_become(rest, wanted))


def test_nearly_every_wording_can_be_reworded() -> None:
    stiff = [text for _, text in _wordings() if not any(piece.others for piece in _pieces(text))]
    assert len(stiff) < 0.03 * len(list(_wordings()))


def test_what_an_answer_is_checked_against_is_never_replaced() -> None:
    assert not {"yes", "no", "none", "not", "positive", "negative", "neutral", "one", "two"} & set(synonyms())


def test_asking_rewords_only_where_told_and_repeats_by_its_seed(speech: Callable[..., Utterance]) -> None:
    task, template = get_task("asr"), get_task("asr").prompts.seen[0]

    def asked(seed: int, share: float) -> str:
        return task.render(speech(), Ask(random.Random(seed), reworded=share), template=template).instruction

    assert {asked(seed, 0.0) for seed in range(20)} == {template}
    assert len({asked(seed, 1.0) for seed in range(20)}) > 5
    assert [asked(seed, 0.5) for seed in range(20)] == [asked(seed, 0.5) for seed in range(20)]
