"""The recipe's data, opened: corpora, mixtures, validation examples, feature cache."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from speechverse.data import (
    BatchPlan,
    Corpus,
    FeatureCache,
    Mixture,
    MixtureItem,
    PlanLoader,
    corpus_of_recordings,
    encoder_fingerprint,
    render_for_evaluation,
)
from speechverse.data.collate import Collate
from speechverse.data.plan import Length
from speechverse.data.quiet_ends import WithoutQuietEnds
from speechverse.encoders import SpeechEncoder
from speechverse.errors import AudioError, CorpusError, RecipeError, TaskError
from speechverse.hub import resolve
from speechverse.models import SpeechVerseProcessor
from speechverse.models.assembly import read_config
from speechverse.seeding import hash_seed
from speechverse.tasks import get_task
from speechverse.terminal import Progress, say
from speechverse.training.engine import Engine
from speechverse.training.objectives import LISTEN
from speechverse.training.recipe import EvaluationSection, MixtureSection, Recipe, StageSection
from speechverse.types import AudioRef, Example, Seconds, Utterance

FEATURES = "features"
"""The feature cache in a run's folder, unless the recipe names another place."""

_CACHE_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}

SHARED_OUT = "validation"
"""What `Corpus.with_validation` calls the split it takes out."""


@dataclass
class Sources:
    """The corpora of a recipe, each opened when a stage asks for it.

    Attributes:
        as_heard: Whether clips are without longer quiet ends than the model knows, as it is trained
            and as it answers; what is evaluated is cut there.
    """

    recipe: Recipe
    as_heard: bool = False
    _corpora: dict[str, Corpus] = field(default_factory=dict)
    _mixtures: dict[str, Mixture] = field(default_factory=dict)
    _validation: dict[str, list[tuple[Example, float]]] = field(default_factory=dict)

    def check(self) -> None:
        """Opens all that any stage or the evaluation will ask for, before hours of training.

        Raises:
            CorpusError: If a corpus or split is missing, or its task can be asked of nothing there.
            TaskError: If a mixture names a task that there is not.
            RecipeError: If the evaluation's split or one of its tasks cannot be had.
        """
        for stage in self.recipe.curriculum:
            self.mixture(stage)
            if self.recipe.data.validation.every:
                for item in self.recipe.data.mixtures[stage.mixture]:
                    self._validation_of(item)
        if self.recipe.data.validation.every:
            self._tell_of_shared_sounds()
            if self.validation_split == "test":
                say(
                    "validation looks at the split 'test', and what is chosen by it is no longer"
                    " tested by it: name another, or a share of the training split"
                    " (data.validation.split, data.validation.share)"
                )
        if self.recipe.evaluation is not None:
            self._check_evaluation(self.recipe.evaluation)

    def _tell_of_shared_sounds(self) -> None:
        """Two corpora of one recipe may be about the same sounds, under other ids."""
        learned = {
            clip.audio
            for mixture in self._mixtures.values()
            for source in mixture.sources
            for clip in source.utterances
        }
        for name, corpus in self._corpora.items():
            if self.validation_split in corpus.splits:
                held = {clip.audio for clip in corpus.utterances(self.validation_split)}
                if shared := held & learned:
                    say(
                        f"{len(shared):,} of {len(held):,} clips that corpus '{name}' is validated"
                        " on are trained on too: the validation looks better than it is"
                    )

    def _check_evaluation(self, section: EvaluationSection) -> None:
        corpus, place = self.corpus(section.corpus), "split"
        # Not whether the recipe says so: a run's own recipe.yaml, from which it is resumed, says
        # every default.
        default = type(section).model_fields["split"].default
        if section.split == default and default not in corpus.splits:
            say(
                f"corpus '{section.corpus}' has no split '{section.split}': there will be nothing"
                " to evaluate on"
            )
            return
        try:
            corpus.utterances(section.split)
            place = "tasks"
            for task in section.tasks if section.tasks != "all" else ():
                render_for_evaluation(corpus, section.split, task, wording=section.wording, limit=1)
        except (CorpusError, TaskError) as error:
            raise RecipeError(f"evaluation.{place}: {error}") from error

    def corpus(self, name: str) -> Corpus:
        """A corpus of the recipe, its validation split taken out if the recipe says so.

        Raises:
            CorpusError: If it is not whole.
            RecipeError: If a share should be taken out of several splits.
        """
        if name not in self._corpora:
            corpus, validation = self._open(name), self.recipe.data.validation
            if validation.share is not None and (split := self._train_split(name)):
                corpus = corpus.with_validation(
                    validation.share, split=split, seed=self.recipe.seed, by=validation.by
                )
            if self.as_heard and self._quiet_end is not None:
                corpus = corpus.changed(self._without_quiet_ends)
            self._corpora[name] = corpus
        return self._corpora[name]

    @cached_property
    def _quiet_end(self) -> Seconds | None:
        """Training hears of a clip what the model will hear of it where it answers."""
        if all(stage.reads == "transcript" for stage in self.recipe.curriculum):
            return None
        if self.recipe.model is not None:
            return self.recipe.model.quiet_end
        return read_config(resolve(self.recipe.initial)).quiet_end if self.recipe.initial else None

    def _without_quiet_ends(self, utterances: list[Utterance]) -> list[Utterance]:
        as_heard, found = WithoutQuietEnds(self._quiet_end), []
        with Progress("clips listened to for quiet ends", len(utterances)) as progress:
            for utterance in utterances:
                found.append(as_heard(utterance))
                progress.advance(1)
        return found

    def _open(self, name: str) -> Corpus:
        section, bad = self.recipe.data.corpora[name], self.recipe.data.max_bad_share
        if section.path is not None:
            corpus = replace(Corpus.open(section.path), name=name)
        elif section.jsonl is not None:
            corpus = Corpus.from_jsonl(name, section.jsonl, section.labels, max_bad_share=bad)
        else:
            assert section.audio is not None  # the recipe's types have seen to it
            longest = self.recipe.encoder.max_seconds if self.recipe.encoder else math.inf
            corpus = corpus_of_recordings(name, Path(section.audio), longest, bad)
        return corpus.with_labels(Path(section.more_labels)) if section.more_labels else corpus

    def _train_split(self, name: str) -> str | None:
        """The one split of a corpus that the stages train on; None if there is none."""
        mixtures = [self.recipe.data.mixtures[stage.mixture] for stage in self.recipe.curriculum]
        splits = {item.split for items in mixtures for item in items if item.corpus == name}
        if len(splits) > 1:
            raise RecipeError(
                f"data.validation.share: corpus '{name}' is trained on in several splits"
                f" ({', '.join(sorted(splits))}); name a split of its own in data.validation.split"
                " instead"
            )
        return splits.pop() if splits else None

    @property
    def validation_split(self) -> str:
        validation = self.recipe.data.validation
        return validation.split if validation.share is None else SHARED_OUT

    def loader(
        self, stage: StageSection, length: Length, collator: Collate, engine: Engine
    ) -> PlanLoader:
        """The stage's batches, as this process gets them; says what they are drawn from."""
        data = self.recipe.data
        mixture = self.mixture(stage)
        say("\n".join(_describe_mixture(mixture)))
        batch = data.batch.model_dump()
        if stage.max_examples is not None:
            batch["max_examples"] = stage.max_examples
        plan = BatchPlan(mixture, length, **batch)
        return PlanLoader(
            plan,
            collator,
            rank=engine.rank,
            world_size=engine.world_size,
            num_workers=data.workers,
            max_bad_share=data.max_bad_share,
        )

    def mixture(self, stage: StageSection) -> Mixture:
        """A stage's mixture, made once: every label of every clip is tried for it."""
        if stage.name not in self._mixtures:
            self._mixtures[stage.name] = self._make_mixture(stage)
        return self._mixtures[stage.name]

    def _make_mixture(self, stage: StageSection) -> Mixture:
        items = [
            MixtureItem(self.corpus(item.corpus), item.task or LISTEN, **_how_drawn(item))
            for item in self.recipe.data.mixtures[stage.mixture]
        ]
        if stage.objective == "ctc" and self.recipe.encoder is None:
            _refuse_other_tasks(stage, items)
        data = self.recipe.data
        return Mixture(
            items,
            seed=hash_seed(self.recipe.seed, stage.name),
            temperature=data.temperature,
            renamed=data.renamed,
            hinted=data.hinted,
            # other objectives read no prompt, so turns would only fill their batches
            turns=data.turns if stage.objective == "answer" else 0.0,
        )

    def validation_examples(
        self, stage: StageSection, length: Length
    ) -> list[tuple[Example, float]]:
        """What a stage is validated on, with loss weights, made once: what fits, as in training."""
        if stage.name not in self._validation:
            self._validation[stage.name] = self._fitting_validation(stage, length)
        return self._validation[stage.name]

    def _fitting_validation(
        self, stage: StageSection, length: Length
    ) -> list[tuple[Example, float]]:
        items = self.recipe.data.mixtures[stage.mixture]
        everything = [
            (example, item.loss_weight) for item in items for example in self._validation_of(item)
        ]
        budget = self.recipe.data.batch.max_positions
        fitting = [
            (example, weight)
            for example, weight in everything
            if not why_unfit(example, length, budget)
        ]
        if not fitting:
            raise CorpusError(
                f"stage '{stage.name}': none of {len(everything)} validation examples fits in"
                f" data.batch.max_positions ({budget}) and the model's limit; raise it, or validate"
                " on another split"
            )
        if len(fitting) < len(everything):
            left = len(everything) - len(fitting)
            say(f"  validation: {left} of {len(everything)} examples are too long and left out")
        return fitting

    def _validation_of(self, item: MixtureSection) -> list[Example]:
        corpus, limit = self.corpus(item.corpus), self.recipe.data.validation.examples
        split, seed = self.validation_split, self.recipe.seed
        examples = render_for_evaluation(
            corpus, split, item.task or LISTEN, wording="seen", limit=limit, seed=seed
        )  # of a task with several questions more
        return sorted(examples, key=lambda one: hash_seed(seed, "validated", one.id))[:limit]

    def transcripts(self) -> list[str]:
        """Every target of the stages that train a CTC head, once, in their order."""
        stages = [stage for stage in self.recipe.curriculum if stage.objective == "ctc"]
        sources = [source for stage in stages for source in self.mixture(stage).sources]
        texts = (clip.text for source in sources for clip in source.utterances if clip.text)
        return list(dict.fromkeys(texts))

    def utterances(self) -> list[Utterance]:
        """Every stretch of audio that any stage hears, in training or validation, once."""
        data, found = self.recipe.data, dict[AudioRef, Utterance]()
        names = {stage.mixture for stage in self.recipe.curriculum if stage.reads == "audio"}
        items = [item for name in sorted(names) for item in data.mixtures[name]]
        validated = [self.validation_split] if data.validation.every else []
        asked = [(item.corpus, split) for item in items for split in (item.split, *validated)]
        for corpus, split in dict.fromkeys(asked):
            for utterance in self.corpus(corpus).utterances(split):
                for clip in utterance.clips:
                    found.setdefault(clip.audio, clip)
        return list(found.values())


