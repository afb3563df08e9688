"""YAML as people write it: what PyYAML would misread in silence is refused, with its line and what
to write.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from speechverse.files import read_text

_MOST_VALUES = 1_000_000
"""Values that a file may hold once its aliases are followed: a few lines can name billions."""


class MisreadError(ValueError):
    """What PyYAML would read as something else than was written, or in part only."""


class _Loader(yaml.SafeLoader):
    """YAML with 1e-3 a number, as YAML 1.2 has it (YAML 1.1 wants 1.0e-3), and keys that are
    strings, each once.
    """

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A number as it looks: YAML 1.1 has 010 for 8, and 1:30 for 90."""
        if re.match(r"[-+]?0[0-9_]", node.value) or ":" in node.value:
            raise MisreadError(
                f"line {node.start_mark.line + 1}: YAML reads `{node.value}` as"
                f" {super().construct_yaml_int(node)}: write that number, or put it in quotes"
            )
        return super().construct_yaml_int(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise MisreadError(f"line {line}: a key should be a word, not a list or a section")
            if key.tag != "tag:yaml.org,2002:str":
                kind = key.tag.rpartition(":")[2]
                raise MisreadError(
                    f"line {line}: YAML reads the key `{key.value}:` as a {_KINDS.get(kind, kind)},"
                    " not as a word; "
                    f'put it in quotes: "{key.value}":'
                )
            if key.value in seen:
                raise MisreadError(
                    f"line {line}: the key '{key.value}' stands in line {seen[key.value]} already"
                )
            seen[key.value] = line
        return super().construct_mapping(node, deep)


_KINDS = {
    "bool": "truth value (true or false)",
    "int": "number",
    "float": "number",
    "timestamp": "date",
}


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would read as something else than text."""


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
for _one in (_Loader, _Dumper):
    _one.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )

UNQUOTED = (
    "YAML reads an unquoted yes, no, on or off as true or false: put it in quotes if it is a word"
)


def parse_yaml(text: str) -> Any:
    """The value that a YAML text holds.

    Raises:
        ValueError: If it is not YAML, a key is no string or stands twice, or it refers to itself.
    """
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 (a safe loader)
        if _size(value, {}) > _MOST_VALUES:
            raise MisreadError(f"its aliases make more than {_MOST_VALUES:,} values of it")
    except RecursionError:
        raise ValueError("it is nested too deeply, or refers to itself") from None
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {error}") from error
    except MisreadError:
        raise
    except (
        AttributeError,
        KeyError,
        TypeError,
        OverflowError,
        ValueError,
    ) as error:  # PyYAML's own words for odd tags
        raise ValueError(f"it holds a value that YAML cannot make: {error}") from error
    return value


def dump_yaml(value: Any) -> str:
    """A plain value as YAML text that `parse_yaml` reads as the same, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_yaml(path: Path) -> Any:
    """The value that a YAML file holds.

    Raises:
        OSError: If it cannot be opened.
        ValueError: As `parse_yaml` and `files.read_text`.
    """
    return parse_yaml(read_text(path))


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values there are in one, those behind aliases counted as often as they are named."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known) for item in inner)
    return known[id(value)]
