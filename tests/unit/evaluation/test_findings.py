"""Findings: the verdict's rule, evaluations that are made once, and the page that shows them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from speechverse.errors import DivergedError, UserError
from speechverse.evaluation.journal import JOURNAL, Journal
from speechverse.evaluation.ledger import ledger_file
from speechverse.evaluation.report.curves import losses_together
from speechverse.evaluation.results import OWN
from speechverse.findings.catalogue import TASKS, findings_of
from speechverse.findings.deciding import Diverged, decide, judge
from speechverse.findings.finding import (
    HELD,
    NOT_HELD,
    NOT_SHOWN,
    NOT_TESTABLE,
    Answers,
    Asked,
    Claimed,
    Finding,
    verdict_of,
    verdict_of_all,
)
from speechverse.findings.report import Findings, markdown, write_numbers, write_page
from speechverse.findings.runner import Runner
from speechverse.findings.trainings import GROUPS, trainings
from speechverse.metrics import Interval
from speechverse.training.recipe_files import load_recipe
from speechverse.types import Answer

SHORT = {"max_new_tokens": 6}
ASKED = Asked("few", "noises", ("er", "asr"), (OWN, "oracle"), decoding=SHORT)
ELSEWHERE = replace(ASKED, name="elsewhere", test_set="people")
FINDING = Finding(
    "F0",
    "hearing is better than reading",
    "nowhere",
    (
        Claimed("er", Answers(ASKED, "er"), Answers(ASKED, "er", ("oracle",))),
        Claimed("asr | kept", Answers(ASKED, "asr"), Answers(ASKED, "asr", ("oracle",))),
        Claimed("people", Answers(ELSEWHERE, "er"), Answers(ELSEWHERE, "er", ("oracle",))),
    ),
    reason="it is random",
)


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [
        (0.1, 3, 0, HELD),
        (-3, -0.1, 0, NOT_HELD),
        (-1, 2, 0, NOT_SHOWN),
        (0, 0, 0, NOT_SHOWN),
        (-1, 2, 2, HELD),
        (-5, -1, 2, NOT_SHOWN),
        (-5, -3, 2, NOT_HELD),
    ],
)
def test_a_comparison_holds_where_its_interval_lies(low, high, margin, verdict):
    assert verdict_of(low, high, margin) == verdict


@pytest.mark.parametrize(
    ("verdicts", "needed", "verdict"),
    [
        ([HELD, HELD], None, HELD),
        ([HELD, NOT_TESTABLE], None, HELD),
        ([HELD, NOT_SHOWN], None, NOT_SHOWN),
        ([HELD, NOT_SHOWN, NOT_HELD], None, NOT_HELD),
        ([HELD, NOT_SHOWN, NOT_HELD], 2, NOT_SHOWN),
        ([HELD, NOT_HELD, NOT_HELD], 1, HELD),
        ([HELD, NOT_TESTABLE], 2, NOT_TESTABLE),
        ([NOT_TESTABLE], None, NOT_TESTABLE),
        ([], None, NOT_TESTABLE),
    ],
)
def test_a_claim_holds_when_enough_comparisons_do(verdicts, needed, verdict):
    assert verdict_of_all(verdicts, needed) == verdict


def runner_of(folder, checkpoint, corpus_folder, **changes):
    how = {"limit": 3, **changes}
    return Runner(str(checkpoint), "small", folder, {"noises": corpus_folder}, **how)


@pytest.fixture(scope="session")
def made(tmp_path_factory, checkpoint, corpus):
    """A finding, decided, with the folder it stands in and that of the corpus."""
    folder = tmp_path_factory.mktemp("findings")
    noises = corpus.utterances("test")[0].audio.path.parents[2]
    lines = []
    [found] = runner_of(folder, checkpoint, noises, tell=lines.append).run([FINDING])
    return found, folder, noises, lines


def test_a_finding_is_decided_by_the_pairs_and_says_what_could_not_be_compared(made):
    found, _, _, lines = made
    er, asr, people = found.rows
    assert er.num_examples == asr.num_examples == 3
    assert er.gain.low <= er.gain.value <= er.gain.high
    assert asr.gain.value == pytest.approx(asr.than_value.value - asr.better_value.value)
    assert people.verdict == NOT_TESTABLE and "'people'" in people.why
    assert found.command == "speechverse reproduce --only F0"
    assert "answers to give" in lines[1]  # after the look at the test split that told how long


def test_the_forecast_asks_training_clips_or_counts_as_a_look_at_the_test_split(
    tmp_path, checkpoint, made, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    _, _, noises, _ = made

    def looks(**changes):
        told = []
        runner = runner_of(tmp_path / "out", checkpoint, noises, tell=told.append, **changes)
        assert "answers to give" in runner.forecast([FINDING])
        entries = map(json.loads, ledger_file().read_text().splitlines())
        return [entry["split"] for entry in entries], told

    assert looks(training_corpus=noises) == (["train"], [])
    splits, told = looks()
    assert splits == ["train", "test"] and "was measured on 1 time" in told[0]


def test_a_stopped_run_foretells_by_its_answers_and_touches_no_test_split_again(
    tmp_path, checkpoint, made, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    _, _, noises, _ = made
    runner = runner_of(tmp_path / "out", checkpoint, noises)
    journal = Journal(tmp_path / "out" / "evaluations" / "few" / JOURNAL)
    journal.add(["one", "two"], [Answer("yes"), Answer("no")], seconds=3.0)
    told = runner.forecast([FINDING])
    assert "about 10 answers to give" in told and "at the 1.50 s" in told
    assert not ledger_file().exists()
    later = replace(ASKED, name="later")  # beside one that is finished
    claim = Claimed("er", Answers(later, "er"), Answers(ASKED, "er"))
    told = runner_of(made[1], checkpoint, noises).forecast([replace(FINDING, claims=(claim,))])
    assert "1 of 2 evaluations are there already; about 12 answers to give" in told
    assert not ledger_file().exists()


def test_what_is_finished_is_read_and_what_was_made_otherwise_is_refused(
    made, checkpoint, monkeypatch
):
    found, folder, noises, _ = made
    monkeypatch.setattr("speechverse.findings.runner.SpeechVerse", None)  # nobody may be asked
    [again] = runner_of(folder, checkpoint, noises).run([FINDING])
    assert again == found
    with pytest.raises(UserError, match="answers of another data"):
        list(runner_of(folder, checkpoint, noises, limit=2).run([FINDING]))
    unasked = replace(FINDING, claims=FINDING.claims[2:])  # which the folder has nothing of
    with pytest.raises(UserError, match="answers of another model"):
        list(runner_of(folder, "small", noises).run([unasked]))
    other = replace(ASKED, decoding={"max_new_tokens": 7})
    claims = (Claimed("er", Answers(other, "er"), Answers(other, "er", ("oracle",))),)
    with pytest.raises(UserError, match="another decoding"):
        list(runner_of(folder, checkpoint, noises).run([replace(FINDING, claims=claims)]))


def test_a_few_questions_that_all_agree_show_nothing(made):
    found, folder, *_ = made
    for row in found.rows[:2]:
        assert row.verdict == NOT_SHOWN and "fewer than 10 clips" in row.why


@pytest.mark.parametrize(
    ("gain", "margin", "clips", "than_floor", "verdict"),
    [
        ((0, 0, 0), 2, 50, False, NOT_SHOWN),  # of 50 clips like others, 3 in 50 may be unlike
        ((0, 0, 0), 4, 76, False, HELD),
        ((100, 100, 100), 0, 30, False, HELD),
        ((0, -1, 1), 2, 50, False, HELD),
        ((0, -1, 1), 2, 50, True, NOT_SHOWN),
        ((3, 1, 5), 2, 50, True, HELD),  # better, and not merely close
        ((-5, -7, -4), 2, 50, True, NOT_HELD),
        ((9, 8, 10), 0, 9, False, NOT_SHOWN),
    ],
)
def test_close_is_shown_by_enough_clips_and_beside_what_beats_guessing(
    gain, margin, clips, than_floor, verdict
):
    found, why = judge(Interval(*gain), margin, clips, than_floor)
    assert found == verdict
    assert bool(why) == (verdict == NOT_SHOWN)


def test_a_training_that_diverged_has_lost_to_one_that_did_not(made):
    _, folder, *_ = made
    there, diverged = folder / "evaluations" / "few", Diverged("at-once: the run has diverged")
    hearing, reading = (Answers(ASKED, "er", (name,)) for name in (OWN, "oracle"))
    fallen = replace(hearing, asked=ELSEWHERE)
    claims = (Claimed("than", reading, fallen), Claimed("better", fallen, reading))
    finding = replace(FINDING, claims=claims)
    found = decide(finding, {"few": there, "elsewhere": diverged}, "again", ())
    assert [row.verdict for row in found.rows] == [HELD, NOT_HELD]
    assert all("diverged" in row.why for row in found.rows)
    unmeasured = decide(finding, {"few": "no clip has it", "elsewhere": diverged}, "again", ())
    assert {row.verdict for row in unmeasured.rows} == {NOT_TESTABLE}
    both = decide(
        replace(finding, claims=claims[:1]),
        dict.fromkeys(("few", "elsewhere"), diverged),
        "again",
        (),
    )
    assert both.rows[0].verdict == NOT_TESTABLE
    assert "diverged" in markdown(Findings("m", "r", (found,)))


def test_what_training_raises_when_it_diverges_ends_no_other_finding(
    tmp_path, checkpoint, made, monkeypatch
):
    _, _, noises, _ = made

    tried = []

    def diverge(*_, **__):
        tried.append("once")
        raise DivergedError("stage 'align': the loss (nan) is not finite\nTry less")

    monkeypatch.setattr("speechverse.findings.runner.train", diverge)
    taught = Asked("at-once", "noises", ("er",), model="at-once", decoding=SHORT)
    again = replace(taught, name="again")
    claims = [Claimed("er", Answers(ASKED, "er"), Answers(one, "er")) for one in (taught, again)]
    runner = runner_of(tmp_path / "out", checkpoint, noises)
    first, second = runner.run([replace(FINDING, claims=tuple(claims), full=True), FINDING])
    assert all(row.verdict == HELD and "(nan)" in row.why for row in first.rows)
    assert tried == ["once"]
    assert second.rows[0].num_examples == 3


def test_findings_are_written_as_numbers_a_table_and_a_page(made):
    found, folder, _, _ = made
    write_numbers(folder, Findings("micro", "small", (replace(found, id="F10"),)))
    gone = replace(found, id="F9", evaluations=("deleted to be asked anew",))
    write_page(folder, write_numbers(folder, Findings("micro", "small", (found, gone))))
    told = json.loads((folder / "findings.json").read_text())
    assert [one["id"] for one in told["findings"]] == ["F0", "F9", "F10"]  # what was there stays
    assert told["findings"][0]["verdict"] == found.verdict
    table = (folder / "findings.md").read_text()
    assert "asr \\| kept" in table and "speechverse reproduce --only F0" in table
    page = (folder / "findings.html").read_text()
    assert "<audio controls" in page and "gain in points, 95 % interval" in page
    assert 'href="evaluations/few/report.html"' in page


def test_a_claim_that_did_not_hold_is_told_with_a_likely_reason(made):
    found, _, _, _ = made
    told = markdown(Findings("m", "r", (replace(found, verdict=NOT_HELD),)))
    assert "A likely reason: it is random." in told
    assert "Not held (2 of 3 compared)" in told and "1 not held (F0 in part)" in told
    assert "A likely reason" not in markdown(Findings("m", "r", (replace(found, verdict=HELD),)))


def test_the_stronger_of_several_systems_is_compared_with(made, corpus):
    _, folder, _, _ = made
    several = Answers(ASKED, "asr", ("cascade", "speechverse", "oracle"))
    finding = replace(FINDING, claims=(Claimed("", Answers(ASKED, "asr"), several),))
    [row] = decide(finding, {"few": folder / "evaluations" / "few"}, "").rows
    assert row.than_value.value <= row.better_value.value
    assert row.than.endswith("(few, asr; the best of speechverse and oracle)")  # who was there


def test_two_that_get_nothing_right_are_not_called_close(made):
    _, folder, _, _ = made
    claims = [Claimed(task, *[Answers(ASKED, task)] * 2, margin=2.0) for task in ("asr", "er")]
    found = replace(FINDING, claims=tuple(claims))
    decided = decide(found, {"few": folder / "evaluations" / "few"}, "")
    assert [row.than_value.value for row in decided.rows] == [100, 0]  # the worst there is
    assert {row.verdict for row in decided.rows} == {NOT_SHOWN}
    assert "hardly beats guessing" in markdown(Findings("m", "r", (decided,)))


def test_answers_that_were_scored_by_other_rules_are_not_compared(made, tmp_path):
    _, folder, _, _ = made
    one, other = folder / "evaluations" / "few", tmp_path / "few"
    other.mkdir()
    (other / "answers.jsonl").write_bytes((one / "answers.jsonl").read_bytes())
    told = json.loads((one / "results.json").read_text())
    told["signatures"]["wer"] += " as of another version"
    (other / "results.json").write_text(json.dumps(told))
    sides = Answers(ASKED, "asr"), Answers(replace(ASKED, name="other"), "asr")
    finding = replace(FINDING, claims=(Claimed("", *sides),))
    [row] = decide(finding, {"few": one, "other": other}, "").rows
    assert row.verdict == NOT_TESTABLE and "another version" in row.why


def test_the_tuned_cascade_is_among_the_rivals_wherever_hearing_is_compared_with_reading():
    def rivals_of(systems):
        [found] = [one for one in findings_of(systems) if one.id == "F8"]
        asked = {one.name: set(one.systems) for one in found.evaluations}
        keywords = {one.better.systems for one in found.claims if "Keyword extraction" in one.what}
        return {name: "cascade-whisper-tuned" in who for name, who in asked.items()}, keywords

    everywhere = {"clean", "noisy", "people"}
    assert rivals_of(()) == (dict.fromkeys(everywhere, False), {("cascade-whisper",)})
    tuned = rivals_of(("cascade-whisper-tuned", "oracle-tuned"))
    assert tuned == (dict.fromkeys(everywhere, True), {("cascade-whisper-tuned",)})


def test_the_best_of_several_systems_cannot_stand_on_the_side_of_the_claim():
    several = Answers(ASKED, "asr", ("cascade", "oracle"))
    with pytest.raises(ValueError, match="name the one system"):
        Claimed("asr", several, Answers(ASKED, "asr"))


def test_every_finding_of_the_paper_is_there_and_quick_ones_train_nothing():
    found = {finding.id: finding for finding in findings_of()}
    assert list(found) == ["F1", "F1b", *(f"F{number}" for number in range(2, 11))]
    assert {task for group in GROUPS.values() for task in group} == set(TASKS)
    for finding in found.values():
        assert finding.full == any(asked.model for asked in finding.evaluations)
    names = [asked.name for finding in found.values() for asked in finding.evaluations]
    alike = {asked.name: asked for f in found.values() for asked in f.evaluations}
    assert all(alike[asked.name] == asked for f in found.values() for asked in f.evaluations), names


def test_trainings_are_the_recipe_with_other_stages_and_budgets_in_clip_steps():
    known = trainings(3000)
    here = "features"
    aligned = known["aligned"].recipe("small", (), None, here)
    assert [stage.name for stage in aligned.curriculum] == ["align"]
    assert aligned.curriculum[0].steps == 2000  # of 24 clips each, a twentieth of the cost
    group = known["task-ft-ic-sf"].recipe("small", ("seed=3",), "runs/warm", here)
    [stage] = group.curriculum
    assert {item.task for item in group.data.mixtures[stage.mixture]} == {"ic", "sf"}
    assert (stage.steps * stage.max_examples, group.seed) == (1504, 3)
    assert group.initial == "runs/warm" and group.lora == load_recipe("small").model.lora
    assert known["last-layer"].initial == "aligned-last"
    assert known["aligned-last"].recipe("small", (), None, here).model.layer_mixing == "last"
    last = ("model.layer_mixing=last", "model.downsampler.clip_statistics=false")
    caches = {
        name: known[name].recipe("small", last, None, here).data.cache_folder
        for name in ("aligned", "aligned-last", "aligned-all-layers")
    }
    assert caches["aligned"] == caches["aligned-last"] != caches["aligned-all-layers"]
    [tuned] = known["tuned-encoder"].recipe("small", (), "small", here).curriculum
    assert "encoder" in tuned.train and tuned.top_layers == 2


RECIPE = """
name: micro
model: {{encoder: {parts}/encoder, llm: {parts}/llm, layer_mixing: softmax, lora: {{rank: 2}}, max_audio_seconds: 4.0}}
data:
  corpora: {{noises: {{path: {corpus}}}}}
  mixtures:
    heard: [{{corpus: noises, task: asr}}]
    all: [{{corpus: noises, task: asr}}, {{corpus: noises, task: er}}]
  batch: {{max_positions: 2000, max_examples: 4}}
  validation: {{split: test, every: null}}
  cache: all
  workers: 0
