"""The runner: trains and asks what findings need, each once, and goes on where it was stopped."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechverse import __version__
from speechverse.data import Corpus
from speechverse.decoding import DecodingOptions
from speechverse.errors import (
    CacheError,
    CorpusError,
    DivergedError,
    RecipeError,
    UserError,
    first_line,
)
from speechverse.evaluation import EvaluationSettings, evaluate, ledger
from speechverse.evaluation.into_folder import evaluate_into
from speechverse.evaluation.journal import JOURNAL, Journal
from speechverse.evaluation.provenance import checkpoint_fingerprint, describe, describe_split
from speechverse.evaluation.results import OWN, RESULTS, load_results
from speechverse.files import make_folder, write_text
from speechverse.findings.deciding import Decided, Diverged, decide
from speechverse.findings.finding import GIVEN, Asked, Finding
from speechverse.findings.test_sets import SPLIT, fingerprint_of, open_test_set
from speechverse.findings.trainings import CLIP_STEPS, Training, trainings
from speechverse.models import lora
from speechverse.pipeline import SpeechVerse
from speechverse.progress import Watch, watch_nothing
from speechverse.registry import SYSTEMS
from speechverse.seeding import fingerprint
from speechverse.tasks import get_task
from speechverse.training.checkpoints import SUMMARY
from speechverse.training.trainer import train

EVALUATIONS, MODELS = "evaluations", "models"
"""Folders of what was asked and of what was trained."""

ASKED = "asked.json"
"""What an evaluation's answers depend on, beside them."""

_QUESTIONS_A_CLIP = {"st": 2, "hints": 3, "open": 4}
_PROBED: dict[str, Any] = {
    "limit": 8,  # one batch of each: answers one by one take thrice as long
    "tasks": ("asr", "ic"),
    "systems": (OWN,),
    "num_resamples": 0,
}

Tell = Callable[[str], None]


