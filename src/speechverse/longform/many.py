"""One way to ask about one sound, a list of them, or as many as an iterator brings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from speechverse.audio import AudioSource
from speechverse.clips import Clips

Sound = AudioSource | Clips
"""One clip, or several that one instruction is about."""

P = ParamSpec("P")
Made = TypeVar("Made")


class Bound(Generic[P, Made]):
    """A method of one model: of one sound it gives one result, of a list a list, and of an iterator
    an iterator, which takes sounds as its results are asked for.
    """

    def __init__(
        self, make: Callable[Concatenate[Any, Iterable[Any], P], Iterator[Made]], model: Any
    ) -> None:
        functools.update_wrapper(self, make)
        self._make, self._model = make, model

    # An open file is an iterator, too; it is a sound.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, sounds: Sound, /, *args: P.args, **how: P.kwargs
    ) -> Made: ...
    @overload
    def __call__(self, sounds: list[Sound], /, *args: P.args, **how: P.kwargs) -> list[Made]: ...
    @overload
    def __call__(
        self, sounds: Iterator[Sound], /, *args: P.args, **how: P.kwargs
    ) -> Iterator[Made]: ...
    def __call__(self, sounds: Any, *args: P.args, **how: P.kwargs) -> Any:  # type: ignore[misc]
        if isinstance(sounds, list):
            return list(self._make(self._model, sounds, *args, **how))
        if isinstance(sounds, Iterator) and not hasattr(sounds, "read"):
            return self._make(self._model, sounds, *args, **how)
        [made] = self._make(self._model, [sounds], *args, **how)
        return made


class many(Generic[P, Made]):  # noqa: N801 - a decorator, as `property` is
    """Makes a method that goes through sounds one that also takes a single one."""

    def __init__(self, make: Callable[Concatenate[Any, Iterable[Any], P], Iterator[Made]]) -> None:
        functools.update_wrapper(cast(Any, self), make)
        self._make = make

    def __get__(self, model: Any, owner: Any = None) -> Bound[P, Made]:
        return Bound(self._make, model)
