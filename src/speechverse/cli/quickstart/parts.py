"""The quickstart's first part: the frozen parts that the model stands on, fetched where they are not here yet."""

from __future__ import annotations

import json
from collections.abc import Sequence

from speechverse.errors import UserError


def known_parts_of(model: str) -> tuple[str, ...]:
    """Names of the known parts that a checkpoint stands on, encoder first; none where its parts are folders."""
    from speechverse.hub import local_folder, resolve
    from speechverse.pretrained import KNOWN

    config = json.loads((local_folder(resolve(model)) / "config.json").read_text(encoding="utf-8"))
    return tuple(name for name in (config["encoder"], config["llm"]) if name in KNOWN)


def fetch(names: Sequence[str]) -> list[str]:
    """Fetches the parts that are not here.

    Returns:
        Those that had to be fetched.

    Raises:
        UserError: If one is not here and the network is forbidden.
        PartError: If one cannot be fetched.
    """
    from speechverse.pretrained import get_part, is_here, offline, part_named

    missing = [name for name in names if not is_here(part_named(name))]
    if missing and offline():
        raise UserError(
            f"the model stands on {' and '.join(missing)}, not on this machine, and the network is forbidden "
            "(--offline, SPEECHVERSE_OFFLINE or HF_HUB_OFFLINE): with the network, give once\n"
            f"  speechverse pretrained get {' '.join(missing)}"
        )
    for name in missing:
        get_part(part_named(name))
    return missing
