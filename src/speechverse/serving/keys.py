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
        UserError: If the file has none, or one is short.
    """
    if file is None:
        given = os.environ.pop(KEYS, "").split(",")
    else:
        try:
            given = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the keys in '{file}' cannot be read: {error}") from error
    keys = tuple(key.strip() for key in given if key.strip())
    if file is not None and not keys:
        raise UserError(f"'{file}' holds no key; write one a line, or leave out --keys-file")
    if any(len(key) < 16 for key in keys):
        raise UserError("an API key has fewer than 16 characters: make longer ones")
    return keys
