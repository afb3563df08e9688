"""Recipes as files: inheritance, dotted overrides, errors that name the nearest key."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import speechverse
from speechverse.config import NESTED, describe_fault
from speechverse.errors import RecipeError, unknown_name
from speechverse.files import write_text
from speechverse.training.recipe import Recipe
from speechverse.training.recipe_checks import ONE_START, check_recipe
from speechverse.yaml_files import dump_yaml, parse_yaml, read_yaml

RECIPE_FILE = "recipe.yaml"
ENVIRONMENT_FILE = "environment.json"
_VERSIONS_OF = ("torch", "transformers", "peft", "accelerate", "lhotse", "numpy", "tokenizers")


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file, or a built-in one, with what it inherits and the overrides on top.

    Args:
        overrides: "a.b.c=value" each, in YAML; stages go by their name or number.

    Raises:
        RecipeError: A missing file, no YAML, an unknown key, a wrong value, parts that do not fit.
    """
    values = _read(_find(str(name_or_path), Path()), ())
    for override in overrides:
        _override(values, override)
    return recipe_from(values)


def recipe_from(values: dict[str, Any]) -> Recipe:
    """Checks plain values against the recipe's types; see `load_recipe`."""
    try:
        recipe = Recipe.model_validate(values, context=NESTED)
    except ValidationError as error:
        raise RecipeError("\n".join(_describe_errors(error, values))) from None
    check_recipe(recipe)
    return recipe


def recipes_folder() -> Path:
    """The folder of the built-in recipes: in the installed package, or in a checkout."""
    package = Path(speechverse.__file__).parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parents[1] / "recipes"


def _find(name: str, beside: Path) -> Path:
    path = beside / name
    with contextlib.suppress(OSError):  # a name longer than the system takes
        if path.is_file():
            return path
    built_in = {path.stem: path for path in recipes_folder().glob("*.yaml")}
    if name in built_in:
        return built_in[name]
    if name.endswith((".yaml", ".yml")):
        raise RecipeError(
            f"there is no recipe '{path}'; built-in ones are {', '.join(sorted(built_in))}"
        )
    raise RecipeError(f"{unknown_name('recipe', name, built_in)}, nor is it a file")


def _read(path: Path, heirs: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in heirs:
        raise RecipeError(f"'{path}' inherits from itself through 'base:'")
    values = read_values(path)
    base = values.get("base")
    if not isinstance(base, str):
        return values
    return _merge(_read(_find(base, path.parent), (*heirs, path.resolve())), values)


def read_values(path: Path) -> dict[str, Any]:
    """Keys and values of a recipe's file, without what it inherits.

    Raises:
        RecipeError: If it cannot be read, is not YAML, or holds anything else.
    """
    try:
        values = read_yaml(path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read the recipe '{path}': {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"the recipe '{path}' must be keys and values (`name: mine`)")
    return values


def _merge(base: Any, heir: Any) -> Any:
    """Sections are merged key by key; anything else, lists too, is replaced."""
    if isinstance(base, dict) and isinstance(heir, dict):
        return {**base, **{key: _merge(base.get(key), value) for key, value in heir.items()}}
    return heir


def _override(values: dict[str, Any], text: str) -> None:
    dotted, equals, value = text.partition("=")
    if not equals or not dotted:
        raise RecipeError(f"override '{text}': write it as key=value, e.g. training.precision=fp32")
    try:
        parsed = parse_yaml(value)
    except ValueError as error:
        raise RecipeError(f"override '{text}': the value is not YAML ({error})") from error
    *path, last = dotted.split(".")
    if dotted == "base":
        raise RecipeError("override 'base': what a recipe inherits from stands in its file")
    at: Any = values
    for depth, key in enumerate(path):
        at = _step_into(at, key, ".".join(path[:depth]))
    if isinstance(at, list):
        at[_position(at, last, ".".join(path))] = parsed
    elif isinstance(at, dict):
        at[last] = parsed
    else:
        raise RecipeError(f"override '{text}': '{'.'.join(path)}' is a value, not a section")


def _step_into(at: Any, key: str, where: str) -> Any:
    if isinstance(at, list):
        return at[_position(at, key, where)]
    if not isinstance(at, dict):
        raise RecipeError(f"override: '{where}' is a value, not a section; it has no '{key}'")
    if at.get(key) is None:
        at[key] = {}
    return at[key]


def _position(items: list[Any], key: str, where: str) -> int:
    names = [
        str(item["name"]) if isinstance(item, dict) and "name" in item else str(i)
        for i, item in enumerate(items)
    ]
    if key in names:
        return names.index(key)
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    raise RecipeError(f"override {where}: {unknown_name('entry', key, names)}")


def _describe_errors(error: ValidationError, values: dict[str, Any]) -> list[str]:
    """Unknown keys alone where there are any: what else is wrong may follow from them."""
    items = error.errors()
    unknown = [item for item in items if item["type"] == "extra_forbidden"]
    if not unknown and values.get("model") is not None and values.get("initial") is not None:
        return [ONE_START]  # what a second start lacks is beside the point
    return [describe_fault(item, Recipe, values) for item in unknown or items]


def write_recipe(recipe: Recipe, folder: Path) -> None:
    """Writes the resolved recipe into a folder, with commit and versions beside it."""
    values = recipe.model_dump(mode="json") | {"base": None}
    # First what users do not name so: both together mark a run.
    write_text(folder / ENVIRONMENT_FILE, json.dumps(environment(), indent=1) + "\n")
    write_text(folder / RECIPE_FILE, dump_yaml(values))


def note_environment(folder: Path, step: int) -> None:
    """Adds commit and versions under `resumed`, if a run goes on with others."""
    path, present = folder / ENVIRONMENT_FILE, environment()
    if not path.exists():  # the run was killed before it could be written
        write_text(path, json.dumps(present, indent=1) + "\n")
        return
    first = json.loads(path.read_text())
    resumed = first.get("resumed", [])
    latest = resumed[-1] if resumed else first
    if any(latest[name] != value for name, value in present.items()):
        noted = first | {"resumed": [*resumed, {"step": step, **present}]}
        write_text(path, json.dumps(noted, indent=1) + "\n")


def environment() -> dict[str, Any]:
    """Commit and versions; the commit is null for an installed package."""
    versions = {name: importlib.metadata.version(name) for name in _VERSIONS_OF}
    versions |= {"speechverse": speechverse.__version__, "python": platform.python_version()}
    return {"commit": _commit(), "versions": versions}


def _commit() -> str | None:
    root = Path(speechverse.__file__).parents[2]
    if not (root / ".git").exists():
        return None
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        told = subprocess.run(
            ["git", "-C", root, *describe], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Dotted keys in which two recipes differ."""
    return sorted(_differing(old.model_dump(mode="json"), new.model_dump(mode="json")))


def _differing(old: Any, new: Any, at: str = "") -> list[str]:
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [at or "."]
    keys = [key for key in {**old, **new} if key != "base" or at]
    return [
        d
        for key in keys
        for d in _differing(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    ]


def recipe_schema() -> dict[str, Any]:
    """The recipe's JSON schema, for editors."""
    return _unwrapped(Recipe.model_json_schema())


def _unwrapped(schema: Any) -> Any:
    """Descriptions on one line: where a docstring is wrapped is no part of what it says."""
    if isinstance(schema, list):
        return [_unwrapped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    described = {key: _unwrapped(value) for key, value in schema.items()}
    if isinstance(text := schema.get("description"), str):
        described["description"] = " ".join(text.split())
    return described
