"""From a model to answers: constraints over the tokenizer's pieces, scoring of choices, batched
generation.
"""

from __future__ import annotations

from speechverse.decoding.answering import answer, answer_questions
from speechverse.decoding.automaton import LabelTrie, SlotListAutomaton, TokenAutomaton
from speechverse.decoding.constraint import ConstraintLogitsProcessor, LoopGuard
from speechverse.decoding.options import DecodingOptions
from speechverse.decoding.questions import Question, default_limit

__all__ = [
    "ConstraintLogitsProcessor",
    "DecodingOptions",
    "LabelTrie",
    "LoopGuard",
    "Question",
    "SlotListAutomaton",
    "TokenAutomaton",
    "answer",
    "answer_questions",
    "default_limit",
]
