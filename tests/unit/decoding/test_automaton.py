"""What the automata admit, on every kind of tokenizer: by walking them, and by generating under
them.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch
from transformers import LogitsProcessorList

from speechverse.decoding import ConstraintLogitsProcessor, LabelTrie, SlotListAutomaton
from speechverse.decoding.automaton import MAX_SLOTS, TokenAutomaton
from speechverse.errors import UserError

KINDS = ("t5", "bart", "llama")
LABELS = (
    "play_music",
    "play_radio",
    "play",
    "alarm set",
    "alarm",
    "très bien",
    "one",
    "weather in the city",
)
SLOTS = ("artist", "room", "place name", "place")


def admits(automaton: TokenAutomaton, tokens: list[int]) -> bool:
    state = automaton.start
    for token in tokens:
        if token not in automaton.allowed(state).tolist():
            return False
        state = automaton.advance(state, token)
        assert state is not None
    return not len(automaton.allowed(state)) or tokens[-1:] == []


def constrained(generate, side, automaton, kind, *, beams=1, rows=6, seed=0, **kwargs):
    constraint = ConstraintLogitsProcessor([automaton] * rows, beams)
    return generate(
        kind,
        seed,
        rows,
        num_beams=beams,
        logits_processor=LogitsProcessorList([constraint]),
        max_new_tokens=60,
        **kwargs,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_trie_admits_every_label_in_its_own_pieces_and_nothing_else(text_sides, kind):
    side = text_sides[kind]
    trie = LabelTrie.of(LABELS, side)
    for label in LABELS:
        tokens = side.encode_target(label)
        assert admits(trie, tokens)
        assert trie.label_of([*tokens, side.tokenizer.pad_token_id]) == label
    assert not admits(trie, side.encode_target("play_ra"))
    assert not admits(trie, side.encode_target("alarm set set"))
    assert trie.label_of(side.encode_target("play_ra")) is None


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_generation_under_a_trie_gives_exactly_the_labels(text_sides, generate, kind, beams):
    side = text_sides[kind]
    trie = LabelTrie.of(LABELS, side)
    spelt = {tuple(side.encode_target(label)) for label in LABELS}
    seen = set()
    for seed in range(4):
        for row in constrained(generate, side, trie, kind, beams=beams, seed=seed).tolist():
            ended = tuple(row[: row.index(side.end_token_id) + 1])
            assert ended in spelt
            seen.add(trie.label_of(row))
    assert seen <= set(LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_under_a_trie_reaches_every_label(text_sides, generate, kind):
    trie = LabelTrie.of(LABELS, text_sides[kind])
    torch.manual_seed(0)
    tokens = constrained(
        generate, text_sides[kind], trie, kind, rows=120, do_sample=True, temperature=9.0
    )
    assert {trie.label_of(row) for row in tokens.tolist()} == set(LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_more_beams_than_labels_still_give_a_label(text_sides, generate, kind):
    side = text_sides[kind]
    trie = LabelTrie.of(("yes", "no"), side)
    for row in constrained(generate, side, trie, kind, beams=5).tolist():
        assert trie.label_of(row) in ("yes", "no")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_batch_keep_to_their_own_automata(text_sides, generate, kind):
    side = text_sides[kind]
    tries = [LabelTrie.of(labels, side) for labels in (("yes", "no"), LABELS)]
    for beams in (1, 2):
        constraint = ConstraintLogitsProcessor(
            [tries[0], SlotListAutomaton(SLOTS, side), tries[1]], beams
        )
        tokens = generate(
            kind,
            3,
            3,
            num_beams=beams,
            logits_processor=LogitsProcessorList([constraint]),
            max_new_tokens=20,
        ).tolist()
        assert tries[0].label_of(tokens[0]) in ("yes", "no")
        assert tries[1].label_of(tokens[2]) in LABELS


def test_labels_that_the_tokenizer_cannot_tell_apart_are_refused():
    with pytest.raises(UserError, match="'a' and 'b'"):
        LabelTrie({"a": [5, 1], "b": [5, 1]})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        "none",
        "artist = miles davis;",
        "artist = abba; room = kitchen;",
        "place name = york; place = a b c; artist = x;",
    ],
)
def test_slot_lists_of_the_right_form_are_admitted(text_sides, kind, text):
    assert admits(SlotListAutomaton(SLOTS, text_sides[kind]), text_sides[kind].encode_target(text))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "artist",
        "artist =",
        "artist = ;",
        "artist = a",
        "colour = red;",
        "artist = a; colour = red;",
        "artist = a = b;",
    ]
    + ["none;", "artist = a; none", "room kitchen;"],
)
def test_slot_lists_of_another_form_are_not(text_sides, kind, text):
    assert not admits(
        SlotListAutomaton(SLOTS, text_sides[kind]), text_sides[kind].encode_target(text)
    )


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_generated_slot_lists_always_have_the_form(text_sides, generate, kind, beams):
    side = text_sides[kind]
    automaton = SlotListAutomaton(SLOTS, side)
    for text in side.decode(constrained(generate, side, automaton, kind, beams=beams)):
        for slot in text.strip().split(";")[:-1]:
            label, value = slot.split("=")
            assert label.strip() in SLOTS
            assert value.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_every_walk_through_a_slot_list_comes_to_an_end(text_sides, kind):
    automaton, draw = SlotListAutomaton(SLOTS, text_sides[kind]), random.Random(0)
    for _ in range(20):
        state, tokens = automaton.start, []
        while len(choices := automaton.allowed(state)):
            choice = [
                token for token in choices.tolist() if token != automaton.end
            ] or choices.tolist()
            tokens.append(draw.choice(choice))
            state = automaton.advance(state, tokens[-1])
            assert state is not None
        assert tokens[-1] == automaton.end
        text = text_sides[kind].decode([tokens])[0]
        assert text == "none" or text.count("=") == text.count(";") <= MAX_SLOTS


def test_a_tokenizer_that_joins_the_signs_with_words_is_refused():
    pieces = {
        "artist =": [5, 9],
        "artist = a;": [5, 6, 7],
        "artist = a; artist =": [5, 6, 7, 5, 9],
        "none": [4, 9],
    }
    side = SimpleNamespace(tokenizer=None, encode_target=lambda text: [*pieces[text], 9])
    with pytest.raises(UserError, match="choice_mode='free'"):
        SlotListAutomaton(["artist"], side)
