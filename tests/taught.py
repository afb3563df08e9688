"""One microscopic pair that has learned something: a Whisper and a Llama of two layers, and the
model that joins them.

What they know is a language of sixteen sentences, a verb and a thing, in which every word is a tone
of its own pitch and a hiss above it is a happy voice. The LLM learns to read (to repeat two words,
to tell an intent), Whisper's decoder to write what its random encoder hears, and the adapter, by
the framework's own trainer, to hear for the LLM. Everything is made on the spot, in seconds, and
kept in pytest's cache until the code that makes it changes.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from filelock import FileLock

import speechverse
from microscopic import chatting, decoder_only, save_whisper
from speechverse.audio import Waveform, load, save
from speechverse.data import Corpus, write_corpus
from speechverse.encoders.whisper_text import load_whisper
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.tasks import Ask, get_task
from speechverse.training.recipe_files import recipe_from
from speechverse.training.trainer import train
from speechverse.types import AudioRef, Example, Utterance

INTENTS = {"play": "start", "stop": "halt", "open": "unlock", "close": "shut"}
"""Verb → intent."""
THINGS = ("jazz", "radio", "door", "light")
WORDS = (*INTENTS, *THINGS)
SENTENCES = tuple(f"{verb} {thing}" for verb, thing in product(INTENTS, THINGS))
EMOTIONS = ("neutral", "happy")
TASKS = ("asr", "ic", "er")
RATE = 16_000
WORD_SECONDS = (0.2, 0.4)
"""A position of the adapter is 0.4 s, and the first lies at a clip's start: so each is in the
middle of one word.
"""
MAX_SECONDS = 10
PROMPT = "{instruction}\n{audio}"
"""The sound stands last, where so small an LLM finds it again however long an instruction is."""


@dataclass(frozen=True)
class Taught:
    """Folders of the pair and of what stands on it.

    Attributes:
        encoder: Whisper, encoder and decoder, which hears ten seconds.
        llm: Llama with a chat template.
        corpus: The language: `train` and `test`, with text, intent and emotion.
        model: A checkpoint that answers asr, ic and er rightly.
    """

    encoder: Path
    llm: Path
    corpus: Path
    model: Path

    @classmethod
    def below(cls, root: Path) -> Taught:
        return cls(*(root / name for name in ("encoder", "llm", "corpus", "model")))


def taught_in(cache: Path) -> Taught:
    """The pair, made unless this folder has it from a run of the same code; of two runs at once,
    one makes it.
    """
    root = cache / fingerprint(cache)
    with FileLock(cache / ".lock"):
        if not (root / "whole").is_file():
            for old in cache.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            make(root)
            (root / "whole").touch()
    return Taught.below(root)


def fingerprint(cache: Path) -> str:
    """Of all that decides what is made: this package, this file, its microscopic parts, torch,
    transformers, the place.

    A checkpoint names its parts by where they lie, so one that was moved is made anew.
    """
    package, here = Path(speechverse.__file__).parent, Path(__file__)
    sources = [
        *package.rglob("*.py"),
        *package.rglob("prompts/*.txt"),
        here,
        here.with_name("microscopic.py"),
    ]
    digest = hashlib.sha256(
        f"{torch.__version__} {transformers.__version__} {cache.absolute()}".encode()
    )
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def make(root: Path) -> None:
    """Makes the pair, its corpus and the model in a folder."""
    taught = Taught.below(root)
    torch.manual_seed(0)
    corpus = write_language(taught.corpus)
    clips = corpus.utterances("train")
    pieces = chatting(wordings(), size=600)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "decoder_start_token_id": 2}
    save_whisper(taught.encoder, pieces, seconds=MAX_SECONDS, d_model=32, init_std=0.15, **ids)
    sizes = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    decoder_only(len(pieces), **sizes, **ids, max_position_embeddings=2048).save_pretrained(
        taught.llm
    )
    pieces.save_pretrained(taught.llm)
    teach_to_write(taught.encoder, clips)
    teach_to_read(taught, clips)
    train(recipe_from(lesson(taught)), taught.model)


def write_language(folder: Path) -> Corpus:
    """Three sayings of every sentence in each voice to train on, one to test on."""
    (folder / "audio").mkdir(parents=True)
    splits = {
        split: [
            say(folder / "audio" / f"{split}-{number}.wav", text, emotion, number)
            for number, (text, emotion, _) in enumerate(product(SENTENCES, EMOTIONS, range(times)))
        ]
        for split, times in (("train", 3), ("test", 1))
    }
    return write_corpus(folder, "tones", splits)


def say(path: Path, text: str, emotion: str = "neutral", seed: int = 0) -> Utterance:
    """A clip of a sentence: two tones, a little off their pitch, in a little noise."""
    draw = np.random.default_rng([seed, len(path.stem)])
    tones = []
    for word, seconds in zip(text.split(), WORD_SECONDS, strict=True):
        pitch = 300 * 1.3 ** WORDS.index(word) * draw.uniform(0.98, 1.02)
        tones.append(0.2 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE))
    samples = np.concatenate(tones)
    hiss = np.diff(draw.standard_normal(len(samples) + 1)) * (0.1 if emotion == "happy" else 0.002)
    save(path, Waveform((samples + hiss).astype(np.float32)))
    labels = {
        "intent": INTENTS[text.split()[0]],
        "emotion": emotion,
        "num_speakers": 1,
        "is_speech": True,
    }
    return Utterance(
        path.stem, AudioRef(path), len(samples) / RATE, text, f"s{seed % 4}", "en", labels
    )


def wordings() -> Iterator[str]:
    """What the tokenizer learns its pieces from: sentences, labels, and the instructions' words."""
    for _ in range(40):
        yield from (
            *SENTENCES,
            *INTENTS.values(),
            *EMOTIONS,
            *(word.capitalize() for word in WORDS),
        )
    for name in TASKS:
        yield from get_task(name).prompts.seen


