"""Names and what they stand for: built-in values, loaded when first asked for, and the user's own
from a file.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from speechverse.errors import SpeechverseError, UserError, unknown_name

Value = TypeVar("Value")

_YAML = (".yaml", ".yml")


def names_a_file(name: str) -> bool:
    """Whether asking for a name would read or run a user's file."""
    return ":" in name or Path(name).suffix in _YAML


class Registry(Mapping[str, Value]):
    """What there is of one kind, by name: a mapping of the built-in names, each of which loads its
    value.

    `registry["path/to/file.py:NAME"]` runs a user's file and makes what it holds known by its own
    name too; so does `registry["path/to/file.yaml"]` where such a value can be written as YAML.
    `registry["family:WHICH"]` makes the one of a family that is meant.

    Attributes:
        families: Name → "module:CLASS", whose `of(which)` gives a value.
        own: What users added, by name, with where it comes from.
    """

    def __init__(
        self,
        kind: str,
        built_in: Mapping[str, str | Value],
        is_one: Callable[[Any], bool],
        *,
        name_of: Callable[[Any], str] = attrgetter("name"),
        error: type[UserError] = UserError,
        from_yaml: str = "",
        families: Mapping[str, str] | None = None,
    ) -> None:
        """Makes a registry.

        Args:
            kind: What is named, in errors: "task".
            built_in: Name → "module:NAME", or the value itself.
            is_one: Whether a value found in a user's file is of this kind.
            name_of: The name that such a value calls itself by.
            error: Raised for all that is wrong with a name or a file.
            from_yaml: "module:NAME" of a function from a YAML file's path to such a value; empty
                where none can be written so.
            families: See above.
        """
        self.kind, self._built_in, self._is_one = kind, dict(built_in), is_one
        self._name_of, self._error, self._from_yaml = name_of, error, from_yaml
        self.families = dict(families or {})
        self.own: dict[str, tuple[str, Value]] = {}

    def __getitem__(self, name: str) -> Value:
        if self._is_yaml(name):
            path = _path_of(name)
            return self.add(_load(self._from_yaml)(path), str(path))
        family, _, which = name.partition(":")
        if which and family in self.families:
            return _load(self.families[family]).of(which)
        if ":" in name:
            return self._from_file(name)
        self.check(name)
        if name in self.own:
            return self.own[name][1]
        found = self._built_in[name]
        return _load(found) if isinstance(found, str) else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._built_in)

    def __len__(self) -> int:
        return len(self._built_in)

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self.own

    def check(self, name: str) -> None:
        """Refuses a name that stands for nothing; a file is only read when it is asked for."""
        if ":" not in name and not self._is_yaml(name) and name not in self:
            families = (f"{family}:WHICH" for family in self.families)
            known = unknown_name(self.kind, name, {*self._built_in, *self.own, *families})
            file = " or path/to/file.yaml" if self._from_yaml else ""
            raise self._error(f"{known}; one of your own is given as path/to/file.py:NAME{file}")

    def _is_yaml(self, name: str) -> bool:
        return bool(self._from_yaml) and Path(name).suffix in _YAML

    def add(self, value: Value, origin: str = "") -> Value:
        """Makes a value of the user's known by its own name; what the same origin gave before is
        replaced.

        Args:
            value: The value.
            origin: Where it comes from, such as "file.py:NAME"; by default the file that is being
                run, if one is.

        Raises:
            UserError: If another value has the name.
        """
        name = self._name_of(value)
        origin = origin or _running[-1]
        other = self.own[name][0] if name in self.own else origin
        if name in self._built_in or not _same_code(other, origin):
            taken_by = self._built_in.get(name) if name in self._built_in else other
            raise self._error(
                f"the name '{name}' of {origin or 'your own ' + self.kind} is taken by"
                f" {taken_by if isinstance(taken_by, str) and taken_by else 'another'}; give your"
                f" {self.kind} another"
            )
        self.own[name] = (origin, value)
        return value

    def code_of(self, name: str) -> bytes:
        """The file that a user's own value came from; empty for others."""
        file = Path(_file_and_name(self.own[name][0])[0]) if name in self.own else Path()
        return file.read_bytes() if file.is_file() else b""

    def _from_file(self, spec: str) -> Value:
        path_part, _, attribute = spec.rpartition(":")
        path = _path_of(path_part)
        if path.suffix != ".py" or not path.is_file():
            raise self._error(
                f"no Python file '{path}'; a {self.kind} of your own is given as"
                " path/to/file.py:NAME"
            )
        module = self._run(path)
        known = [name for name, value in vars(module).items() if self._is_one(value)]
        if attribute not in known:
            raise self._error(f"in '{path}': {unknown_name(self.kind, attribute, known)}")
        return self.add(getattr(module, attribute), f"{path}:{attribute}")

    def _run(self, path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"speechverse_user_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickle look a class's module up there
        _running.append(str(path))
        try:
            spec.loader.exec_module(module)
        except SpeechverseError:
            raise
        except Exception as error:
            raise self._error(
                f"'{path}' could not be run: {type(error).__name__}: {error}"
            ) from error
        finally:
            _running.pop()
        return module


_running = [""]
"""Users' files that are being run: what they add comes from there."""


def _same_code(one: str, other: str) -> bool:
    """Whether two origins are one place, or copies of one file, as checkpoints bring them."""
    if one == other:
        return True
    (path, name), (other_path, other_name) = map(_file_and_name, (one, other))
    files = [Path(path), Path(other_path)]
    if name != other_name or not all(file.is_file() for file in files):
        return False
    return files[0].read_bytes() == files[1].read_bytes()


def _file_and_name(origin: str) -> tuple[str, str]:
    """What a file adds as it runs, such as a task's metric, has no name there, nor has YAML."""
    if origin.endswith((".py", ".yaml", ".yml")):
        return origin, ""
    file, _, name = origin.rpartition(":")
    return file, name


def _path_of(name: str) -> Path:
    """The file that is meant; unlike `Path.expanduser`, `~` of an unknown user is left as it is."""
    return Path(os.path.expanduser(name)).resolve()


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def has(*attributes: str) -> Callable[[Any], bool]:
    """Whether a value is a class with all these attributes."""
    return lambda value: (
        isinstance(value, type) and all(hasattr(value, name) for name in attributes)
    )


SYSTEMS: Registry[Any] = Registry(
    "system",
    {
        "speechverse": "speechverse.evaluation.cascades:SpeechVerseSystem",
        "cascade-whisper": "speechverse.evaluation.cascades:WhisperCascade",
        "cascade-whisper-tuned": "speechverse.evaluation.cascades:TunedWhisperCascade",
        "cascade-ctc": "speechverse.evaluation.cascades:CtcCascade",
        "cascade": "speechverse.evaluation.cascades:Cascade",
        "cascade-tuned": "speechverse.evaluation.cascades:TunedCascade",
        "oracle": "speechverse.evaluation.cascades:Oracle",
        "oracle-tuned": "speechverse.evaluation.cascades:TunedOracle",
        "other-clip": "speechverse.evaluation.control:OtherClip",
        "specialist": "speechverse.evaluation.without_words:SpecialistSystem",
        "tf-idf": "speechverse.evaluation.text_floor:TextFloor",
        "log-mel": "speechverse.evaluation.without_words:LogMel",
        "majority": "speechverse.evaluation.without_words:Majority",
    },
    has("name", "title", "hears", "missing", "answer"),
    families={
        "cascade": "speechverse.evaluation.any_asr:AsrCascade",
        "cascade-tuned": "speechverse.evaluation.any_asr:TunedAsrCascade",
        "other-clip": "speechverse.evaluation.control:OtherClip",
        "audio-llm": "speechverse.evaluation.audio_llm:AudioLlm",
        "endpoint": "speechverse.evaluation.endpoint:Endpoint",
    },
)
"""What can be measured (`evaluation.System`); here, because recipes name systems and cannot import
evaluation.
"""
