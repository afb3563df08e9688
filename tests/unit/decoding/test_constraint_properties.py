"""Of any constraint: nothing outside its language comes out, and everything inside can, in each
kind of tokenizer's pieces and each way to search.
"""

from __future__ import annotations

import random
import re

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LogitsProcessorList

from speechverse.decoding import ConstraintLogitsProcessor, LabelTrie, SlotListAutomaton
from speechverse.decoding.patterns import PatternAutomaton

KINDS = ("t5", "bart", "llama")
FAST = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

words = st.text("abcdeimnoprstuy", min_size=1, max_size=6)
labels = st.lists(words, min_size=1, max_size=3).map(" ".join)
label_sets = st.lists(labels, min_size=1, max_size=8, unique=True)
slot_lists = st.lists(
    st.tuples(st.sampled_from(("artist", "room", "place name")), labels), max_size=4
)
patterns = st.builds(
    lambda first, rest: "".join([first, *rest]),
    st.sampled_from(("(play|stop)", "[a-e]{1,3}", "(x|yz){2}", "one")),
    st.lists(st.sampled_from((" music", "[a-e]{1,2}", "( one)?", "(x|yz)", "( two)*")), max_size=4),
)
constraints = st.one_of(
    label_sets.map(lambda drawn: ("labels", drawn)),
    patterns.map(lambda drawn: ("pattern", drawn)),
)


def made(side, constraint):
    kind, value = constraint
    return LabelTrie.of(value, side) if kind == "labels" else PatternAutomaton(value, side)


def is_inside(constraint, text):
    kind, value = constraint
    return text in value if kind == "labels" else bool(re.fullmatch(value, text))


def admits(automaton, tokens):
    state = automaton.start
    for token in tokens:
        if token not in automaton.allowed(state).tolist():
            return False
        state = automaton.advance(state, token)
    return not len(automaton.allowed(state))


def walk(automaton, draw, most=200):
    """Tokens of a random way through; None where it is not at an end after the most."""
    state, tokens = automaton.start, []
    while len(choices := automaton.allowed(state)):
        if len(tokens) == most:
            return None
        tokens.append(draw.choice(choices.tolist()))
        state = automaton.advance(state, tokens[-1])
    return tokens


@pytest.mark.parametrize("kind", KINDS)
@FAST
@given(drawn=label_sets, outside=labels)
def test_a_label_set_admits_its_labels_and_no_other(text_sides, kind, drawn, outside):
    side = text_sides[kind]
    trie = LabelTrie.of(drawn, side)
    assert all(admits(trie, side.encode_target(label)) for label in drawn)
    assert admits(trie, side.encode_target(outside)) == (outside in drawn)
    assert set(trie.leaves.values()) == set(drawn)


@pytest.mark.parametrize("kind", KINDS)
@FAST
@given(pairs=slot_lists, seed=st.integers(0, 9999))
def test_a_slot_list_admits_all_of_its_form_and_nothing_else(text_sides, kind, pairs, seed):
    side = text_sides[kind]
    automaton = SlotListAutomaton(("artist", "room", "place name"), side)
    text = " ".join(f"{name} = {value};" for name, value in pairs) or "none"
    assert admits(automaton, side.encode_target(text))
    tokens = walk(automaton, random.Random(seed), most=500)
    [came] = side.decode([tokens])
    assert came == "none" or all(
        slot.split("=")[0].strip() in ("artist", "room", "place name")
        for slot in came.strip().split(";")[:-1]
    )


@pytest.mark.parametrize("kind", KINDS)
@FAST
@given(data=st.data(), pattern=patterns, seed=st.integers(0, 9999))
def test_a_pattern_admits_what_matches_and_nothing_else(text_sides, kind, data, pattern, seed):
    side = text_sides[kind]
    automaton = PatternAutomaton(pattern, side)
    inside = data.draw(st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) < 60))
    assert admits(automaton, side.encode_target(inside))
    tokens = walk(automaton, random.Random(seed))
    if tokens is not None:  # "( two)*" need not end
        assert re.fullmatch(pattern, side.decode([tokens])[0].strip())


@pytest.mark.parametrize(
    "how", [{}, {"num_beams": 3}, {"do_sample": True}], ids=["greedy", "beams", "sampling"]
)
@pytest.mark.parametrize("kind", KINDS)
@settings(FAST, max_examples=15)
@given(rows=st.lists(constraints, min_size=2, max_size=4), seed=st.integers(0, 9999))
def test_every_row_keeps_to_its_own_constraint(text_sides, generate, kind, how, rows, seed):
    side = text_sides[kind]
    torch.manual_seed(seed)
    automata = [made(side, constraint) for constraint in rows]
    processor = ConstraintLogitsProcessor(automata, how.get("num_beams", 1))
    came = generate(
        kind,
        seed,
        len(rows),
        logits_processor=LogitsProcessorList([processor]),
        max_new_tokens=40,
        **how,
    )
    for constraint, tokens in zip(rows, came.tolist(), strict=True):
        if side.end_token_id in tokens:  # else the limit cut it
            [text] = side.decode([tokens[: tokens.index(side.end_token_id)]])
            assert is_inside(constraint, text.strip()), (constraint, text)