def teach_to_write(folder: Path, clips: list[Utterance], steps: int = 250) -> None:
    """Teaches Whisper's decoder what its encoder's outputs say; the encoder stays as it is."""
    whisper = load_whisper(folder)
    with torch.no_grad():
        heard, silence = (
            whisper._encode([load(clip.audio).samples for clip in clips]),
            whisper._silence(),
        )
        outputs = torch.stack([torch.cat([row, silence[len(row) :]]) for row in heard])
    texts = [
        whisper.tokenizer(clip.text)["input_ids"] + [whisper.tokenizer.eos_token_id]
        for clip in clips
    ]
    labels = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in texts], True, -100)
    model, draw = whisper.model, torch.Generator().manual_seed(0)
    trained = [*model.model.decoder.requires_grad_(True).parameters()]

    def loss() -> torch.Tensor:
        rows = torch.randint(len(clips), (16,), generator=draw)
        hidden = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=outputs[rows])
        return model(encoder_outputs=hidden, labels=labels[rows]).loss

    descend(trained, loss, steps, rate=5e-3)
    model.save_pretrained(folder)


def teach_to_read(taught: Taught, clips: list[Utterance], steps: int = 200) -> None:
    """Teaches the LLM to repeat two words that stand in its prompt, to tell an intent, and that a
    capital is happy.
    """
    model = SpeechVerseForConditionalGeneration.from_foundations(
        taught.encoder, taught.llm, prompt_template=PROMPT
    )
    processor, draw = model.processor(), random.Random(0)
    labels = Corpus.open(taught.corpus).labels

    def example(name: str) -> Example:
        clip = draw.choice(clips)
        if (
            name == "asr"
        ):  # any two words: of sixteen sentences it would learn which word is likely behind which
            clip = replace(clip, text=" ".join(draw.choices(WORDS, k=2)))
        return get_task(name).render(clip, Ask(draw, labels=labels))

    def loss() -> torch.Tensor:
        examples = [example(name) for name in draw.choices(TASKS, (2, 1, 1), k=32)]
        batch = processor(
            [example.instruction for example in examples],
            transcripts=[shown(example.utterance) for example in examples],
            targets=[example.target for example in examples],
        )
        return model(**batch).loss

    descend([*model.llm.requires_grad_(True).parameters()], loss, steps, rate=4e-3)
    model.llm.save_pretrained(taught.llm)


def shown(clip: Utterance) -> str:
    """What the LLM learns to read: a happy sentence begins with a capital, which the adapter can
    say too.
    """
    text = clip.text or ""
    return text.capitalize() if clip.labels["emotion"] == "happy" else text


def descend(
    parameters: list[torch.nn.Parameter], loss: Callable[[], torch.Tensor], steps: int, rate: float
) -> None:
    """Adam, with a rate that falls to nothing."""
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()


def lesson(taught: Taught) -> dict[str, Any]:
    """The recipe by which the adapter learns to hear, of two stages as `small`: words first, then
    all that is asked.
    """
    return {
        "name": "taught",
        "model": {
            "encoder": str(taught.encoder), "llm": str(taught.llm), "layer_mixing": "softmax",
            "downsampler": {"strides": [5, 4], "activation": "gelu", "scale_to_embeddings": True},
            "lora": {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": "all-linear"},
            "prompt_template": PROMPT, "max_audio_seconds": float(MAX_SECONDS),
        },
        "data": {
            "corpora": {"tones": {"path": str(taught.corpus)}},
            "mixtures": {
                "asr": [{"corpus": "tones", "task": "asr"}],
                "all": [{"corpus": "tones", "task": task} for task in TASKS],
            },
            "batch": {"max_positions": 4000, "max_examples": 24},
            "validation": {"split": "test", "every": None},
            "cache": "all",
            "workers": 0,
        },
        "curriculum": [
            {"name": "align", "mixture": "asr", "train": ["mixer", "downsampler"], "objective": "ctc",
             "steps": 100, "learning_rate": 1e-2, "warmup_steps": 5, "schedule": "cosine"},
            {"name": "instruct", "mixture": "all", "train": ["mixer", "downsampler", "lora"],
             "steps": 120, "learning_rate": 5e-3, "warmup_steps": 5, "schedule": "cosine"},
        ],
        "training": {"precision": "fp32", "log_every": 25, "save_every": 1000},
        "evaluation": {"corpus": "tones", "tasks": list(TASKS)},
    }  # fmt: skip
