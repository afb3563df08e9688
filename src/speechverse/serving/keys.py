"""API keys, where a server is told them."""

from __future__ import annotations

import os
from pathlib import Path

from speechverse.errors import UserError

KEYS = "SPEECHVERSE_API_KEYS"


def keys_of(file: Path | None) -> tuple[str, ...]:
    """Those in a file, or in the environment, which then holds them no longer. They are no
    argument: every user of a machine sees those.

    Raises:
        UserError: If the file or the variable has none, or one is short, or both are given.
    """
    told = os.environ.pop(KEYS, None)
    if told is not None and file is not None:
        raise UserError(f"{KEYS} and --keys-file both tell of keys: leave out one of them")
    if file is None:
        given = [] if told is None else told.split(",")
    else:
        try:
            given = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the keys in '{file}' cannot be read: {error}") from error
    keys = tuple(key.strip() for key in given if key.strip())
    if file is not None and not keys:
        raise UserError(f"'{file}' holds no key; write one a line, or leave out --keys-file")
    if told is not None and not keys:  # whoever sets it wants no open server
        raise UserError(f"{KEYS} is set, but holds no key; write them with commas, or unset it")
    if any(len(key) < 16 for key in keys):
        raise UserError("an API key has fewer than 16 characters: make longer ones")
    return keys
