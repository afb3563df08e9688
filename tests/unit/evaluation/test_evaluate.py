"""An evaluation from end to end on random parts: what is measured, counted, written and refused."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from speechverse.audio import load
from speechverse.data import Corpus
from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import load_ctc
from speechverse.errors import CacheError, CheckpointError, CorpusError, UserError
from speechverse.evaluation import (
    EvaluationSettings,
    cost_table,
    evaluate,
    load_answers,
    load_results,
    provenance,
    results_table,
    write_report,
)
from speechverse.evaluation.into_folder import what_differs
from speechverse.evaluation.provenance import describe, find_recogniser, training_log
from speechverse.evaluation.report.render import playable
from speechverse.evaluation.results import slices, slices_of
from speechverse.metrics import METRICS
from speechverse.types import Answer, AudioRef, Example, Utterance
from watching import Watched

SETTINGS = EvaluationSettings(num_resamples=50, decoding=DecodingOptions(max_new_tokens=8))
SYSTEMS = ("speechverse", "cascade-ctc", "cascade", "oracle", "log-mel", "majority")


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory, loaded, corpus, checkpoint):
    folder, watched = tmp_path_factory.mktemp("evaluated"), Watched()
    recogniser, _ = find_recogniser(loaded[0])
    results = evaluate(
        *loaded,
        corpus,
        SETTINGS,
        output=folder,
        recogniser=recogniser,
        about_model=describe(loaded[0], checkpoint),
        watch=watched,
    )
    return results, folder, watched


def test_every_task_is_measured_by_every_system_that_can(evaluated):
    results, _, _ = evaluated
    assert [report.name for report in results.tasks] == [
        "asr",
        "st",
        "ic",
        "sf",
        "kwe",
        "kws",
        "er",
        "asc",
        "ac",
        "sc",
        "sns",
    ]
    assert tuple(results.systems) == SYSTEMS
    for report in results.tasks:
        for system in SYSTEMS[:4]:
            score = results.score(report.name, system)
            assert score is not None
            assert score.low <= score.value <= score.high
            assert results.score(report.name, system, "unparsed_rate") is not None
        open_set = report.name in ("asr", "st", "sf", "kwe")
        for without_words in ("log-mel", "majority"):
            assert (results.score(report.name, without_words) is None) == open_set


def test_constrained_answers_are_always_labels(evaluated):
    results, folder, _ = evaluated
    for record in load_answers(folder):
        if record.task in ("ic", "er", "ac", "sns"):
            assert not record.unparsed
    assert results.score("er", "speechverse", "unparsed_rate").value == 0


def test_parts_of_a_task_are_scored_apart(evaluated):
    results, _, _ = evaluated
    slices = {score.slice for score in results.scores if score.task == "st"}
    parts = {"group: de", "group: fr", "stratum: grammar", "stratum: names"}
    assert slices == {"all", *parts, "accent: american", "accent: british"}
    assert results.score("st", "oracle", slice="group: de").num_examples == 4


def test_clips_are_told_apart_by_length_noise_accent_and_speakers_of_many_clips():
    def example(number, **labels):
        clip = Utterance(
            *(f"u{number}", AudioRef(Path("a.wav")), (1.0, 7.0)[number % 2]),
            speaker="ann" if number < 12 else f"s{number}",
            labels=labels,
        )
        return Example(clip.id, clip, "asr", "write", "a", "a")

    examples = [example(n, noise=n < 5, accent=("scottish", "irish")[n > 2]) for n in range(15)]
    assert {part: len(rows) for part, rows in slices(examples).items()} == {
        "all": 15,
        "accent: scottish": 3,
        "accent: irish": 12,
        "length: under 2 s": 8,
        "length: 5 to 10 s": 7,
        "noise: added": 5,
        "noise: none": 10,
        "speaker: ann": 12,
    }


def test_a_speaker_of_ten_clips_has_a_score_and_one_of_nine_none():
    clips = [
        Utterance(f"u{number}", AudioRef(Path("a.wav")), 1.0, speaker="ab"[number >= 10])
        for number in range(19)
    ]
    parts = slices([Example(clip.id, clip, "asr", "write", "a", "a") for clip in clips])
    assert [part for part in parts if part.startswith("speaker")] == ["speaker: a"]


@pytest.mark.parametrize(
    ("label", "part"),
    [("clean", "none"), ("None", "none"), (0, "none"), ({"snr": 5}, "added"), (None, None)],
)
def test_noise_may_be_told_in_any_way(label, part):
    clip = Utterance("u", AudioRef(Path("a.wav")), 1.0, labels={"noise": label})
    parts = [one for one in slices_of(Example("u", clip, "asr", "", "", "")) if "noise" in one]
    assert parts == ([f"noise: {part}"] if part else [])


def test_a_table_shows_what_nobody_answered_and_any_name(evaluated):
    results, _, _ = evaluated
    [report] = [one for one in results.tasks if one.name == "asr"]
    odd = replace(results.scores[0], task="asr", slice="group: [/b]")
    table = results_table(replace(results, tasks=[report], scores=[odd]))
    text = io.StringIO()
    Console(file=text, width=80).print(table)
    assert "[/b]" in text.getvalue()


def test_what_an_answer_costs_stands_beside_its_score(evaluated):
    results, _, _ = evaluated
    assert all(timing.num_tokens >= timing.num_answers for timing in results.timings)
    assert [row for row in cost_table(results).columns[0].cells] == list(results.systems)


def test_cascades_answer_the_asr_task_with_their_transcript_and_share_it(evaluated, corpus):
    _, folder, _ = evaluated
    by_system = {}
    for record in load_answers(folder):
        by_system.setdefault((record.system, record.task), {})[record.example.split("/")[0]] = (
            record
        )
    for system in ("cascade", "cascade-ctc"):
        heard = {name: record.transcript for name, record in by_system[system, "asr"].items()}
        assert all(
            record.answer == record.transcript for record in by_system[system, "asr"].values()
        )
        assert all(by_system[system, "er"][name].transcript == text for name, text in heard.items())
    said = {utterance.id: utterance.text for utterance in corpus.utterances("test")}
    assert all(
        record.transcript == said[name] for name, record in by_system["oracle", "sns"].items()
    )


def test_a_limit_on_answers_is_none_on_the_transcripts_they_stand_on(loaded, corpus, monkeypatch):
    from speechverse.evaluation import cascades

    options = dict[str, DecodingOptions]()

    def record(model, processor, examples, asked, **how):
        options[examples[0].task] = asked
        return [Answer("happy")] * len(examples)

    monkeypatch.setattr(cascades, "answer", record)
    short = DecodingOptions(max_new_tokens=2, stop=(".",), num_beams=3, max_batch=4)
    evaluate(
        *loaded, corpus, replace(SETTINGS, systems=("cascade",), tasks=("er",), decoding=short)
    )
    assert options == {"er": short, "asr": DecodingOptions(num_beams=3, max_batch=4)}


def test_who_comes_first_does_not_pay_alone_for_a_transcript_that_others_stand_on_too(
    loaded, corpus, monkeypatch
):
    from speechverse.evaluation import Parts

    now = [0.0]
    monkeypatch.setattr("speechverse.evaluation.parts.time.perf_counter", lambda: now[0])
    parts, clips = Parts(*loaded, DecodingOptions()), corpus.utterances("test")

    def write(some):
        now[0] += 10.0 * len(some)
        return ["said"] * len(some)

    took = []
    for _ in range(2):
        began = parts.clock()
        parts.transcribe("kind", clips, write)
        now[0] += 3.0
        took.append(parts.clock() - began)
    assert took == [10.0 * len(clips) + 3.0] * 2


def test_the_ctc_transcript_is_the_recognisers(evaluated, corpus, loaded):
    _, folder, _ = evaluated
    utterance = corpus.utterances("test")[0]
    made = [r for r in load_answers(folder) if (r.system, r.task) == ("cascade-ctc", "asr")]
    expected = load_ctc(loaded[0].config.encoder).transcribe([load(utterance.audio).samples])[0]
    assert (
        next(record.answer for record in made if record.example.startswith(utterance.id))
        == expected
    )


def test_the_majority_comes_from_the_training_split(evaluated):
    _, folder, _ = evaluated
    answers = {
        record.answer
        for record in load_answers(folder)
        if (record.task, record.system) == ("sns", "majority")
    }
    assert answers == {"speech"}


def test_results_say_what_they_were_made_with(evaluated, checkpoint):
    results, folder, watched = evaluated
    assert load_results(folder).scores == list(results.scores)
    raw = json.loads((folder / "results.json").read_text())
    assert raw["schema"] == 2
    assert raw["normalizer"]
    assert {"wer", "bleu"} <= set(raw["signatures"])
    assert len(raw["corpus"]["manifest_sha256"]) == 64
    assert len(raw["model"]["fingerprint"]) == 64
    assert raw["model"]["recipe_sha256"] and raw["model"]["precision"] == "float32"
    assert raw["settings"]["decoding"]["choice_mode"] == "constrain"
    ends = {what: (done, total) for done, total, what in watched}
    assert [done for done, _ in ends.values()] == [timing.num_answers for timing in results.timings]
    assert all(done == total for done, total in ends.values())


def test_the_same_evaluation_gives_the_same_numbers(evaluated, loaded, corpus):
    results, _, _ = evaluated
    again = evaluate(
        *loaded, corpus, replace(SETTINGS, tasks=("er", "asr"), systems=("speechverse",))
    )
    for score in again.scores:
        assert score in results.scores


def test_scores_of_choices_are_kept(loaded, corpus, tmp_path):
    decoding = DecodingOptions(choice_mode="score", choice_scoring="prior")
    settings = replace(SETTINGS, tasks=("er",), systems=("speechverse",), decoding=decoding)
    evaluate(*loaded, corpus, settings, output=tmp_path)
    for record in load_answers(tmp_path):
        assert record.answer == max(record.choice_scores, key=record.choice_scores.get)


def test_held_out_instructions_are_asked(loaded, corpus, tmp_path):
    from speechverse.tasks import get_task

    settings = replace(
        SETTINGS, tasks=("asr",), systems=("majority", "speechverse"), wording="held_out"
    )
    evaluate(*loaded, corpus, settings, output=tmp_path)
    assert {record.instruction for record in load_answers(tmp_path)} <= set(
        get_task("asr").prompts.held_out
    )


def test_the_page_holds_everything_and_loads_nothing(evaluated, tmp_path):
    results, folder, _ = evaluated
    log = tmp_path / "metrics.jsonl"
    lines = [
        {"step": s, "stage": "align" if s < 5 else "instruct", "loss": 5 / s, "lr": 0.1}
        for s in range(1, 9)
    ]
    lines.append(
        {"step": 8, "stage": "instruct", "validation/loss": 2.0, "validation/wer/asr": 0.5}
    )
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 9, "lo')
    page = write_report(folder, log).read_text()
    assert page.count("<svg") >= 11 + 1 + 2
    for wanted in (
        "prefers-color-scheme: dark",
        "width=device-width",
        "majority",
        "n = 4",
        "Worst answers",
        "instruct",
    ):
        assert wanted in page
    for foreign in ("http://", "https://", "<script", "<link", "url(h", "#010101", "DejaVu"):
        assert foreign not in page.replace("http://www.w3.org/", "")
    for score in results.scores:
        assert f"{METRICS[score.metric].shown(score.value):.1f}" in page


def test_it_is_said_which_scores_are_guesses(evaluated, loaded, corpus):
    results, folder, _ = evaluated
    said = (
        "Emotion recognition, sentiment classification, accent classification and speaker counting"
        " ask about the voice: where the words do not tell, cascade-ctc, cascade and oracle can"
        " only guess."
    )
    assert said == results.guessing
    assert said in write_report(folder).read_text()
    assert results.guessing in results_table(results).caption
    own = evaluate(*loaded, corpus, replace(SETTINGS, systems=("speechverse", "majority")))
    read = evaluate(*loaded, corpus, replace(SETTINGS, tasks=("asr", "sns"), systems=("oracle",)))
    assert own.guessing == read.guessing == "" and results_table(own).caption is None


def test_the_table_has_a_row_for_every_task_and_group(evaluated):
    table = results_table(evaluated[0])
    assert [str(column.header) for column in table.columns][3:] == [
        "speechverse",
        "95 %",
        "cascade",
        "oracle",
    ]
    assert table.row_count == 11 + 2


def test_a_star_marks_what_differs_clearly_from_the_first_and_nothing_else(evaluated):
    results = evaluated[0]
    unclear = [replace(pair, low=-1.0, high=1.0, p_value=0.5) for pair in results.paired]
    narrow = [replace(pair, low=0.1, high=0.2, p_value=0.5) for pair in unclear]
    clear = [
        replace(pair, low=0.1, high=0.2, p_value=0.01)
        if (pair.task, pair.other) == ("asr", "oracle")
        else pair
        for pair in unclear
    ]

    def starred(paired) -> list[str]:
        table = results_table(replace(results, paired=paired))
        rows = zip(*(column.cells for column in table.columns), strict=True)
        found = [str(row[0]) for row in rows for cell in row if str(cell).endswith("*")]
        assert ("differs from the first" in str(table.caption)) == bool(found)
        return found

    assert starred(unclear) == starred(narrow) == []
    assert starred(clear) == ["asr"]


def test_results_of_another_model_or_corpus_are_told_apart(evaluated, checkpoint, corpus, tmp_path):
    shutil.copy(evaluated[1] / "results.json", tmp_path)
    assert what_differs(tmp_path, str(checkpoint), corpus, SETTINGS) == ""
    made = json.loads((tmp_path / "results.json").read_text())
    for part, key, told in (
        ("model", "fingerprint", "other model"),
        ("model", "precision", "other precision"),
        ("corpus", "manifest_sha256", "other corpus"),
        ("settings", "wording", "other wording"),
    ):
        other = {**made, part: {**made[part], key: "another"}}
        (tmp_path / "results.json").write_text(json.dumps(other))
        assert what_differs(tmp_path, str(checkpoint), corpus, SETTINGS) == told
    (tmp_path / "results.json").write_text(json.dumps(made))
    assert what_differs(tmp_path, str(checkpoint), corpus, SETTINGS, "bf16") == "other precision"


def test_the_table_fits_eighty_columns_and_breaks_no_word(evaluated):
    console = Console(width=80, file=io.StringIO())
    console.print(results_table(evaluated[0]))
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines())) <= 80
    assert all(
        word in printed
        for word in ("balanced accuracy", "speechverse", "cascade", "oracle", "100–100")
    )
    assert "cascade: the better of cascade-ctc and cascade." in printed
    assert "On the page too: log-mel and majority." in " ".join(printed.split())


def test_the_worst_answers_can_be_heard_on_the_page(evaluated):
    _, folder, _ = evaluated
    page = write_report(folder).read_text()
    assert page.count("<audio") == page.count('src="data:audio') > 0
    assert page.count("<audio") == page.count('class="example"')


def test_a_clip_that_cannot_be_read_any_more_has_no_player(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    assert playable([AudioRef(tmp_path / "broken.wav"), AudioRef(tmp_path / "gone.wav")]) == []


def test_text_of_others_is_shown_and_not_run(evaluated, tmp_path):
    _, folder, _ = evaluated
    for file in (folder / "results.json", folder / "answers.jsonl"):
        (tmp_path / file.name).write_text(
            file.read_text().replace("play some jazz", "<script>alert(1)</script>")
        )
    page = write_report(tmp_path).read_text()
    assert "<script" not in page and "&lt;script&gt;" in page


def test_hearing_once_changes_no_answer(evaluated, loaded, corpus, tmp_path):
    results, folder, _ = evaluated
    recogniser, _ = find_recogniser(loaded[0])
    watched = Watched()
    heard_once = evaluate(
        *loaded,
        corpus,
        SETTINGS,
        output=tmp_path,
        features=tmp_path / "features",
        recogniser=recogniser,
        watch=watched,
    )
    assert load_answers(tmp_path) == load_answers(folder)
    assert heard_once.scores == results.scores
    assert watched[0][:2] == (0, 5) and (5, 5) in [
        (done, total) for done, total, what in watched if "encoder" in what
    ]
    assert results.hearing_seconds is None and load_results(tmp_path).hearing_seconds > 0
    assert "heard once beforehand" in write_report(tmp_path).read_text()


def test_every_clip_is_heard_once_and_transcribed_once(loaded, corpus, tmp_path, monkeypatch):
    from speechverse.evaluation.cascades import Cascade, CtcCascade

    model, processor = loaded
    heard, transcribed = [], Counter()
    encode, recogniser = type(model.encoder).forward, load_ctc(model.config.encoder)

    def forward(self, **inputs):
        heard.extend(inputs["frame_lengths"].tolist())
        return encode(self, **inputs)

    def counted(kind):
        made = kind.transcribe

        def transcribe(self, utterances):
            transcribed.update((self.name, utterance.id) for utterance in utterances)
            return made(self, utterances)

        monkeypatch.setattr(kind, "transcribe", transcribe)

    monkeypatch.setattr(type(model.encoder), "forward", forward)
    counted(Cascade), counted(CtcCascade)
    settings = replace(SETTINGS, systems=("speechverse", "cascade-ctc", "cascade"))
    evaluate(model, processor, corpus, settings, features=tmp_path, recogniser=recogniser)
    assert len(heard) == 5
    assert len(transcribed) == 10 and set(transcribed.values()) == {1}


def test_a_cut_encoder_is_not_lent_to_the_ctc_head(loaded, corpus, tmp_path, monkeypatch):
    model, processor = loaded
    recogniser = load_ctc(model.config.encoder)
    expected = [
        recogniser.transcribe([load(utterance.audio).samples])[0]
        for utterance in corpus.utterances("test")
    ]
    monkeypatch.setattr(model.config, "encoder_layers", 1)
    monkeypatch.setattr(
        recogniser, "transcribe_features", lambda features: ["of another encoder"] * len(features)
    )
    settings = replace(SETTINGS, tasks=("asr",), systems=("cascade-ctc",))
    evaluate(
        model,
        processor,
        corpus,
        settings,
        output=tmp_path,
        features=tmp_path / "f",
        recogniser=recogniser,
    )
    answers = [record.answer for record in load_answers(tmp_path)]
    assert len(answers) == 4
    assert answers == expected[:4]


def test_nothing_is_heard_for_systems_that_do_not_listen(loaded, corpus, tmp_path):
    settings = replace(SETTINGS, tasks=("er",), systems=("oracle", "majority"))
    evaluate(*loaded, corpus, settings, features=tmp_path / "features")
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize("system", ["oracle", "speechverse"])
@pytest.mark.parametrize("heard_once", [False, True])
def test_clips_that_cannot_be_used_are_counted(
    loaded, corpus, tmp_path, caplog, system, heard_once
):
    features = tmp_path / "features" if heard_once else None
    broken = tmp_path / "broken.wav"
    broken.write_text("no sound at all")
    clips = corpus.utterances("test")[:4]
    many = [replace(clip, id=f"{clip.id}-{copy}") for clip in clips for copy in range(12)]
    long = Utterance("long", AudioRef(clips[0].audio.path), 50.0, "too long")
    odd = Utterance("odd", AudioRef(broken), 1.0, "not audio")
    gone = Utterance("gone", AudioRef(tmp_path / "gone.wav"), 1.0, "not there")
    settings = replace(SETTINGS, tasks=("asr",), systems=(system,))
    with_few = Corpus("mixed", {}, _sources={"test": [*many, long, odd, gone]})
    results = evaluate(*loaded, with_few, settings, features=features)
    assert dict(results.tasks[0].skipped) == {"longer than 4 s": 1, "unreadable": 2}
    assert results.tasks[0].num_examples == 48
    assert "clip odd is left out" in caplog.text and "clip gone is left out" in caplog.text
    with pytest.raises(CorpusError, match="2 of 6 clips cannot be used"):
        evaluate(
            *loaded,
            Corpus("bad", {}, _sources={"test": [*clips, odd, gone]}),
            settings,
            features=features,
        )


@pytest.mark.parametrize(
    ("mode", "left"), [("temporary", []), ("keep", ["features"]), ("none", [])]
)
def test_the_verb_leaves_no_encoder_outputs_unless_asked_to(
    checkpoint, corpus, tmp_path, mode, left
):
    from speechverse.cli.evaluate import run

    settings = replace(SETTINGS, tasks=("er",), systems=("speechverse",))
    results = run(str(checkpoint), corpus, settings, tmp_path, "cpu", quiet=True, cache=mode)
    assert (results.hearing_seconds is None) == (mode == "none")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == left


def test_what_a_killed_run_left_is_gone_on_with_and_removed(
    checkpoint, corpus, loaded, tmp_path, monkeypatch
):
    from speechverse.cli.evaluate import run
    from speechverse.data import cache

    encoder, heard, hear = loaded[0].encoder, [], cache._encode
    own = tmp_path / ".features" / cache.encoder_fingerprint(encoder, encoder.model.dtype)[:16]
    left = corpus.utterances("test")[:2]
    cache.FeatureCache.build(encoder, left, own, dtype=encoder.model.dtype)
    (tmp_path / ".features" / "another").mkdir()
    monkeypatch.setattr(
        cache,
        "_encode",
        lambda encoder, clips, dtype: heard.extend(clips) or hear(encoder, clips, dtype),
    )
    settings = replace(SETTINGS, tasks=("asr",), systems=("speechverse",))
    run(str(checkpoint), corpus, settings, tmp_path, "cpu", quiet=True)
    assert heard and not set(heard) & set(map(cache.entry_key, left))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_second_run_into_one_folder_is_refused(checkpoint, corpus, tmp_path):
    from speechverse.cli.evaluate import run
    from speechverse.files import folder_lock

    settings = replace(SETTINGS, tasks=("er",), systems=("speechverse",))
    with (
        folder_lock(tmp_path),
        pytest.raises(UserError, match="another run is evaluating into .* choose another folder"),
    ):
        run(str(checkpoint), corpus, settings, tmp_path, "cpu", quiet=True)


def test_a_disk_that_takes_nothing_is_told_before_hours_of_answering(
    checkpoint, corpus, tmp_path, monkeypatch
):
    from speechverse.cli.evaluate import run

    settings = replace(SETTINGS, tasks=("er",), systems=("speechverse",))
    (tmp_path / "file").write_text("in the way")
    for mode in ("temporary", "none", "keep"):
        with pytest.raises(UserError, match="'.*out' cannot be made"):
            run(
                str(checkpoint),
                corpus,
                settings,
                tmp_path / "file" / "out",
                "cpu",
                quiet=True,
                cache=mode,
            )
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1))
    with pytest.raises(CacheError, match="0.0 GB are free .* --cache none"):
        run(str(checkpoint), corpus, settings, tmp_path / "full", "cpu", quiet=True, cache="keep")


def test_a_cache_that_nobody_asked_for_is_done_without_where_it_does_not_fit(
    checkpoint, corpus, tmp_path, monkeypatch, capsys
):
    from speechverse.cli.evaluate import run

    settings = replace(SETTINGS, tasks=("er",), systems=("speechverse",))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1))
    results = run(str(checkpoint), corpus, settings, tmp_path, "cpu", quiet=True)
    assert results.hearing_seconds is None and results.score("er", "speechverse") is not None
    assert capsys.readouterr().err.count("as with --cache none: the feature cache would take") == 1
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_only_a_disk_is_mended_by_another_folder(checkpoint, corpus, tmp_path, monkeypatch):
    from speechverse.cli.evaluate import run
    from speechverse.data import cache

    def not_finite(*_):
        raise CacheError("not finite")

    settings = replace(SETTINGS, tasks=("er",), systems=("speechverse",))
    monkeypatch.setattr(cache, "_encode", not_finite)
    with pytest.raises(CacheError, match="^not finite$"):
        run(str(checkpoint), corpus, settings, tmp_path, "cpu", quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_cannot_be_measured_is_noted(loaded, corpus, monkeypatch):
    def headless(name, *, revision):
        raise CheckpointError("no head")

    monkeypatch.setattr(provenance, "load_ctc", headless)
    bare = [
        Utterance(u.id, u.audio, u.duration, None, labels={"emotion": "sad"})
        for u in corpus.utterances("test")
    ]
    results = evaluate(*loaded, Corpus("bare", {}, _sources={"test": bare}), SETTINGS)
    assert [report.name for report in results.tasks] == ["er"]
    assert (
        next(left.reason for left in results.not_measured if left.name == "asr")
        == "none of 5 clips can be asked: 5 × it has no text"
    )
    notes = " ".join(results.notes)
    for wanted in (
        "er by oracle: not measured: 5 of 5",
        "er by cascade-ctc: not measured: the encoder has no CTC head",
        "no head",
        "no training split",
    ):
        assert wanted in notes


def test_who_takes_the_test_split_for_want_of_training_clips_says_so_of_each_task(loaded, corpus):
    untold = [replace(clip, labels={}) for clip in corpus.utterances("test")]
    mine = Corpus(
        "mine", corpus.labels, _sources={"test": corpus.utterances("test"), "train": untold}
    )
    settings = replace(SETTINGS, tasks=("er",), systems=("majority",))
    notes = " ".join(evaluate(*loaded, mine, settings).notes)
    assert (
        "majority: the training split has nothing for er, so its answer is taken from the test"
        in notes
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"systems": ("cascade_ctc",)}, "did you mean 'cascade-ctc'"),
        ({"systems": ()}, "no system"),
        ({"tasks": ("asrr",)}, "did you mean 'asr'"),
        ({"limit": 0}, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        EvaluationSettings(**settings)


def test_an_unknown_split_is_refused(loaded, corpus):
    with pytest.raises(CorpusError, match="test"):
        evaluate(*loaded, corpus, replace(SETTINGS, split="tset"))


def test_the_training_log_is_found_in_or_above_the_checkpoint(checkpoint, tmp_path):
    assert training_log(checkpoint) is None
    (checkpoint / "metrics.jsonl").write_text("")
    assert training_log(checkpoint) == Path(checkpoint) / "metrics.jsonl"
    (checkpoint / "metrics.jsonl").unlink()


def test_results_of_another_schema_are_refused(tmp_path):
    with pytest.raises(UserError, match="speechverse evaluate"):
        load_results(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 99}')
    with pytest.raises(UserError, match="schema 99"):
        load_results(tmp_path)


def test_the_recogniser_is_that_of_the_encoder_s_revision(loaded, monkeypatch):
    asked = []

    def load(name, *, revision):
        asked.append((name, revision))
        raise CheckpointError("no head")

    monkeypatch.setattr(provenance, "load_ctc", load)
    monkeypatch.setattr(loaded[0].config, "encoder_revision", "v2")
    assert find_recogniser(loaded[0]) == (None, "no head")
    assert asked == [(loaded[0].config.encoder, "v2")]


def test_every_error_rate_names_the_normaliser_of_its_languages(loaded, corpus):
    languages = ("en", "de", None)
    clips = [
        replace(u, language=languages[n % 3]) for n, u in enumerate(corpus.utterances("test")[:3])
    ]
    settings = replace(SETTINGS, tasks=("asr", "er"), systems=("oracle",))
    results = evaluate(*loaded, Corpus("mixed", {}, _sources={"test": clips}), settings)
    assert results.score("asr", "oracle").normalizer == "english-2 (2), unicode-2 (1)"
    assert results.score("er", "oracle").normalizer == ""
    assert results.normalizer == "english-2, unicode-2"
    assert [note for note in results.notes if "1 of 3 examples name no language" in note]
