"""Where fetched parts are kept, and whether anything may be fetched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from speechverse.errors import UserError

_OFFLINE = ("SPEECHVERSE_OFFLINE", "HF_HUB_OFFLINE")


def cache_folder() -> Path:
    """The user's cache: `SPEECHVERSE_CACHE`, else `speechverse` in the system's.

    Raises:
        UserError: If it is to lie in a home folder that nobody knows.
    """
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    own = os.environ.get("SPEECHVERSE_CACHE") or f"{shared}/speechverse"
    try:
        return Path(own).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(
            f"the cache should be '{own}', and that home folder is not known: set"
            " SPEECHVERSE_CACHE to a folder"
        ) from error


def offline() -> bool:
    """Whether the user forbids the network."""
    said = (os.environ.get(name, "").strip().lower() for name in _OFFLINE)
    return any(word in {"1", "true", "yes", "on"} for word in said)


def go_offline() -> None:
    """Forbids the network for the rest of the process and for those it starts."""
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    hub = sys.modules.get("huggingface_hub.constants")
    if hub is not None:  # it has read the environment already
        vars(hub)["HF_HUB_OFFLINE"] = True
