"""The data files beside this package's modules."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast


def read_yaml(path: Traversable) -> dict[str, Any]:
    """The mapping in a YAML file of the package's own."""
    return dict(yaml.load(path.read_text(encoding="utf-8"), _LOADER))  # noqa: S506 (a safe loader)
