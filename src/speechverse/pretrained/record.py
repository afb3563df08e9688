"""What a converted folder says of itself: what it was made from, and what was written.

A folder that is as it was written is known by its source, so that a checkpoint trained on it knows
it on any machine, whatever library version wrote the bytes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from speechverse.files import while_unchanged, write_text
from speechverse.seeding import fingerprint

RECORD = "speechverse_part.json"
CONVERSION = 1
"""Goes up when a source gives other numbers; older checkpoints then refuse it."""
_SETTINGS = ("config.json", "preprocessor_config.json")


def write_record(folder: Path, name: str | None, sha256: str) -> None:
    """Writes down the published file (`sha256`) and all that a folder holds now."""
    written = sorted(file for file in folder.rglob("*") if file.is_file())
    files = {file.relative_to(folder).as_posix(): _state_of(file) for file in written}
    record = {"name": name, "sha256": sha256, "conversion": CONVERSION, "files": files}
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record in a folder; None where there is none or it cannot be read."""
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return content if {"name", "sha256", "conversion", "files"} <= content.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def is_whole(folder: Path, sha256: str) -> bool:
    """Whether a folder holds a source's present conversion, by the files' names and sizes."""
    record = read_record(folder)
    if record is None or (record["sha256"], record["conversion"]) != (sha256, CONVERSION):
        return False
    files = ((folder / name, state["size"]) for name, state in record["files"].items())
    return all(file.is_file() and file.stat().st_size == size for file, size in files)


def source_fingerprint(folder: Path) -> str | None:
    """The fingerprint of what a folder was converted from; None if it was altered since."""
    record = read_record(folder)
    if record is None:
        return None
    for name in _decisive_files(folder):  # one that has joined them since is an alteration too
        if name not in record["files"] or not _is_as_written(folder / name, record["files"][name]):
            return None
    return fingerprint(f"part\n{record['sha256']}\n{record['conversion']}")


@while_unchanged
def file_hash(file: Path) -> str:
    """SHA-256 of a file; hashed once in a process while it does not change."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _decisive_files(folder: Path) -> list[str]:
    """Settings and weights; tokenizers and cards do not change what a part computes."""
    weights = sorted(
        file.name for pattern in ("*.safetensors", "*.bin") for file in folder.glob(pattern)
    )
    return [*(name for name in _SETTINGS if (folder / name).is_file()), *weights]


def _state_of(file: Path) -> dict[str, Any]:
    status = file.stat()
    return {"sha256": file_hash(file), "size": status.st_size, "modified_ns": status.st_mtime_ns}


def _is_as_written(file: Path, state: dict[str, Any]) -> bool:
    """One with its old size and time is not read, so that loading stays quick."""
    status = file.stat()
    if status.st_size != state["size"]:
        return False
    return status.st_mtime_ns == state["modified_ns"] or file_hash(file) == state["sha256"]