@dataclass
class Runner:
    """What findings are made from.

    Attributes:
        model: What they are about: a run's folder, a checkpoint, or a built-in name.
        recipe: What further models are trained by, a name or a file.
        overrides: The user's own changes to it.
        test_sets: Corpora by the names that findings ask them under.
        output: Where everything is kept.
        limit: Clips a task, chosen by hash.
        training_corpus: Whose training part fits the specialists.
        reader_lora: Folder of a LoRA that reads transcripts, for the tuned cascades.
        clip_steps: The budget of a training, see `trainings`.
        command: How the user asked, but for which findings.
    """

    model: str
    recipe: str
    output: Path
    test_sets: Mapping[str, Path]
    overrides: Sequence[str] = ()
    limit: int = 50
    training_corpus: Path | None = None
    reader_lora: Path | None = None
    device: str | None = None
    clip_steps: int = CLIP_STEPS
    command: Sequence[str] = ("speechverse", "reproduce")
    tell: Tell = lambda line: None
    watch: Watch = watch_nothing
    _loaded: tuple[str, SpeechVerse] | None = field(default=None, init=False)
    _corpora: dict[tuple[str, tuple[str, ...]], Corpus | str] = field(
        default_factory=dict, init=False
    )
    _trained: set[str] = field(default_factory=set, init=False)
    _diverged: dict[str, DivergedError] = field(default_factory=dict, init=False)

    def run(self, findings: Sequence[Finding]) -> Iterator[Decided]:
        """Every finding as it is decided; what is there already is read.

        Raises:
            UserError: If what is there was made of another model, data, prompts or decoding.
        """
        self._check_all(findings)
        self.tell(self.forecast(findings))
        for finding in findings:
            folders = {asked.name: self._answered(asked) for asked in finding.evaluations}
            trained = tuple(name for name in self._trainings_for(finding))
            command = shlex.join([*self.command, "--only", finding.id])
            yield decide(finding, folders, command, trained)

    def forecast(self, findings: Sequence[Finding]) -> str:
        """What is still to be done and about how long it takes, by the answers that are kept or
        else by a few.
        """
        everything = (one for finding in findings for one in finding.evaluations)
        asked = {one.name: one for one in everything if isinstance(self._corpus(one), Corpus)}
        open_ = [one for one in asked.values() if not (self._folder(one) / RESULTS).is_file()]
        needed = dict.fromkeys(name for f in findings for name in self._trainings_for(f))
        untrained = [name for name in needed if not self._is_trained(name)]
        done = f"{len(asked) - len(open_)} of {len(asked)} evaluations are there already"
        if not open_:
            return done
        kept = [
            made for one in open_ for made in Journal(self._folder(one) / JOURNAL).kept.values()
        ]
        answers = max(0, sum(self._num_answers(one) for one in open_) - len(kept))
        finished = [load_results(self._folder(one)) for one in asked.values() if one not in open_]
        timings = [timing for results in finished for timing in results.timings]
        known = len(kept) + sum(timing.num_answers for timing in timings)
        spent = sum(made.seconds for made in kept) + sum(timing.seconds for timing in timings)
        # nothing is asked that is known
        seconds = spent / max(1, known) or self._seconds_an_answer()
        told = f"{done}; about {answers:,} answers to give, {answers * seconds / 60:.0f} minutes"
        told += f" at the {seconds:.2f} s that the first few took"
        if untrained:
            hours = sum(trainings(self.clip_steps)[name].hours for name in untrained)
            told += (
                f"; {len(untrained)} models to train, {hours:.1f} hours at .6 s a clip-step, with"
                " the clips' encoding beside"
            )
        return told

    # What findings stand on

    def _check_all(self, findings: Sequence[Finding]) -> None:
        """Refuses what was made otherwise before anything is asked."""
        self._check_others()
        for finding in findings:
            for asked in finding.evaluations:
                if isinstance(self._corpus(asked), Corpus) and self._has_model(asked):
                    self._check(asked)

    def _check_others(self) -> None:
        """The page shows findings that are not asked for now, too: they must be of this
        model, or of one trained here.
        """
        trained = [str(summary.parent) for summary in self._place("").glob(f"*/{SUMMARY}")]
        known = {checkpoint_fingerprint(model) for model in (self.model, *trained)}
        for file in sorted((self.output / EVALUATIONS).glob(f"*/{ASKED}")):
            if json.loads(file.read_text())["model"] not in known:
                raise _made_otherwise(file.parent, "model")

    def _has_model(self, asked: Asked) -> bool:
        return asked.model == GIVEN or self._is_trained(asked.model)

    def _folder(self, asked: Asked) -> Path:
        return self.output / EVALUATIONS / asked.name

    def _answered(self, asked: Asked) -> Path | str:
        """The folder of an evaluation, made where it is not there; or why it cannot be had."""
        corpus = self._corpus(asked)
        if isinstance(corpus, str):
            return corpus
        folder = self._folder(asked)
        try:
            model = self._model(asked.model)
            about = self._check(asked)
            if (folder / RESULTS).is_file():
                return folder
            write_text(make_folder(folder) / ASKED, json.dumps(about, indent=1) + "\n")
            self.tell(f"{asked.name}: {', '.join(asked.systems)} on {corpus.name}")
            how: dict[str, Any] = {"reader_lora": self.reader_lora, "watch": self.watch}
            settings = self._settings(asked)
            loaded = self._load(model)
            evaluate_into(folder, loaded, model, corpus, settings, **how, tell=self.tell)
        except DivergedError as error:
            return Diverged(f"{asked.model}: {first_line(error)}")
        except (CacheError, CorpusError, RecipeError) as error:
            return first_line(error)
        return folder

    def _settings(self, asked: Asked) -> EvaluationSettings:
        return EvaluationSettings(
            split=SPLIT,
            tasks=asked.tasks,
            systems=asked.systems,
            limit=max(1, round(self.limit * asked.share)),
            decoding=DecodingOptions(**asked.decoding),
            **asked.settings,
        )

    def _check(self, asked: Asked) -> dict[str, Any]:
        """What an evaluation's answers depend on.

        Raises:
            UserError: If those that are there depend on something else, naming it.
        """
        corpus = self._corpus(asked)
        assert isinstance(corpus, Corpus)
        settings = self._settings(asked)
        trained_on = self.training_corpus
        about: dict[str, Any] = {
            "model": checkpoint_fingerprint(self._model(asked.model)),
            "data": [
                describe_split(corpus, SPLIT),
                fingerprint_of(self.test_sets[asked.test_set]),
                asked.strata,
                settings.limit,
                trained_on and fingerprint_of(trained_on),
            ],
            "prompts": [_prompts(task) for task in asked.tasks] + [dict(asked.settings)],
            "decoding": settings.decoding.model_dump(),
            "systems": [
                asked.systems,
                self.reader_lora and lora.lora_fingerprint(self.reader_lora),
                *(_code_of(name) for name in asked.systems if ".py:" in name),
            ],
            "version": __version__,
        }
        about = json.loads(json.dumps(about))
        file = self._folder(asked) / ASKED
        kept = json.loads(file.read_text()) if file.is_file() else about
        if unlike := [name for name in about if kept.get(name) != about[name]]:
            raise _made_otherwise(file.parent, ", ".join(unlike))
        return about

    def _corpus(self, asked: Asked) -> Corpus | str:
        """The clips that are asked; or why there are none."""
        key = asked.test_set, asked.strata
        if key not in self._corpora:
            self._corpora[key] = self._open(asked)
        return self._corpora[key]

    def _open(self, asked: Asked) -> Corpus | str:
        path = self.test_sets.get(asked.test_set)
        if path is None or not path.exists():
            return f"there is no test set '{asked.test_set}'"
        corpus = open_test_set(path)
        if SPLIT not in corpus.splits:
            return f"test set '{asked.test_set}' has no split '{SPLIT}'"
        if asked.strata:
            corpus = corpus.only(SPLIT, lambda clip: clip.labels.get("stratum") in asked.strata)
            if not corpus.utterances(SPLIT):
                return f"test set '{asked.test_set}' has no clips {', '.join(asked.strata)}"
        if self.training_corpus is not None:
            corpus = corpus.trained_on(Corpus.open(self.training_corpus))
        return corpus

    # Models

    def _load(self, model: str) -> SpeechVerse:
        if self._loaded is None or self._loaded[0] != model:
            self._loaded = None  # its memory goes before the next is there
            self._loaded = model, SpeechVerse.from_pretrained(model, self.device)
        return self._loaded[1]

    def _model(self, name: str) -> str:
        """The model given, or one trained for a finding: it is trained where it is not there."""
        if name == GIVEN:
            return self.model
        if name in self._diverged:
            raise self._diverged[name]
        if name not in self._trained:  # one that is finished is taken, if it is of this recipe
            try:
                self._train(trainings(self.clip_steps)[name])
            except DivergedError as error:  # what stands on it does not try it again
                self._diverged[name] = error
                raise
            self._trained.add(name)
        return str(self._place(name))

    def _place(self, name: str) -> Path:
        return self.output / MODELS / name

    def _is_trained(self, name: str) -> bool:
        return (self._place(name) / SUMMARY).is_file()

    def _train(self, training: Training) -> None:
        initial = None if training.initial is None else Path(self._model(training.initial))
        features = self.output.absolute() / MODELS / "features"
        recipe = training.recipe(self.recipe, self.overrides, initial, features)
        place = self._place(training.name)
        if not self._is_trained(training.name):
            self.tell(f"training {training.name}: about {training.hours:.1f} h")
            self._loaded = None
        train(recipe, place, resume=(place / "recipe.yaml").is_file())

    def _trainings_for(self, finding: Finding) -> list[str]:
        """Names of all that must be trained for a finding, in their order."""
        known, wanted = trainings(self.clip_steps), list[str]()
        for asked in finding.evaluations:
            chain, name = list[str](), asked.model or None
            while name:
                chain, name = [name, *chain], known[name].initial
            wanted += chain
        return list(dict.fromkeys(wanted))

    # What it will take

    def _num_answers(self, asked: Asked) -> int:
        clips = max(1, round(self.limit * asked.share))
        asks = sum(_QUESTIONS_A_CLIP.get(task, 1) for task in asked.tasks)
        return clips * asks * len([name for name in asked.systems if name != "majority"])

    def _seconds_an_answer(self) -> float:
        """By a few answers of the model to training clips, or else to the first test set that
        has them, which the ledger then counts as looked at.
        """
        tried = [(path, SPLIT) for path in self.test_sets.values() if path.exists()]
        if self.training_corpus is not None:
            tried.insert(0, (self.training_corpus, "train"))
        loaded = self._load(self.model)
        for path, split in tried:
            about = describe(loaded.model, self.model)
            settings = EvaluationSettings(split=split, **_PROBED)
            try:
                parts = loaded.model, loaded.processor, open_test_set(path)
                results = evaluate(*parts, settings, about_model=about)
            except UserError:  # it has neither transcripts nor intents, or no such split
                continue
            if looked := ledger.record(results):
                self.tell(looked)
            answers = sum(timing.num_answers for timing in results.timings)
            return sum(timing.seconds for timing in results.timings) / max(1, answers)
        return 1.0


def _made_otherwise(folder: Path, what: str) -> UserError:
    return UserError(
        f"'{folder}' holds answers of another {what}; name another folder with --output, or delete"
        f" '{folder}' to ask anew"
    )


def _code_of(system: str) -> str:
    """A user's own system answers otherwise once its file is another."""
    return fingerprint(SYSTEMS.code_of(SYSTEMS[system].name))


def _prompts(name: str) -> str:
    task = get_task(name)
    return f"{task.name} {task.version} {fingerprint(repr(task.prompts))[:16]}"
