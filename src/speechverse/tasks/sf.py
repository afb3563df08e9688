"""Slot filling: `artist = miles davis; room = kitchen;`, in spoken order; the slot names are the
corpus's.
"""

from __future__ import annotations

from collections.abc import Mapping

from speechverse.errors import TaskError
from speechverse.tasks.parsing import NOTHING, parse_slots, plain
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import SlotList, Task
from speechverse.types import Utterance


def slots_target(utterance: Utterance) -> str:
    """The slots as the model writes them.

    Raises:
        TaskError: If a name or a value holds one of the signs the format is made of, is empty or
            a line break, so that others would be read.
    """
    slots = utterance.labels["slots"]
    pairs = slots.items() if isinstance(slots, Mapping) else slots
    written = [f"{name} = {value};" for name, value in pairs]
    if any(pair.count(";") > 1 or pair.count("=") > 1 for pair in written):
        raise TaskError(
            f"slots of utterance '{utterance.id}' hold ';' or '=': {written}; take these signs out"
        )
    target = " ".join(written) or NOTHING
    if parse_slots(target) != tuple((plain(name), plain(value)) for name, value in pairs):
        raise TaskError(
            f"slots of utterance '{utterance.id}' would be read as others: {written}; leave out"
            " those without a value, and line breaks"
        )
    return target


SF = Task(
    name="sf",
    title="Slot filling",
    version=5,  # 3 asked in several hundred wordings, 4 read no lists in lines
    group="slu",
    prompts=PromptSet.load("sf"),
    requires=("slots",),
    target=slots_target,
    parser=parse_slots,
    label_field="slots",
    constraint=SlotList,
    metrics=("slu_f1", "slu_f1_word", "slu_f1_char", "sd_f1"),
)
