"""Accents of English: espeak-ng's own, each with the manner that goes with it: sounds, rhythm, melody, rate.

espeak-ng's accents differ in some vowels and in r; people tell accents by rhythm and melody as much. Every accent here
has several shades of manner, some of them shared with other accents, so that no single trait decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from speechverse.errors import UserError, unknown_name

ACCENTS = {
    "american": "General American English",
    "british": "Southern British English",
    "scottish": "Scottish English",
    "caribbean": "Caribbean English",
    "received": "Received Pronunciation, old-fashioned British English",
}
"""Accent → description."""

# Lengths and loudness of syllables, from unstressed to most stressed.
_EVEN = ("stressLength 200 195 205 200 0 0 225 240", "stressAmp 19 19 20 20 20 20 21 20")
_DRAWN = ("stressLength 145 110 215 205 0 0 295 335", "stressAmp 16 14 20 20 20 22 24 22")
_CLIPPED = ("stressLength 150 125 175 175 0 0 215 235", "stressAmp 18 18 20 20 20 22 22 20")
_USUAL = ()  # as espeak-ng has it for the accent
_FALL, _SHALLOW, _LATE, _SWING, _RISE = "s1 c1 q1 e1", "s2 c2 q2 e2", "s4 c4 q4 e4", "s7 c7 q7 e7", "q1 c1 q1 e1"


@dataclass(frozen=True, slots=True)
class Accent:
    """One accent in espeak-ng's terms."""

    file: str  # espeak-ng's own file that it starts from
    sounds: tuple[str, ...]  # lines of such a file: which sounds become which
    # Rhythm (lines of such a file) and tune of each shade.
    shades: tuple[tuple[tuple[str, ...], str], ...]
    rate: float = 1.0  # scale of the speaking rate
    liveliness: int = 0  # added to the pitch range


_ACCENTS = {
    "american": Accent(
        "en-US",
        ("replace 00 O: A:",),
        ((_USUAL, _FALL), (_USUAL, _SHALLOW), (_USUAL, _SHALLOW), (_USUAL, _LATE)),
        rate=0.96,
        liveliness=-4,
    ),
    "british": Accent(
        "en",
        ("replace 01 t ?", "replace 00 T f"),
        ((_USUAL, _FALL), (_USUAL, _FALL), (_USUAL, _SWING), (_CLIPPED, _FALL)),
        rate=1.05,
    ),
    "scottish": Accent(
        "en-GB-scotland",
        ("replace 00 eI e:", "replace 00 oU o:"),
        ((_USUAL, _RISE), (_CLIPPED, _RISE), (_CLIPPED, _LATE), (_CLIPPED, _RISE)),
        rate=1.03,
    ),
    "caribbean": Accent(
        "en-029",
        ("replace 00 eI e:", "replace 00 oU o:", "replace 00 V O", "replace 00 0 aa"),
        ((_EVEN, _SWING), (_EVEN, _SWING), (_EVEN, _LATE), (_EVEN, _RISE)),
        liveliness=4,
    ),
    "received": Accent(
        "en-GB-x-rp",
        ("replace 00 r **", "replace 00 a E", "replace 00 V a", "replace 00 O: o:"),
        ((_DRAWN, _LATE), (_DRAWN, _LATE), (_DRAWN, _SWING), (_DRAWN, _FALL)),
        rate=0.93,
    ),
}
_GERMANIC = Path("lang/gmw")
_PERSONAL = ("name", "language", "maintainer", "status")


def get_accent(name: str) -> Accent:
    """The accent of that name.

    Raises:
        UserError: No such accent.
    """
    if name not in _ACCENTS:
        raise UserError(unknown_name("accent", name, _ACCENTS))
    return _ACCENTS[name]


def language_of(accent: str, shade: int) -> str:
    """espeak-ng's name for a shade of an accent, counted from 0.

    Raises:
        UserError: No such accent.
    """
    return f"en-x-{accent}{shade % len(get_accent(accent).shades)}"


def prepare_data(given: Path, folder: Path) -> None:
    """Makes a data folder for espeak-ng that has these accents beside its own data, which is linked to."""
    languages = folder / _GERMANIC
    languages.mkdir(parents=True)
    for there in (Path(), Path("lang"), _GERMANIC):
        for entry in (given / there).iterdir():
            if not (folder / there / entry.name).exists():
                (folder / there / entry.name).symlink_to(entry)
    for name, accent in _ACCENTS.items():
        own = [
            line
            for line in (given / _GERMANIC / accent.file).read_text().splitlines()
            if line.strip() and line.split()[0] not in _PERSONAL
        ]
        for shade, (rhythm, tunes) in enumerate(accent.shades):
            called = language_of(name, shade)
            head = [f"name {called}", f"language {called}", "dictionary en"]
            lines = [*head, *own, *accent.sounds, *rhythm, f"tunes {tunes}"]
            (languages / called).write_text("\n".join(lines) + "\n")
