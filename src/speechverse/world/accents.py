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

import yaml

from speechverse.errors import UserError, unknown_name


@dataclass(frozen=True, slots=True)
class Accent:
    """One accent in espeak-ng's terms."""

    file: str  # espeak-ng's own file that it starts from
    sounds: list[str]  # lines of such a file: which sounds become which
    # Rhythm (lines of such a file) and tune of each shade.
    shades: tuple[tuple[tuple[str, ...], str], ...]
    rate: float = 1.0  # scale of the speaking rate
    liveliness: int = 0  # added to the pitch range


def _read() -> tuple[dict[str, str], dict[str, Accent]]:
    content = yaml.safe_load(
        files(__package__).joinpath("accents.yaml").read_text(encoding="utf-8")
    )
    rhythms, tunes = content["rhythms"], content["tunes"]
    described, accents = {}, {}
    for name, entry in content["accents"].items():
        described[name] = entry.pop("description")
        shades = tuple(
            (tuple(rhythms[rhythm]), tunes[tune])
            for rhythm, tune in map(str.split, entry.pop("shades"))
        )
        accents[name] = Accent(shades=shades, **entry)
    return described, accents


ACCENTS, _ACCENTS = _read()
"""Accent → description, and what it is made of."""

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
    """Makes a data folder for espeak-ng that has these accents beside its own data, which is linked
    to.
    """
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
