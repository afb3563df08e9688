"""What the sound of a clip depends on beyond its plan: the code and the constants that make it, the libraries used."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from importlib import resources
from importlib.metadata import PackageNotFoundError, version

SOURCES = {
    "speechverse.world": (
        *("render", "engines", "espeak", "neural", "scenes", "sounds", "tones", "accents", "voices", "worker"),
    ),
    "speechverse.audio": ("augment", "codecs", "encode", "resampling", "waveform"),
}
"""Package → its modules whose levels, rooms, codecs, noises or filters end up in the bytes."""

_LIBRARIES = ("espeakng-loader", "numpy", "soundfile", "soxr")
_NEURAL_LIBRARIES = ("hibari-tts", "onnxruntime", "scipy")


@functools.cache
def making_digest(neural: bool = False) -> str:
    """sha256 over how a planned clip is made: code and constants (not comments or docstrings), and libraries.

    Args:
        neural: Whether a neural engine speaks, whose libraries then count too.
    """
    libraries = (*_LIBRARIES, *(_NEURAL_LIBRARIES if neural else ()))
    code = [
        digest_of(resources.files(package).joinpath(f"{module}.py").read_text(encoding="utf-8"))
        for package, modules in SOURCES.items()
        for module in modules
    ]
    return hashlib.sha256(json.dumps([code, [_version(name) for name in libraries]]).encode()).hexdigest()


def digest_of(source: str) -> str:
    """sha256 of what a module does: the same after a change of comments, docstrings or layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
