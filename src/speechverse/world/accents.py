"""Accents of English: espeak-ng's own, each with the manner that goes with it: sounds, rhythm,
melody, rate.

espeak-ng's accents differ in some vowels and in r; people tell accents by rhythm and melody as
much. Every accent here has several shades of manner, some of them shared with other accents, so
that no single trait decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from speechverse.errors import UserError, unknown_name
from speechverse.world.tables import read_yaml

_TABLE = read_yaml(files(__package__).joinpath("accents.yaml"))
_GERMANIC = Path("lang/gmw")
_PERSONAL = ("name", "language", "maintainer", "status")


@dataclass(frozen=True, slots=True)
class Accent:
    """One accent in espeak-ng's terms."""

    description: str
    file: str  # espeak-ng's own file that it starts from
    sounds: list[str]  # lines of such a file: which sounds become which
    shades: list[str]  # of manner, each a rhythm and a tune
    rate: float = 1.0  # scale of the speaking rate
    liveliness: int = 0  # added to the pitch range


_ACCENTS = {name: Accent(**entry) for name, entry in _TABLE["accents"].items()}
ACCENTS = {name: accent.description for name, accent in _ACCENTS.items()}


def get_accent(name: str) -> Accent:
    """The accent of that name; UserError where there is none."""
    if name not in _ACCENTS:
        raise UserError(unknown_name("accent", name, _ACCENTS))
    return _ACCENTS[name]


def language_of(accent: str, shade: int) -> str:
    """espeak-ng's name for a shade of an accent, counted from 0."""
    return f"en-x-{accent}{shade % len(get_accent(accent).shades)}"


def add_accents(given: Path, folder: Path) -> None:
    """Makes a data folder for espeak-ng with these accents, and links to all of its own data."""
    languages = folder / _GERMANIC
    languages.mkdir(parents=True)
    for there in (Path(), Path("lang"), _GERMANIC):
        for entry in (given / there).iterdir():
            if not (folder / there / entry.name).exists():
                (folder / there / entry.name).symlink_to(entry)
    for name, accent in _ACCENTS.items():
        lines = (given / _GERMANIC / accent.file).read_text().splitlines()
        own = [line for line in lines if line.strip() and line.split()[0] not in _PERSONAL]
        for shade, manner in enumerate(accent.shades):
            rhythm, tune = manner.split()
            called = language_of(name, shade)
            head = [f"name {called}", f"language {called}", "dictionary en"]
            tail = [*_TABLE["rhythms"][rhythm], f"tunes {_TABLE['tunes'][tune]}"]
            (languages / called).write_text("\n".join([*head, *own, *accent.sounds, *tail]) + "\n")
