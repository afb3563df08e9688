"""What the spoken world says: requests with their parse and true translations, and other sentences
beside them.
"""

from speechverse.world.language.sentence import (
    HELD_OUT_STRATA,
    STRATA,
    Draft,
    Sentence,
    check_stratum,
    draft_sentence,
    draw_sentence,
    inventory,
    words,
)

__all__ = [
    "HELD_OUT_STRATA",
    "STRATA",
    "Draft",
    "Sentence",
    "check_stratum",
    "draft_sentence",
    "draw_sentence",
    "inventory",
    "words",
]
