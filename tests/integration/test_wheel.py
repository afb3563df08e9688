"""What a person gets who installs the package: its wheel, built and looked into, not installed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("small",)
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with ZipFile(next(folder.glob("*.whl"))) as opened:
        yield opened


def metadata(wheel: ZipFile, name: str) -> str:
    return wheel.read(
        next(entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}"))
    ).decode()


def files_below(folder: Path, suffixes_left_out: tuple[str, ...] = ()) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and "__pycache__" not in file.parts
        and file.suffix not in suffixes_left_out
    }


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_the_shipped_models_is_in_it_with_its_card_and_licence(
    wheel: ZipFile, part: str
) -> None:
    inside = f"speechverse/assets/{part}/"
    names = {name.removeprefix(inside) for name in wheel.namelist() if name.startswith(inside)}
    assert {"README.md", "config.json"} <= names
    assert any(name.endswith(".safetensors") for name in names)
    card = wheel.read(f"{inside}README.md").decode()
    assert re.search(r"\A---\n(.*\n)*?license: \S+\n(.*\n)*?---\n", card), (
        "the card does not name its licence"
    )


def test_it_is_small_enough_to_be_installed_in_passing(wheel: ZipFile) -> None:
    sizes = {entry.filename: entry.file_size / MEGABYTE for entry in wheel.infolist()}
    assert {name: size for name, size in sizes.items() if size > 16} == {}
    assert sum(size for name, size in sizes.items() if name.endswith(".safetensors")) <= 16


def test_everything_the_package_reads_is_in_it(wheel: ZipFile) -> None:
    wanted = files_below(ROOT / "src", (".pyc",))
    wanted |= {
        f"speechverse/recipes/{name}": content
        for name, content in files_below(ROOT / "recipes").items()
    }
    assert {name for name in wanted if name not in wheel.namelist()} == set()
    assert {name for name, content in wanted.items() if wheel.read(name) != content} == set()


def test_its_own_licence_is_in_it(wheel: ZipFile) -> None:
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert Parser().parsestr(metadata(wheel, "METADATA"))["License-Expression"] == "Apache-2.0"


def test_answering_needs_nothing_that_trains_or_makes_speech(wheel: ZipFile) -> None:
    wanted = Parser().parsestr(metadata(wheel, "METADATA")).get_all("Requires-Dist") or []
    base = {re.split(r"[^\w-]", line)[0].lower() for line in wanted if "extra ==" not in line}
    assert {"torch", "transformers", "peft"} <= base
    assert base.isdisjoint(
        {"scikit-learn", "lhotse", "espeakng-loader", "matplotlib", "sacrebleu", "jiwer"}
    )