curriculum:
  - {{name: align, mixture: heard, train: [mixer, downsampler], steps: 50, learning_rate: 1.0e-3}}
  - {{name: instruct, mixture: all, train: [mixer, downsampler, lora], steps: 50, learning_rate: 1.0e-3}}
training: {{precision: fp32}}
"""


def test_models_are_trained_for_a_finding_once_by_the_recipe_given(
    tmp_path, checkpoint, made, monkeypatch
):
    _, _, noises, _ = made
    recipe = tmp_path / "micro.yaml"
    recipe.write_text(RECIPE.format(parts=checkpoint.parent, corpus=noises))
    taught = Asked("warm-up", "noises", ("er",), model="warm-up", decoding=SHORT)
    learned = Claimed("er", Answers(taught, "er"), Answers(ASKED, "er"))
    finding = replace(FINDING, claims=(learned,), full=True)
    lines = []
    how = {"clip_steps": 8, "tell": lines.append}

    def asked():
        runner = runner_of(tmp_path / "out", checkpoint, noises, **how)
        return list(replace(runner, recipe=str(recipe)).run([finding]))

    [found] = asked()
    assert found.trainings == ("aligned", "warm-up")
    assert found.rows[0].num_examples == 3 and "2 models to train" in lines[1]
    made_by = load_recipe(tmp_path / "out" / "models" / "warm-up" / "recipe.yaml")
    assert made_by.initial.endswith("models/aligned")
    write_page(tmp_path / "out", write_numbers(tmp_path / "out", Findings("m", "r", (found,))))
    page = (tmp_path / "out" / "findings.html").read_text()
    plot = page[page.index('aria-label="weight of each encoder layer for each position: warm-up') :]
    told = json.loads((tmp_path / "out" / "evaluations" / "warm-up" / "results.json").read_text())
    weights = [f"{100 * weight:.0f}" for weight in told["model"]["layer_weights"]]
    numbers = re.findall(r">(\d+)</text>", plot[: plot.index("</svg>")])
    assert numbers == ["1", "2", *weights]  # the axis, then the cells
    monkeypatch.setattr("speechverse.training.trainer.Trainer.run", None)  # nothing is left to do
    assert asked() == [found]


def test_losses_of_the_models_compared_stand_in_one_plot(tmp_path):
    logs = {name: tmp_path / f"{name}.jsonl" for name in ("staged", "at-once", "gone")}
    for name in ("staged", "at-once"):
        lines = [{"begun": "now"}, *({"step": step, "loss": 5 - step / 10} for step in (10, 20))]
        logs[name].write_text("".join(json.dumps(line) + "\n" for line in lines))
    together = losses_together(logs)
    assert together is not None and all(name in together for name in ("staged", "at-once"))
    assert "gone" not in together
    assert losses_together({"staged": logs["staged"], "gone": logs["gone"]}) is None
