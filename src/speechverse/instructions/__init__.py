"""Instruction data in the paper's way: varied instructions over spoken lines, learnt from the
frozen LLM that reads.

The paper has the input of Alpaca's triples spoken. Here the lines are there already; what is drawn
is what is asked of them, and the answer is what the model's own LLM answers, without LoRA, who
reads the transcript where the audio would be (as in a cascade), or what a program knows. So hearing
need not cost the LLM its instruction following.
"""

from __future__ import annotations

from speechverse.instructions.assignment import Asked, draw_instructions, draw_lines, kinds
from speechverse.instructions.made import Outcome, answer_lines, labelled

__all__ = [
    "Asked",
    "Outcome",
    "answer_lines",
    "draw_instructions",
    "draw_lines",
    "kinds",
    "labelled",
]