def _how_drawn(item: MixtureSection) -> dict[str, Any]:
    return item.model_dump(exclude={"corpus", "task"})


def _refuse_other_tasks(stage: StageSection, items: list[MixtureItem]) -> None:
    for item in items:
        task = get_task(item.task) if isinstance(item.task, str) else item.task
        if task.group != "asr" and not (task.group == "psp" and task.constraint):
            raise RecipeError(
                f"curriculum.{stage.name}.objective: 'ctc' learns transcripts and labels of how it"
                f" is said (group psp, a closed set), not '{task.name}' (group {task.group}); take"
                f" it out of mixture '{stage.mixture}'"
            )


def _describe_mixture(mixture: Mixture) -> list[str]:
    lines = []
    for item, source, share in zip(mixture.items, mixture.sources, mixture.shares, strict=True):
        drawn = f"{len(source.utterances):>8,} clips  {share:6.1%} of the draws"
        left_out = str(source.left_out)
        lacking = f"  (not asked: {left_out})" if left_out else ""
        lines.append(f"  {source.name:<28} {drawn}  loss × {item.loss_weight:g}{lacking}")
    return lines


def why_unfit(example: Example, length: Length, budget: float = math.inf) -> str | None:
    """Why the plan leaves an example out; None if it does not."""
    try:
        return None if length(example) <= budget else f"it takes more than {budget} positions"
    except AudioError as error:
        return str(error)


