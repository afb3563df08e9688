"""Instructions of a task: those seen in training, and those held out to measure robustness to
wording.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from speechverse.errors import TaskError
from speechverse.files import read_text

Wording = Literal["seen", "held_out"]

_HEADINGS = ("[seen]", "[held-out]")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class PromptSet:
    """Instruction templates; `{labels}` and the task's own placeholders are filled in when an
    example is rendered.

    Attributes:
        seen: Wordings training draws from.
        held_out: Wordings never trained on.
    """

    seen: tuple[str, ...]
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wordings = self.seen + self.held_out
        if not self.seen:
            raise TaskError("a prompt set needs at least one seen instruction")
        repeated = {wording for wording in wordings if wordings.count(wording) > 1}
        if repeated:
            raise TaskError(
                f"instructions occur twice: {sorted(repeated)}; every wording must be its own"
            )

    def wordings(self, wording: Wording) -> tuple[str, ...]:
        """The seen or the held-out instructions.

        Raises:
            TaskError: If there are none of that kind.
        """
        found = self.seen if wording == "seen" else self.held_out
        if not found:
            raise TaskError(
                f"the task has no {wording.replace('_', '-')} instructions; add some, or ask for"
                " 'seen'"
            )
        return found

    @classmethod
    def load(cls, name: str | Path) -> PromptSet:
        """Read a prompt file: one instruction a line under `[seen]` and `[held-out]`; lines
        beginning with # are notes.

        Args:
            name: Name of a built-in prompt file such as "ic", or the path of one's own `.txt` file.
        """
        own = Path(name)
        source = (
            own if own.suffix == ".txt" else files("speechverse.tasks") / "prompts" / f"{name}.txt"
        )
        try:
            text = read_text(own) if source is own else source.read_text(encoding="utf-8")
        except ValueError as error:
            raise TaskError(f"prompt file '{name}' {error}") from error
        except (FileNotFoundError, IsADirectoryError) as error:
            raise TaskError(
                f"prompt file '{name}' not found; name a built-in one or give the path of a .txt"
            ) from error
        sections = _sections(text, str(name))
        return cls(seen=tuple(sections["[seen]"]), held_out=tuple(sections["[held-out]"]))


@lru_cache(maxsize=8192)  # every draw of a wording asks it of all of them
def placeholders(template: str) -> tuple[str, ...]:
    """The names in braces in an instruction template."""
    return tuple(_PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its names in braces replaced; braces in the values stay as they are."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _sections(text: str, name: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {heading: [] for heading in _HEADINGS}
    heading = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            heading = line
        if heading not in sections:
            raise TaskError(
                f"prompt file '{name}' line {number}: '{line}' is not under [seen] or [held-out]"
            )
        if line != heading:
            sections[heading].append(line)
    return sections
