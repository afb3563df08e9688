"""Files and folders that are whole or absent, logs that are added to, and one run in a folder at a
time.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from speechverse.errors import DiskFullError, UserError, no_room

File = TypeVar("File", bound=Any)
Made = TypeVar("Made")


def while_unchanged(find: Callable[[File], Made]) -> Callable[[File], Made]:
    """Remembers what a function finds of a file, by its path, as long as the file stays as it is;
    of a content (`BytesIO`) nothing is remembered.
    """

    @functools.lru_cache(maxsize=2**17)
    def remembered(path: File, size: int, changed: int) -> Made:
        return find(path)

    @functools.wraps(find)
    def found(file: File) -> Made:
        if isinstance(file, io.BytesIO):
            return find(file)
        status = os.stat(file)
        return remembered(file, status.st_size, status.st_mtime_ns)

    return found


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a path of this writer's own beside `path` to write to; what is there takes its name
    when the block ends without an error. A symbolic link stays one, and leads to it; who may read
    what was there may read what takes its place.
    """
    path = Path(os.path.realpath(path))
    # A file in a scratch folder, for `tempfile` would close a file of its own to other users.
    with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=path.parent) as scratch:
        aside = Path(scratch, "partial")
        yield aside
        with contextlib.suppress(OSError):  # nothing is there, or a disk that knows no modes
            shutil.copymode(path, aside)
        os.replace(aside, path)


_SIGNATURES = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first (gunzip)",
    b"BZh": "is compressed with bzip2: unpack it first (bunzip2)",
    b"\xfd7zXZ\x00": "is compressed with xz: unpack it first (unxz)",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it first (unzstd)",
    b"PK\x03\x04": "is a zip archive: unpack it first (unzip)",
    b"PAR1": "is a Parquet table: write its rows as text first",
    b"\xff\xfe": "is UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "is UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)",
}
"""How files begin that are often given where text is wanted, and what to do."""


def read_text(path: Path) -> str:
    """A file's text, which must be UTF-8; a byte order mark is left out.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is something else; says what, as the rest of a sentence about the file.
    """
    raw = path.read_bytes()
    for signature, cause in _SIGNATURES.items():
        if raw.startswith(signature):
            raise ValueError(cause)
    if raw[:100].count(0) >= len(raw[:100]) / 3 > 0:
        raise ValueError("is no text, or UTF-16 or UTF-32 without a mark: save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}; save it as UTF-8"
        ) from None


def files_in(folder: Path) -> Iterator[str]:
    """Relative paths of the files that are not hidden; links to folders are followed once."""
    entered: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        entered.add(os.path.realpath(root))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and os.path.realpath(os.path.join(root, name)) not in entered
        )
        for name in files:
            if not name.startswith("."):
                yield Path(root, name).relative_to(folder).as_posix()


def write_text(path: Path, text: str) -> None:
    """Writes a small file, whole or not at all.

    Raises:
        DiskFullError: If there is no room; what was there before is left as it was.
    """
    with disk_full_as_error(path), atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8")


def json_line(value: Any, encoding: str = "utf-8") -> str:
    """JSON in one line, readable in any script; in escapes where the encoding has no such sign, as
    for a path that is no UTF-8.
    """
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(value)
    return line if line.isprintable() else json.dumps(value)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a file that `append_log` made, without those that a killed run cut; none where
    there is no file.
    """
    records: list[dict[str, Any]] = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.split("\n"):
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return [record for record in records if isinstance(record, dict)]


def append_log(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Adds records, a JSON line each; half a line that a killed run left stays one by itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{json_line(record)}\n" for record in records)
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read() == b"\n" else "\n" + text
        file.write(text.encode())


def make_place(path: Path, *inputs: Path) -> None:
    """Makes the folder of a file that long work will write, before that work begins.

    Args:
        inputs: What the work reads, which it may not write over.

    Raises:
        UserError: If the file cannot be there, or is one of the inputs.
    """
    if any(path.exists() and one.exists() and path.samefile(one) for one in inputs):
        raise UserError(f"'{path}' is what is read here, and would be replaced: name another file")
    if path.is_dir():
        raise UserError(f"'{path}' is a folder: name a file in it, such as '{path / 'NAME'}'")
    if path.exists() and not path.is_file():
        raise UserError(
            f"'{path}' is a device or a pipe, and would be replaced: name a file, or leave it out"
            " and pipe what is printed"
        )
    make_folder(Path(os.path.realpath(path)).parent)


def make_folder(folder: Path) -> Path:
    """Makes a folder that long work will write into, and gives it back.

    Raises:
        UserError: If it cannot be there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"'{folder}' is a file: name a folder") from error
    except OSError as error:
        raise UserError(f"the folder '{folder}' cannot be made: {error.strerror}") from error
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        told = f"nothing can be written into the folder '{folder}': {error.strerror}"
        raise UserError(f"{told}; name another") from error
    return folder


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Gives a scratch folder beside `folder` that takes its name, on disk, when the block ends
    without an error.

    A symbolic link stays one, and leads to it.

    Raises:
        DiskFullError: If there is no room; what was there before is left as it was.
    """
    folder = Path(os.path.realpath(folder))
    scratch = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with disk_full_as_error(folder):
            scratch.mkdir(parents=True)
            yield scratch
            _sync(scratch)
            _put_in_place(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Has every file on the disk before the rename, so that a power cut cannot leave a whole name
    on half a file.
    """
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _put_in_place(scratch: Path, folder: Path) -> None:
    recover(folder)
    old = _old(folder)
    if folder.exists():
        os.replace(folder, old)
    os.replace(scratch, folder)
    shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def recover(folder: Path) -> None:
    """Mends a folder whose process was killed between the two renames that replace it."""
    folder = Path(os.path.realpath(folder))  # as `atomic_folder` does
    if folder.exists():
        shutil.rmtree(_old(folder), ignore_errors=True)
    elif _old(folder).exists():
        os.replace(_old(folder), folder)


@contextlib.contextmanager
def disk_full_as_error(path: Path) -> Iterator[None]:
    """Raises `DiskFullError` for a full disk met while the block writes `path`; other errors stay
    as they are.
    """
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if reason := no_room(error):
            named = getattr(error, "filename", None)  # what was met inside may lie elsewhere
            raise DiskFullError(Path(named) if isinstance(named, str) else path, reason) from error
        raise


@contextlib.contextmanager
def locked(lock: Path, busy: UserError, patience: float = 0.0) -> Iterator[None]:
    """Holds a lock file; the system lets go of it when the process ends, however it ends.

    Args:
        busy: What to raise if another run holds it.
        patience: Seconds to wait for that one.
    """
    from filelock import FileLock, Timeout

    holder = FileLock(lock)
    try:
        holder.acquire(timeout=patience)
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        holder.release()


@contextlib.contextmanager
def folder_lock(
    folder: Path, doing: str = "writing to", error: type[UserError] = UserError
) -> Iterator[None]:
    """Holds the lock on a folder, which is made if it is not there.

    Args:
        doing: What other runs are kept from.
        error: What to raise if another run holds it, or nothing can be written there.
    """
    try:
        make_folder(folder)
    except UserError as refused:
        raise error(str(refused)) from refused
    busy = error(f"another run is {doing} '{folder}' now; wait for it, or choose another folder")
    with locked(folder / ".lock", busy):
        yield