def open_cache(
    sources: Sources,
    encoder: SpeechEncoder,
    processor: SpeechVerseProcessor,
    run_folder: Path,
    engine: Engine,
) -> FeatureCache | None:
    """The frozen encoder's outputs for a run, made by the first process, of all clips that the
    model can hear.
    """
    data = sources.recipe.data
    if data.cache == "none":
        return None
    place = Path(data.cache_folder) if data.cache_folder else run_folder / FEATURES
    utterances = [clip for clip in sources.utterances() if _is_heard(clip, processor)]
    dtype = _CACHE_DTYPES[data.cache_dtype]
    if not utterances:  # all stages read transcripts
        return None
    if engine.main:
        say(
            f"feature cache '{place}': {FeatureCache.size(encoder, utterances, dtype) / 2**20:,.0f}"
            " MiB when whole"
        )
        with Progress("encoder outputs", len(utterances)) as progress:
            FeatureCache.build(
                encoder,
                utterances,
                place,
                dtype=dtype,
                max_bad_share=data.max_bad_share,
                progress=progress.advance,
            )
    engine.wait()
    return FeatureCache.open(place, encoder_fingerprint(encoder, dtype))


def _is_heard(utterance: Utterance, processor: SpeechVerseProcessor) -> bool:
    """Whether it is neither too long nor too short, as training leaves out what is."""
    try:
        processor.check_length(utterance.num_samples)
    except AudioError:
        return False
    return True
