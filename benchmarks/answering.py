"""Answering one clip: a fresh process against one that only imports the same libraries, and a
loaded model.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.harness import Claim, Repeat, Side, Took, fresh_python, lacks_parts

SECONDS = 3.0  # of the clip
ASKED = 5  # times in a repetition
_INSTRUCTION = "Transcribe the preceding audio."
_LIBRARIES = (
    "import av, numpy, peft, safetensors.torch, soundfile, soxr, tokenizers, torch, transformers"
)
_ANSWER = """
from speechverse import SpeechVerse
model = SpeechVerse.from_pretrained({model!r})
print(model.ask({clip!r}, {instruction!r}).text)
"""


def _cold(folder: Path) -> Repeat:
    from benchmarks import material

    clip, model = str(material.clip(folder, SECONDS)), material.MODEL
    return fresh_python(_ANSWER.format(model=model, clip=clip, instruction=_INSTRUCTION))


def _imports(folder: Path) -> Repeat:
    return fresh_python(_LIBRARIES)


def _asked(folder: Path) -> Repeat:
    """The same question again and again, reading the file included."""
    from benchmarks import material
    from speechverse import SpeechVerse

    clip, model = material.clip(folder, SECONDS), SpeechVerse(*material.model())

    def repeat() -> Took:
        began = time.perf_counter()
        answers = [model.ask(clip, _INSTRUCTION).text for _ in range(ASKED)]
        return Took(time.perf_counter() - began, ASKED, {"on": material.MODEL}, tuple(answers))

    return repeat


def _generated(folder: Path) -> Repeat:
    """The networks alone, on tensors made before, with what transformers' `generate` does about
    them.
    """
    from benchmarks import material
    from speechverse.audio import load
    from speechverse.decoding.questions import default_limit

    model, processor = material.model()
    inputs = processor(
        [_INSTRUCTION], audio=[load(material.clip(folder, SECONDS)).samples], generation=True
    )
    longest = default_limit(SECONDS)

    def repeat() -> Took:
        began = time.perf_counter()
        written = [
            model.generate(**inputs, max_new_tokens=longest, do_sample=False) for _ in range(ASKED)
        ]
        seconds, facts = time.perf_counter() - began, {"new tokens": written[0].shape[1]}
        return Took(seconds, ASKED, facts, tuple(processor.decode(ids)[0] for ids in written))

    return repeat


_PROCESS = Side("three lines of Python to a first answer", _cold)
_ONLY_IMPORTS = Side("importing the same libraries", _imports)
_LOADED = Side("`ask`, from the file to the answer", _asked)
_BARE = Side("the networks alone", _generated)
CLAIMS = (
    Claim(
        f"a fresh process, a clip of {SECONDS:g} s",
        _PROCESS,
        _ONLY_IMPORTS,
        "s",
        repetitions=7,
        lacks=lacks_parts,
    ),
    Claim(
        f"a loaded model, a clip of {SECONDS:g} s",
        _LOADED,
        _BARE,
        "s",
        repetitions=7,
        lacks=lacks_parts,
    ),
)
