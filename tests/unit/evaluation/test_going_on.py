"""An evaluation that is stopped, however it is stopped, and goes on; tasks that cannot be measured
beside others.
"""

from __future__ import annotations

import html
import json
import multiprocessing
import os
import resource
import signal
import time
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from speechverse.data import Corpus, FeatureCache, render_for_evaluation
from speechverse.decoding import DecodingOptions
from speechverse.errors import CorpusError, DiskFullError
from speechverse.evaluation import (
    EvaluationSettings,
    evaluate,
    load_answers,
    load_results,
    not_measured_table,
    write_report,
)
from speechverse.evaluation import journal as journals
from speechverse.evaluation.cascades import Cascade, SpeechVerseSystem
from speechverse.evaluation.journal import JOURNAL, AnswerKeys, Journal
from speechverse.registry import SYSTEMS
from speechverse.types import AudioRef, Origin, Utterance
from watching import Watched

SETTINGS = EvaluationSettings(
    tasks=("asr", "er"),
    systems=("speechverse", "cascade", "majority"),
    num_resamples=50,
    decoding=DecodingOptions(max_new_tokens=8),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of all examples that the model or a cascade was asked, two at a time."""
    asked: list[str] = []
    monkeypatch.setattr(journals, "_AT_ONCE_ON_CPU", 2)
    for kind in (SpeechVerseSystem, Cascade):

        def answer(self: Any, examples: Any, progress: Any = None, made: Any = kind.answer) -> Any:
            asked.extend(f"{self.name}: {example.id}" for example in examples)
            return made(self, examples, progress)

        monkeypatch.setattr(kind, "answer", answer)
    return asked


def stop_at(monkeypatch: pytest.MonkeyPatch, task: str, error: BaseException) -> None:
    """Raises when a cascade is asked of a task."""
    made = Cascade.answer

    def answer(self: Any, examples: Any, progress: Any = None) -> Any:
        if examples[0].task == task:
            raise error
        return made(self, examples, progress)

    monkeypatch.setattr(Cascade, "answer", answer)


def plain(folder: Path) -> dict[str, Any]:
    """Results without what differs between any two runs."""
    results = load_results(folder)
    return {"scores": results.scores, "tasks": results.tasks, "answers": load_answers(folder)}


def test_a_stopped_evaluation_goes_on_and_gives_what_one_never_stopped_gives(
    loaded, corpus, tmp_path, asked, monkeypatch
):
    evaluate(*loaded, corpus, SETTINGS, output=tmp_path / "whole")
    in_all = Counter(asked)
    asked.clear()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "er", KeyboardInterrupt())
        evaluate(*loaded, corpus, SETTINGS, output=tmp_path / "stopped")
    assert (tmp_path / "stopped" / JOURNAL).exists() and not (
        tmp_path / "stopped" / "results.json"
    ).exists()
    before = Counter(asked)
    asked.clear()
    results = evaluate(*loaded, corpus, SETTINGS, output=tmp_path / "stopped")
    assert plain(tmp_path / "stopped") == plain(tmp_path / "whole")
    assert before + Counter(asked) == in_all and asked
    assert "12 answers of a run that did not end are used" in results.notes
    assert not (tmp_path / "stopped" / JOURNAL).exists()


def test_answers_survive_a_fault_in_the_page_and_only_the_page_is_made_again(
    checkpoint, corpus, tmp_path, asked, monkeypatch, capsys
):
    from speechverse.cli.evaluate import run
    from speechverse.evaluation.report import page

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(page, "results_view", lambda *_: 1 / 0)
        run(str(checkpoint), corpus, SETTINGS, tmp_path, "cpu", quiet=True)
    assert "answers made so far are kept" in capsys.readouterr().err
    asked.clear()
    run(str(checkpoint), corpus, SETTINGS, tmp_path, "cpu", quiet=True)
    assert not asked and (tmp_path / "report.html").exists() and not (tmp_path / JOURNAL).exists()


def test_answers_survive_a_full_disk_while_results_are_written(
    loaded, corpus, tmp_path, asked, monkeypatch
):
    from speechverse.evaluation import results

    def full(path: Path, text: str) -> None:
        raise DiskFullError(path, "No space left on device")

    with (
        monkeypatch.context() as patch,
        pytest.raises(DiskFullError, match="give the same command again"),
    ):
        patch.setattr(results, "write_text", full)
        evaluate(*loaded, corpus, SETTINGS, output=tmp_path)
    asked.clear()
    evaluate(*loaded, corpus, SETTINGS, output=tmp_path)
    assert not asked and load_results(tmp_path).scores


def test_a_disk_that_fills_while_answers_come_keeps_those_that_were_whole(
    checkpoint, corpus, tmp_path, asked, capsys
):
    from speechverse.cli.evaluate import run

    before, limit = resource.getrlimit(resource.RLIMIT_FSIZE), 700
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(DiskFullError, match="give the same command again"):
            run(str(checkpoint), corpus, SETTINGS, tmp_path, "cpu", quiet=True, cache="none")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = capsys.readouterr().err
    in_all, kept = len(asked), int(told.split(" answers made so far are kept")[0].split()[-1])
    assert 0 < kept < in_all
    asked.clear()
    run(str(checkpoint), corpus, SETTINGS, tmp_path, "cpu", quiet=True, cache="none")
    assert load_results(tmp_path).scores and any(
        " answers of a run that did not end" in n for n in load_results(tmp_path).notes
    )


def test_half_a_line_of_a_killed_run_is_no_answer(loaded, corpus, tmp_path, asked, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "er", KeyboardInterrupt())
        evaluate(*loaded, corpus, SETTINGS, output=tmp_path)
    kept = (tmp_path / JOURNAL).read_text()
    (tmp_path / JOURNAL).write_text(kept[:-30])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "er", KeyboardInterrupt())
        asked.clear()
        evaluate(*loaded, corpus, SETTINGS, output=tmp_path)
    assert len(asked) == 1
    asked.clear()
    evaluate(*loaded, corpus, SETTINGS, output=tmp_path)
    assert all("/er" in name for name in asked) and len(asked) == 4


@pytest.mark.parametrize("change", ["model", "decoding", "wording", "clip", "language"])
def test_an_answer_made_otherwise_is_never_taken_for_one_of_this_run(
    loaded, corpus, tmp_path, asked, monkeypatch, change
):
    model = {"fingerprint": "one"}
    settings = replace(SETTINGS, tasks=("asr", "er"), systems=("speechverse", "cascade"))
    clips = [
        replace(clip, audio=AudioRef(_copy(clip.audio.path, tmp_path)))
        for clip in corpus.utterances("test")
    ]
    mine = Corpus("mine", corpus.labels, _sources={"test": clips})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "er", KeyboardInterrupt())
        evaluate(*loaded, mine, settings, output=tmp_path / "out", about_model=model)
    if change == "model":
        model = {"fingerprint": "two"}
    elif change == "decoding":
        settings = replace(settings, decoding=DecodingOptions(max_new_tokens=7))
    elif change == "wording":
        settings = replace(settings, wording="held_out")
    elif change == "language":  # which a recogniser is told
        mine = Corpus(
            "mine", corpus.labels, _sources={"test": [replace(clips[0], language="de"), *clips[1:]]}
        )
    else:
        os.utime(clips[0].audio.path, ns=(1, 1))
    asked.clear()
    results = evaluate(*loaded, mine, settings, output=tmp_path / "out", about_model=model)
    again = [name for name in asked if name.startswith("speechverse") and "/asr" in name]
    assert len(again) == (1 if change in ("clip", "language") else 4)
    assert any(
        "were made otherwise (model, clips, instructions or decoding) and are not" in n
        for n in results.notes
    )


def _copy(path: Path, folder: Path) -> Path:
    (folder / path.name).write_bytes(path.read_bytes())
    return folder / path.name


def test_answers_of_a_users_own_system_are_made_again_when_its_file_has_changed(
    loaded, corpus, tmp_path
):
    file = tmp_path / "mine.py"
    code = """from speechverse.types import Answer

class Mine:
    name, title, hears = "mine-{0}", "mine", False
    def __init__(self, parts): pass
    def missing(self, examples): return None
    def answer(self, examples, progress=None): return [Answer("{1}") for _ in examples]
"""
    keys = AnswerKeys("")
    [example] = render_for_evaluation(corpus, "test", "er", limit=1)

    def key(says: str) -> str:
        file.write_text(code.format(tmp_path.name, says))
        return keys(SYSTEMS[f"{file}:Mine"](None), example)

    assert key("yes") == key("yes") != key("other")


def test_what_is_answered_is_not_heard_again(loaded, corpus, tmp_path, asked, monkeypatch):
    model, processor = loaded
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "er", KeyboardInterrupt())
        evaluate(model, processor, corpus, SETTINGS, output=tmp_path, features=tmp_path / "one")
    settings = replace(SETTINGS, tasks=("asr",), systems=("speechverse",))
    results = evaluate(
        model, processor, corpus, settings, output=tmp_path, features=tmp_path / "two"
    )
    assert results.hearing_seconds is None and not (tmp_path / "two").exists()
    assert results.tasks[0].num_examples == 4


def test_what_a_control_answered_is_told_as_used_and_not_heard_again(
    loaded, corpus, tmp_path, monkeypatch
):
    settings = replace(SETTINGS, systems=("speechverse", "other-clip", "oracle"))
    heard: list[str] = []
    build = FeatureCache.build.__func__

    def noted(kind: Any, encoder: Any, clips: Any, *args: Any, **how: Any) -> Any:
        heard.extend(clip.id for clip in clips)
        return build(kind, encoder, clips, *args, **how)

    monkeypatch.setattr(FeatureCache, "build", classmethod(noted))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "er", KeyboardInterrupt())
        evaluate(*loaded, corpus, settings, output=tmp_path / "out", features=tmp_path / "one")
    kept = len(Journal(tmp_path / "out" / JOURNAL).kept)
    assert heard and kept == 20
    heard.clear()
    again = evaluate(*loaded, corpus, settings, output=tmp_path / "out", features=tmp_path / "two")
    assert not heard and "20 answers of a run that did not end are used" in again.notes


def test_a_specialist_that_was_fitted_is_not_fitted_again_unless_to_other_clips(
    loaded, corpus, tmp_path, monkeypatch
):
    settings = replace(SETTINGS, tasks=("er", "asr"), systems=("specialist", "oracle"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "asr", KeyboardInterrupt())
        evaluate(*loaded, corpus, settings, output=tmp_path / "out")
    kept = (tmp_path / "out" / JOURNAL).read_bytes()
    monkeypatch.setattr("speechverse.evaluation.without_words.fit_specialist", None)
    evaluate(*loaded, corpus, settings, output=tmp_path / "out")
    assert load_results(tmp_path / "out").score("er", "specialist") is not None
    (tmp_path / "out" / JOURNAL).write_bytes(kept)
    clips = corpus.utterances("train")[1:]
    fewer = corpus.trained_on(Corpus("fewer", corpus.labels, _sources={"train": clips}))
    with pytest.raises(TypeError):  # it would be fitted
        evaluate(*loaded, fewer, settings, output=tmp_path / "out")


def _evaluate_until_killed(checkpoint: Path, corpus: Corpus, folder: Path) -> None:
    from speechverse.cli.evaluate import run

    made, answered = SpeechVerseSystem.answer, []

    def answer(self: Any, examples: Any, progress: Any = None) -> Any:
        if answered:
            os.kill(os.getpid(), signal.SIGKILL)
        answered.append(1)
        return made(self, examples, progress)

    SpeechVerseSystem.answer = answer  # type: ignore[method-assign]
    journals._AT_ONCE_ON_CPU = 2
    run(str(checkpoint), corpus, SETTINGS, folder, "cpu", quiet=True)


def test_a_run_killed_outright_goes_on_from_its_answers(checkpoint, corpus, tmp_path, capsys):
    """In a process of its own, which is killed where no handler runs."""
    from speechverse.cli.evaluate import run

    child = multiprocessing.get_context("fork").Process(
        target=_evaluate_until_killed, args=(checkpoint, corpus, tmp_path)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert (tmp_path / JOURNAL).stat().st_size and not (tmp_path / "results.json").exists()
    run(str(checkpoint), corpus, SETTINGS, tmp_path, "cpu")
    assert "going on: 2 answers" in capsys.readouterr().err and not (tmp_path / JOURNAL).exists()
    assert [report.num_examples for report in load_results(tmp_path).tasks] == [4, 4]


def test_clips_of_every_kind_of_fault_are_counted_by_reason_and_written(loaded, corpus, tmp_path):
    import numpy as np

    from speechverse.audio import Waveform, save

    clips = corpus.utterances("test")[:4]
    many = [replace(clip, id=f"{clip.id}-{copy}") for clip in clips for copy in range(6)]
    short = save(tmp_path / "short.wav", Waveform(np.full(20, 0.1, np.float32)))
    long = Utterance("long", AudioRef(clips[0].audio.path), 50.0, "too long")
    odd = Utterance("short", AudioRef(short), 20 / 16_000, "too short")
    for features in (None, tmp_path / "features"):
        mixed = Corpus("mixed", {}, _sources={"test": [*many, long, odd]})
        settings = replace(SETTINGS, tasks=("asr",), systems=("speechverse", "oracle"))
        evaluate(*loaded, mixed, settings, output=tmp_path / "out", features=features)
        (report,) = load_results(tmp_path / "out").tasks
        assert report.skipped == {"longer than 4 s": 1, "too short for the encoder": 1}
        assert load_results(tmp_path / "out").left_out[0] == "asr: 1 left out, longer than 4 s"


def test_a_clip_that_is_found_unreadable_when_the_corpus_is_read_is_counted_and_named(
    loaded, corpus, tmp_path
):
    from speechverse.cli.common import open_corpus

    clips = [clip for clip in corpus.utterances("test")[:4] for _ in range(10)]
    lines = [
        {"audio": str(clip.audio.path), "text": clip.text, "id": str(n)}
        for n, clip in enumerate(clips)
    ]
    for name in ("half", "none"):  # under 5 % of all, over 1 %
        content = clips[0].audio.path.read_bytes()[:9_000] if name == "half" else b"no sound"
        (tmp_path / f"{name}.wav").write_bytes(content)
        lines.append({"audio": f"{name}.wav", "text": "lost", "id": name})
    (tmp_path / "it.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = replace(SETTINGS, tasks=("asr",), systems=("oracle",))
    results = evaluate(*loaded, open_corpus(tmp_path / "it.jsonl", "test"), settings)
    assert results.tasks[0].num_examples == 40 and results.tasks[0].skipped == {"unreadable": 2}
    assert any(
        "split 'test': 2 of 42 clips cannot be used" in note and "'half': " in note
        for note in results.notes
    )


def test_a_transcript_kept_with_another_task_s_answer_is_no_answer_that_ended_by_itself(
    loaded, corpus, tmp_path, monkeypatch
):
    settings = replace(
        SETTINGS,
        tasks=("er", "asr"),
        systems=("cascade",),
        decoding=DecodingOptions(max_new_tokens=2),
    )
    whole = evaluate(*loaded, corpus, settings).score("asr", "cascade", "cut_rate")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, "asr", KeyboardInterrupt())
        evaluate(*loaded, corpus, settings, output=tmp_path)
    again = evaluate(*loaded, corpus, settings, output=tmp_path).score("asr", "cascade", "cut_rate")
    assert again == whole and whole.value > 0


def bare(corpus: Corpus, **labels: Any) -> Corpus:
    """The corpus' clips with their text and these labels alone, as lines of a file."""
    clips = [
        replace(clip, labels=labels, origin=Origin(Path("it.jsonl"), number))
        for number, clip in enumerate(corpus.utterances("test"), start=1)
    ]
    return Corpus("it", {}, _sources={"test": clips})


def test_each_task_that_can_is_measured_and_each_that_cannot_is_a_row_that_says_why(
    loaded, corpus, tmp_path
):
    settings = replace(SETTINGS, tasks="all", systems=("speechverse",))
    evaluate(*loaded, bare(corpus), settings, output=tmp_path)
    results = load_results(tmp_path)
    assert [report.name for report in results.tasks] == ["asr", "kws"]
    why = {left.name: left.reason for left in results.not_measured}
    assert len(why) == 9 and "it has no label 'intent'" in why["ic"]
    assert not_measured_table(results).row_count == 9
    page = write_report(tmp_path).read_text()
    assert (
        "it has no label 'intent'" in html.unescape(page) and "Intent classification (ic)" in page
    )


def test_a_task_that_was_asked_for_and_cannot_be_measured_is_a_row_too(loaded, corpus):
    results = evaluate(
        *loaded, bare(corpus), replace(SETTINGS, tasks=("asr", "ic"), systems=("speechverse",))
    )
    assert [report.name for report in results.tasks] == ["asr"]
    assert [left.name for left in results.not_measured] == ["ic"]


def test_only_if_no_task_can_be_measured_the_evaluation_is_refused_with_every_reason(
    loaded, corpus
):
    with pytest.raises(
        CorpusError, match=r"(?s)no task can be measured.*kwe: none of 5 .*ic: none of 5"
    ):
        evaluate(*loaded, bare(corpus), replace(SETTINGS, tasks=("kwe", "ic")))


def test_a_label_a_task_cannot_use_names_file_line_and_task_and_costs_that_task_that_line(
    loaded, corpus
):
    odd = bare(corpus, translations={"de": "bitte"})
    clips = odd.utterances("test")
    clips[1] = replace(clips[1], labels={"translations": {"zh": "请"}})
    results = evaluate(
        *loaded, odd, replace(SETTINGS, tasks=("asr", "st"), systems=("speechverse",))
    )
    asr, st = results.tasks
    assert (asr.num_examples, st.num_examples) == (4, 3) and st.skipped == {
        "its label cannot be used": 1
    }
    assert any(
        "it.jsonl line 2: task 'st': " in note and "unknown language 'zh'" in note
        for note in results.notes
    )


def test_an_empty_text_is_counted_and_told(loaded, corpus):
    results = evaluate(
        *loaded, bare(corpus), replace(SETTINGS, tasks=("asr",), systems=("speechverse",))
    )
    assert results.tasks[0].not_asked == {"its text is empty, so nobody speaks": 1}
    assert "asr: not asked of 1 of 5 clips: its text is empty, so nobody speaks" in results.notes


def test_progress_foretells_no_time_for_parts_that_have_not_begun(loaded, corpus):
    watched = Watched()
    evaluate(*loaded, corpus, SETTINGS, watch=watched)
    firsts = {what: (done, total) for done, total, what in reversed(watched)}
    assert len(firsts) == 5 and all(done == 0 for done, _ in firsts.values())
    assert {total for _, total in firsts.values()} == {4}
    assert [what.split("(")[1] for what in reversed(firsts)] == [
        f"part {n} of 5)" for n in range(1, 6)
    ]


def test_a_bar_s_pace_begins_anew_with_each_part(monkeypatch):
    from speechverse import terminal

    monkeypatch.setattr(
        terminal, "Console", lambda **how: Console(force_terminal=True, file=StringIO())
    )
    with terminal.Progress("loading", 1) as shown:
        (bar,) = shown._bars.tasks
        advance = shown.begin("asr · speechverse (part 1 of 2)", 10)
        for _ in range(5):
            advance(1)
            time.sleep(0.002)
        assert bar.time_remaining is not None
        shown.begin("er · speechverse (part 2 of 2)", 10)
        assert bar.time_remaining is None and bar.completed == 0
