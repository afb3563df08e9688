"""Where frozen parts and checkpoints lie (built-in names, folders, the model hub) and how they are
told apart.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from speechverse.errors import CheckpointError, UserError, first_line, no_room
from speechverse.pretrained import (
    KNOWN,
    converted,
    convertible,
    file_hash,
    get_part,
    go_offline,
    offline,
    part_named,
    source_fingerprint,
)
from speechverse.quiet import quiet_transformers
from speechverse.seeding import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

_ASSETS = Path(__file__).parent / "assets"
BUILT_IN = {"small": _ASSETS / "small"}
"""Names that mean folders inside the package."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HUB_FILES = [
    *("*.json", "*.txt", "*.model", "*.jinja", "model.safetensors", "model-*.safetensors"),
    *("adapter.safetensors", "lora/*", "encoder/*", "llm/*"),
]
VOLATILE_KEYS = {"transformers_version", "_name_or_path", "torch_dtype", "dtype", "architectures"}
"""Entries of a configuration that differ between copies of one model."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A frozen part or checkpoint that was found.

    Attributes:
        name: An absolute folder, or a hub id.
        revision: The hub revision asked for; None for folders.
        is_local: Whether `name` is a folder.
        known_as: How a checkpoint names it: a built-in's or known part's name, the hub id, or where
            its files lie.
    """

    name: str
    revision: str | None
    is_local: bool
    known_as: str


def resolve(
    name_or_path: str | Path, revision: str | None = None, relative_to: Path | None = None
) -> Resolved:
    """Finds what a name means: a built-in, a known part, a folder or file, or a hub id.

    Folders and files are looked for beside `relative_to` and in the working folder. A known part
    that is not here is fetched; a GGUF file or a CTranslate2 folder is converted, once.

    Raises:
        CheckpointError: If a path does not exist and cannot be a hub id, or what is to be converted
            is broken.
        PartError: If a known part cannot be fetched.
    """
    text = str(name_or_path)
    if text in BUILT_IN:
        return Resolved(str(BUILT_IN[text]), None, is_local=True, known_as=text)
    if text in KNOWN:
        return Resolved(str(get_part(part_named(text))), None, is_local=True, known_as=text)
    path = Path(os.path.expanduser(text))  # which leaves the name of an unknown user as it is
    for base in (relative_to, Path.cwd()):
        if (
            base is not None
            and _is_there(base / path)
            and (found := _on_disk((base / path).resolve()))
        ):
            return found
    if (
        path.is_absolute()
        or _is_there(path)  # a file that is no part
        or text.startswith((".", "~"))
        or path.suffix == ".gguf"
        or not _HUB_ID.fullmatch(text)
    ):
        raise CheckpointError(
            f"there is no folder '{text}'; give a folder in the model hub's format, a .gguf file, a"
            f" CTranslate2 folder of Whisper, a hub id, or one of: {', '.join((*BUILT_IN, *KNOWN))}"
        )
    if offline():  # the hub's own library knows only its own variable
        go_offline()
    return Resolved(text, revision, is_local=False, known_as=text)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (
        OSError,
        ValueError,
    ):  # a name that no system could hold, or a folder that is closed to the user
        return False


def _on_disk(path: Path) -> Resolved | None:
    if layout := convertible(path):
        return Resolved(str(converted(path, layout)), None, is_local=True, known_as=str(path))
    return Resolved(str(path), None, is_local=True, known_as=str(path)) if path.is_dir() else None


@contextmanager
def loading(what: str, resolved: Resolved) -> Iterator[None]:
    """Turns whatever transformers raises while it loads into a `CheckpointError` that says what was
    being loaded.

    Its progress bars and its reports of unused weights (heads that we leave out on purpose) are
    kept off the screen.
    """
    try:
        with quiet_transformers():
            yield
    except UserError:
        raise
    except ImportError as error:
        raise CheckpointError(
            f"cannot load the {what} '{resolved.name}': {first_line(error)}; install what it names"
        ) from error
    except Exception as error:  # a damaged file fails in as many ways as there are readers
        if reason := no_room(error):
            advice = (
                f"the disk takes no more ({reason}): make room, or let HF_HOME name a folder where"
                " there is some"
            )
        elif resolved.is_local:
            advice = "check that the folder is whole and in the model hub's format, or get it anew"
        elif offline():
            advice = (
                "it is no local folder, and the model hub is out of bounds (--offline,"
                " SPEECHVERSE_OFFLINE or HF_HUB_OFFLINE): check the name, or fetch it once with the"
                " network"
            )
        else:
            advice = (
                "it is no local folder, so it was looked for on the model hub: check the name and"
                " the connection"
            )
        raise CheckpointError(
            f"cannot load the {what} '{resolved.name}': {first_line(error)}; {advice}"
        ) from error


def local_folder(resolved: Resolved) -> Path:
    """The folder that holds the files: the folder itself, or the hub's snapshot, fetched where it
    is not here yet.
    """
    if resolved.is_local:
        return Path(resolved.name)
    from huggingface_hub import snapshot_download

    with loading("model", resolved):
        for patterns in (_HUB_FILES, ["pytorch_model*.bin"]):
            folder = Path(
                snapshot_download(
                    resolved.name, revision=resolved.revision, allow_patterns=patterns
                )
            )
            if any(folder.glob("*.safetensors")):
                break
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The weight files that transformers would load from a hub-format folder, safetensors before
    anything else.

    Raises:
        CheckpointError: If there are none, or not all.
    """
    for name in ("model.safetensors", "adapter.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [folder / name]
        if (index := folder / f"{name}.index.json").is_file():
            with _reading(index):
                shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
                files = [folder / shard for shard in sorted(set(shards))]
            for file in files:
                with _reading(file):
                    file.stat()
            return files
    raise CheckpointError(
        f"'{folder}' holds no weights (model.safetensors); give a folder in the model hub's format"
    )


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        CheckpointError: If it cannot be read, such as a file that was cut short.
    """
    from safetensors.torch import load_file

    with _reading(file):
        return load_file(file)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise CheckpointError(
            f"'{file}' cannot be read ({first_line(error)}); fetch or save the checkpoint anew"
        ) from error


def folder_fingerprint(folder: str | Path) -> str:
    """What a hub-format folder holds, as one SHA-256: configuration, preprocessing and weights,
    whatever its name.

    A folder that was converted from another format, and not altered since, is known by the file it
    was made from: the same on every machine, whatever wrote the bytes.

    Raises:
        CheckpointError: If the folder holds no `config.json` or no weights, or broken ones.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"'{folder}' holds no config.json; give a folder in the model hub's format"
        )
    if by_source := source_fingerprint(folder):
        return by_source
    settings = (folder / "config.json", folder / "preprocessor_config.json")
    return fingerprint(
        *(f"{file.name}\n{_canonical(file)}\n" for file in settings if file.is_file()),
        *(f"{file.name}\n{file_hash(file)}\n" for file in weight_files(folder)),
    )


def _canonical(file: Path) -> str:
    with _reading(file):
        content = json.loads(file.read_text(encoding="utf-8"))
        lasting = {key: value for key, value in content.items() if key not in VOLATILE_KEYS}
    return json.dumps(lasting, sort_keys=True)
