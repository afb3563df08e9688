"""Constraints: what they cost a step, beside others' ways to constrain, and how long the index of a
JSON schema takes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, Repeat, Side, Took, lacks_parts

ROWS = 16
STEPS = 24
MANY = 60
FREE_TEXT = "[a-z ]{1,400}"
SCHEMA = {
    "type": "object",
    "properties": {
        "size": {"enum": ["small", "medium", "large"]},
        "drink": {"type": "string", "maxLength": 20},
        "shots": {"type": "integer", "minimum": 0, "maximum": 9},
        "milk": {"enum": ["whole", "oat", "soy", "none"]},
    },
    "required": ["size", "drink", "shots", "milk"],
}

ProcessorOf = Callable[[Any, Any, list[str]], Any]
"""A logits processor, new for each call of `generate`, from model, processor and labels."""


def _generating(
    folder: Path, make: Callable[[Any, Any], Callable[[], dict[str, Any]]], steps: int | None
) -> Repeat:
    """Transformers' `generate` behind the same prompts; audio was heard before.

    Args:
        make: Gives, for model and processor, what `generate` is called with, anew each time.
        steps: New tokens of every row; None leaves rows to end.
    """
    import torch

    from benchmarks import material
    from speechverse.decoding.questions import inputs_of

    model, processor = material.model()
    inputs = inputs_of(processor, material.questions(folder, processor, ROWS))
    told, length = make(model, processor), {"max_new_tokens": steps or STEPS}
    with torch.inference_mode():
        output = model.encode(inputs.pop("audio_inputs"))
    inputs["encoder_output"] = output
    length |= {"min_new_tokens": steps} if steps else {}

    def repeat() -> Took:
        began = time.perf_counter()
        rows = model.generate(**inputs, **told(), **length, do_sample=False)
        seconds = time.perf_counter() - began
        outputs = () if steps else tuple(processor.decode(rows))
        return Took(seconds, ROWS, {"steps": rows.shape[1]}, outputs)

    return repeat


def _ours(model: Any, processor: Any, automaton: Any) -> Callable[[], dict[str, Any]]:
    from speechverse.decoding import ConstraintLogitsProcessor

    return lambda: {"logits_processor": [ConstraintLogitsProcessor([automaton] * ROWS)]}


def _pattern(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    from speechverse.decoding.patterns import PatternAutomaton

    return _ours(model, processor, PatternAutomaton(FREE_TEXT, processor))


def _slots(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    from speechverse.decoding import SlotListAutomaton

    return _ours(model, processor, SlotListAutomaton(("drink", "size", "milk"), processor))


def _free(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    return dict


def _trie(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    from benchmarks import material
    from speechverse.decoding import LabelTrie

    return _ours(model, processor, LabelTrie.of(material.labels(MANY), processor))


def _prefix_function(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    """As it is commonly written: a dict of dicts, walked from its root at each step."""
    from benchmarks import material

    root: dict[int, Any] = {}
    for label in material.labels(MANY):
        node = root
        for token in processor.encode_target(label):
            node = node.setdefault(token, {})
    padding = [processor.config.pad_id]

    def allowed(_: int, tokens: Any) -> list[int]:
        node = root
        for token in tokens.tolist():
            node = node.get(token, {})
        return list(node) or padding

    return lambda: {"prefix_allowed_tokens_fn": allowed}


def _labels_pattern() -> str:
    from benchmarks import material

    return "|".join(map(re.escape, material.labels(MANY)))


def _our_pattern(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    from speechverse.decoding.patterns import PatternAutomaton

    return _ours(model, processor, PatternAutomaton(_labels_pattern(), processor))


def _xgrammar(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    from xgrammar.contrib.hf import LogitsProcessor

    compiler = _xgrammar_compiler(model.llm.config.vocab_size, processor)
    compiled = compiler.compile_regex(_labels_pattern())
    return lambda: {"logits_processor": [LogitsProcessor(compiled)]}


def _xgrammar_compiler(vocabulary: int, processor: Any) -> Any:
    import xgrammar

    info = xgrammar.TokenizerInfo.from_huggingface(
        processor.tokenizer, vocab_size=vocabulary, stop_token_ids=[processor.end_token_id]
    )
    return xgrammar.GrammarCompiler(info, cache_enabled=False)


def _outlines(model: Any, processor: Any) -> Callable[[], dict[str, Any]]:
    from outlines.backends.outlines_core import OutlinesCoreLogitsProcessor
    from outlines_core import Index

    index = Index(_labels_pattern(), _outlines_vocabulary(processor))
    return lambda: {"logits_processor": [OutlinesCoreLogitsProcessor(index, "torch")]}


def _outlines_vocabulary(processor: Any) -> Any:
    from outlines.backends.outlines_core import OutlinesCoreBackend

    tokenizer, end = processor.tokenizer, processor.end_token_id
    return OutlinesCoreBackend.create_outlines_core_vocabulary(
        tokenizer.get_vocab(),
        end,
        tokenizer.convert_ids_to_tokens(end),
        lambda token: tokenizer.convert_tokens_to_string([token]),
    )


def _indexing(folder: Path, make: Callable[[Any], Callable[[], Any]]) -> Repeat:
    from benchmarks import material

    processor = material.model()[1]
    once = make(processor)

    def repeat() -> Took:
        began = time.perf_counter()
        once()
        seconds = time.perf_counter() - began
        return Took(seconds, 1.0, {"pieces": len(processor.tokenizer)})

    return repeat


def _index(processor: Any, *, kept: bool) -> Callable[[], Any]:
    from speechverse.decoding import pattern_of_schema, patterns

    def once() -> Any:
        if not kept:
            patterns.INDICES.clear()
            patterns._vocabulary.cache_clear()
        return patterns.PatternAutomaton(pattern_of_schema(SCHEMA), processor)

    return once


def _xgrammar_index(processor: Any) -> Callable[[], Any]:
    import json

    return lambda: _xgrammar_compiler(len(processor.tokenizer), processor).compile_json_schema(
        json.dumps(SCHEMA), any_whitespace=False
    )


def _outlines_index(processor: Any) -> Callable[[], Any]:
    import json

    from outlines_core import Index
    from outlines_core.json_schema import build_regex_from_schema

    pattern = build_regex_from_schema(json.dumps(SCHEMA))
    return lambda: Index(pattern, _outlines_vocabulary(processor))


def _lacks(library: str) -> str | None:
    return lacks_parts() or (None if find_spec(library) else f"{library} is not installed")


def _side(label: str, make: Callable[..., Any], steps: int | None) -> Side:
    return Side(label, partial(_generating, make=make, steps=steps))


def _made(label: str, make: Callable[..., Any]) -> Side:
    return Side(label, partial(_indexing, make=make))


def _overhead(what: str, make: Callable[..., Any]) -> Claim:
    title = f"a step of {ROWS} rows under {what} against a free one"
    return Claim(
        title, _side(what, make, STEPS), _side("free", _free, STEPS), "rows/s", 7, lacks_parts
    )


_INDEX = _made("our index, the first time", partial(_index, kept=False))
CLAIMS = (
    _overhead("a pattern", _pattern),
    _overhead("a slot list", _slots),
    Claim(
        f"{ROWS} rows choose among {MANY} labels: our trie against `prefix_allowed_tokens_fn`",
        _side("our trie", _trie, None),
        _side("transformers' `prefix_allowed_tokens_fn`", _prefix_function, None),
        "rows/s",
        lacks=lacks_parts,
    ),
    *(
        Claim(
            f"{ROWS} rows under one pattern of {MANY} labels: our processor against {library}",
            _side("our processor", _our_pattern, None),
            _side(library, theirs, None),
            "rows/s",
            lacks=partial(_lacks, library),
        )
        for library, theirs in (("xgrammar", _xgrammar), ("outlines", _outlines))
    ),
    Claim(
        "a JSON schema's index: kept against made the first time (must: 5 s)",
        _made("our index, kept", partial(_index, kept=True)),
        _INDEX,
        "s",
        lacks=lacks_parts,
    ),
    *(
        Claim(
            f"a JSON schema's index, the first time: ours against {library}",
            _INDEX,
            _made(library, theirs),
            "s",
            lacks=partial(_lacks, library),
        )
        for library, theirs in (("xgrammar", _xgrammar_index), ("outlines", _outlines_index))
    ),
)
