"""Files are whole or absent, whoever else writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechverse.answers_file import AnswersFile
from speechverse.errors import CacheError, UserError
from speechverse.files import (
    append_log,
    atomic_folder,
    atomic_write,
    folder_lock,
    json_line,
    make_folder,
    make_place,
    read_log,
    recover,
    write_text,
)


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    with atomic_write(file) as one, atomic_write(file) as other:
        one.write_text("one, longer")
        other.write_text("other")
    assert file.read_text() == "one, longer"  # the last to end
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link_and_leads_to_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real.txt").read_text() == "new"


def test_a_device_and_a_pipe_are_no_files_to_write() -> None:
    with pytest.raises(UserError, match="a device or a pipe"):
        make_place(Path("/dev/null"))


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("a book")
    (tmp_path / "link.txt").symlink_to("book.txt")
    for output in ("book.txt", "link.txt"):
        with pytest.raises(UserError, match="is what is read here"):
            make_place(tmp_path / output, tmp_path / "none", tmp_path / "book.txt")
    make_place(tmp_path / "other.txt", tmp_path / "book.txt")


@pytest.mark.parametrize("place", ["/proc/nothing", "/proc/self/file"])
def test_a_place_that_takes_no_file_is_told_before_the_work(place: str) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc")
    with pytest.raises(UserError, match="cannot be made|nothing can be written"):
        make_place(Path(place))
    with pytest.raises(UserError, match="cannot be made|nothing can be written"):
        make_folder(Path(place).parent)


def test_who_may_read_a_file_is_not_changed_by_writing_it_anew(tmp_path: Path) -> None:
    file = tmp_path / "answers.txt"
    file.write_text("before")
    file.chmod(0o600)
    write_text(file, "after")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("after", 0o600)


def test_a_link_to_a_folder_stays_one_and_leads_to_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "link").symlink_to("big")
    with atomic_folder(tmp_path / "link") as scratch:
        (scratch / "model.txt").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "big" / "model.txt").read_text() == "new"


def test_a_disk_that_knows_no_permissions_is_written_to(tmp_path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no modes here")

    write_text(tmp_path / "answers.txt", "before")
    monkeypatch.setattr("os.chmod", refuse)
    write_text(tmp_path / "answers.txt", "after")
    assert (tmp_path / "answers.txt").read_text() == "after"


def test_a_linked_folder_whose_replacing_was_killed_is_mended(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk/model")
    (tmp_path / "disk" / ".model.old").mkdir()  # killed between the two renames
    (tmp_path / "disk" / ".model.old" / "weights").write_text("whole")
    recover(tmp_path / "link")
    assert (tmp_path / "link" / "weights").read_text() == "whole"


def test_who_asks_for_a_lock_is_told_in_errors_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="cannot be made|is a file"):
        with folder_lock(tmp_path / "file" / "cache", error=CacheError):
            pass


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text("before")
    with pytest.raises(RuntimeError), atomic_write(file) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert file.read_text() == "before" and list(tmp_path.iterdir()) == [file]


def test_a_written_file_may_be_read_by_whom_the_system_lets(tmp_path: Path) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.touch()
    with atomic_write(written) as aside:
        aside.touch()
    assert written.stat().st_mode == plain.stat().st_mode


def test_a_clip_is_the_same_one_wherever_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "one" / "answers.jsonl"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    with AnswersFile.opened(place, {}, ()) as file:
        file.add([{"clip": "calls/a.wav"}, {"clip": "../two/b.wav"}, {"clip": "/c.wav"}])
    written = [json.loads(line)["clip"] for line in place.read_text().splitlines()]
    assert written == ["calls/a.wav", str(tmp_path / "two" / "b.wav"), "/c.wav"]
    monkeypatch.chdir(tmp_path / "two")
    with AnswersFile.opened(place, {}, ()) as file:
        held = [file.holds(Path(clip)) for clip in ("../one/calls/a.wav", "b.wav", "/c.wav")]
        assert held == [True] * 3 and not file.holds(Path("calls/a.wav"))


@pytest.mark.parametrize(
    ("text", "encoding", "line"),
    [
        ("“né”", "utf-8", '"“né”"'),
        ("“né”", "latin-1", r'"\u201cn\u00e9\u201d"'),
        ("\udce9", "utf-8", r'"\udce9"'),
    ],
)
def test_a_line_of_json_is_one_in_any_encoding(text: str, encoding: str, line: str) -> None:
    assert json_line(text, encoding) == line


def test_a_log_goes_on_behind_the_half_line_of_a_killed_run(tmp_path: Path) -> None:
    log = tmp_path / "new" / "log.jsonl"
    assert read_log(log) == []
    append_log(log, [{"text": "one\u2028line"}, {"text": "“né”"}])
    log.write_bytes(log.read_bytes()[:-6])  # in the midst of a letter
    append_log(log, [{"text": "three"}])
    append_log(log, [])
    assert read_log(log) == [{"text": "one\u2028line"}, {"text": "three"}]
    assert log.read_bytes().count(b"\n") == 3
