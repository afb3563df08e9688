"""What packages and the API page give out by name is there, also where it is loaded when asked for."""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from pydoc import locate

import speechverse

SOURCE = Path(speechverse.__file__).parent
NEEDS = {"speechverse.demo": "gradio"}
"""What a package of an extra that the set-up for the tests leaves out wants."""

API = Path(__file__).parents[2] / "docs" / "api.md"


def lacks_its_extra(package: str) -> bool:
    return package in NEEDS and find_spec(NEEDS[package]) is None


def test_every_name_that_a_package_gives_out_is_there() -> None:
    for file in SOURCE.rglob("__init__.py"):
        name = ".".join(file.parent.relative_to(SOURCE.parent).parts)
        if lacks_its_extra(name):
            continue
        package = importlib.import_module(name)
        gone = [one for one in getattr(package, "__all__", ()) if not hasattr(package, one)]
        assert not gone, f"{name} has no {', '.join(gone)}"


def test_every_name_of_the_api_page_is_there() -> None:
    names = re.findall(r"^::: (\S+)", API.read_text(), re.MULTILINE)
    known = [name for name in names if not lacks_its_extra(name.rpartition(".")[0])]
    assert known and [name for name in known if locate(name) is None] == []
