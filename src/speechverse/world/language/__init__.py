"""What the spoken world says: requests with their parse and true translations, and other sentences
beside them.
"""

from speechverse.world.language.sentence import (
    HELD_OUT_STRATA,
    STRATA,
    Part,
    Sentence,
    check_stratum,
    draw_sentence,
    inventory,
    part_of,
    words,
)

__all__ = [
    "HELD_OUT_STRATA",
    "STRATA",
    "Part",
    "Sentence",
    "check_stratum",
    "draw_sentence",
    "inventory",
    "part_of",
    "words",
]
