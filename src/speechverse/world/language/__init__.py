"""What the spoken world says: requests with parse and translations, and other sentences."""

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
