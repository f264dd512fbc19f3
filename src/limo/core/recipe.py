"""A recipe is a checked value: YAML to pydantic and back, with dotted overrides and a content hash.

Each stage defines its settings beside its code as a subclass of `Settings`.  All faults of a file are shown at once,
each with its line; an unknown key names the nearest known one.  A recipe is one file, without includes or inheritance.

    band = load(Band, "band.yaml", ["low=2"])
"""

from __future__ import annotations

import json
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict
from pydantic_core import to_jsonable_python

from limo.core.bounded_yaml import MAX_DEPTH, YamlBoundError, describe_yaml_error, load_yaml
from limo.core.errors import InputError, MissingFileError, RecipeError, did_you_mean
from limo.core.secrets import hide_in_own, holds_secret
from limo.core.text import HIDDEN, content_hash, shorten, visible, whole_number

T = TypeVar("T", bound="Settings")

_EXECUTION_ONLY: JsonDict = {"execution_only": True}
execution_field = partial(Field, json_schema_extra=_EXECUTION_ONLY)
"""A field that says how fast the work goes and never what comes out: it is left out of a recipe's identity."""
SECRET_INPUT = "secret_input"
"""Type of a validator's PydanticCustomError whose value may hold a secret: it is not shown."""
RECIPES = Path(str(resources.files("limo"))) / "recipes"
"""The folder of the shipped recipes."""
OVERRIDE = 0  # the line number of a value from the command line


class Settings(BaseModel):
    """Base of every part of a recipe: unknown keys are faults, values cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @property
    def hash(self) -> str:
        """Names this recipe by its identity."""
        return content_hash(json.dumps(self.identity(), ensure_ascii=False))

    def identity(self) -> dict[str, Any]:
        """All values, defaults included, as JSON; every `execution_field` is left out at any depth."""
        return {
            name: _identity(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if field.json_schema_extra != _EXECUTION_ONLY
        }

    def run_steps(self) -> dict[str, list[str]]:
        """What a run of this recipe makes, in order: a step's tables or a file by name -> the keys that it depends on.

        Each depends on what the ones before it depend on, too.  Keys that none names cannot be changed in a run.
        """
        return {}

    def public(self) -> Self:
        """The recipe as others may see it: of paths on this machine the last part, of servers no address."""
        return type(self).model_validate(_public(self.model_dump(mode="json")))

    def to_yaml(self) -> str:
        """The whole recipe with every default written out, in field order."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def public_path(path: str) -> str:
    """The last part of an absolute path of this machine; anything else as it is."""
    return Path(path).name if os.path.isabs(path) and os.path.lexists(path) else path


def _public(value: Any, key: str = "") -> Any:
    if key == "base_urls":
        return ["http://SERVER:8000/v1"]
    if isinstance(value, Mapping):
        return {name: _public(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_public(item) for item in value]
    return public_path(value) if isinstance(value, str) and len(value) < 4096 else value


def _identity(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.identity()
    if isinstance(value, Mapping):
        return {str(key): _identity(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_identity(item) for item in value]
    return to_jsonable_python(value)


def differing(old: object, new: object, above: str = "") -> list[str]:
    """Dotted keys whose values differ; the items of lists of one length by their number."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [above]
    keys, missing = dict.fromkeys([*new, *old]), object()
    pairs = [(f"{above}.{key}".strip("."), old.get(key, missing), new.get(key, missing)) for key in keys]
    return [fault for name, before, now in pairs for fault in differing(before, now, name)]


def is_within(key: str, other: str) -> bool:
    """Whether one of two dotted keys is the other, or a part of it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def load(model: type[T], path: str | Path | None, overrides: list[str] | tuple[str, ...] = ()) -> T:
    """Read `path` (or nothing), apply `section.key=value` overrides, and check the whole.

    `path` is a YAML file or the name of a shipped recipe (see `find`).  Overrides are applied in order: a later one
    replaces an earlier one of the same key, and one of a section all that the section held.
    Raises MissingFileError, or RecipeError with every fault in it.
    """
    text = _read(find(path)) if path is not None else ""
    values, lines = _parse(text, str(path))
    for override in overrides:
        given = _apply(values, override)
        lines = {path: line for path, line in lines.items() if path[: len(given)] != given}
        lines = {given[:n]: OVERRIDE for n in range(1, len(given) + 1)} | lines  # the keys above it may be its own too
    faults: list[str] = []
    try:
        loaded = model.model_validate(values)
        faults = [f"{_where(at, lines)} is no number but true or false" for at in _truths(values, loaded)]
        keys = list(_texts_with_secrets(loaded.model_dump(mode="json")))
        faults += [f"{_where(at, lines)} holds the key itself, and a recipe is stored: take it out" for at in keys]
    except ValidationError as error:
        faults = [_fault(model, item, lines) for item in error.errors()]
    if faults:
        where = f"{path} does not fit" if path is not None else "the settings do not fit"
        raise RecipeError(f"{where}: " + "; ".join(faults))
    return loaded


def shipped() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}


def find(recipe: str | Path) -> Path:
    """The file of a recipe given by path or by the name of a shipped one; a file of that name comes first.

    Raises MissingFileError, naming the nearest file beside it or one folder below, or the nearest shipped recipe, and
    InputError for a pipe.
    """
    path, known = Path(recipe), shipped()
    if path.is_file():
        return path
    if str(recipe) in known:
        return known[str(recipe)]
    if path.exists() and not path.is_dir():
        do = "write it to a file"
        raise InputError("a pipe or device can be read only once, and recipes are read twice", recipe, "a file", do)
    near = path.parent if path.parent.is_dir() else Path()
    here = sorted(str(file) for pattern in ("*.yaml", "*/*.yaml") for file in near.glob(pattern))
    same = [file for file in here if Path(file).name == path.name]
    advice = f"did you mean {same[0]!r}?" if same else did_you_mean(recipe, here) or did_you_mean(path.stem, known)
    advice = advice or "name one of them, or check the path"
    raise MissingFileError("there is no such recipe", recipe, "a YAML file, or one of " + ", ".join(known), advice)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecipeError("the recipe is not text", path, "UTF-8 YAML", "save it as UTF-8") from None


def _parse(text: str, name: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The values of a YAML text and the line (from 1) on which each key stands."""
    try:
        values, node = load_yaml(text)
    except yaml.YAMLError as error:
        raise RecipeError("the recipe is not YAML", name, "key: value lines", describe_yaml_error(error)) from None
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise RecipeError("the recipe is not a mapping", name, "key: value lines", "see recipes/ for examples")
    return values, dict(_lines(node))


def _lines(node: yaml.Node | None, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    entries: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        entries = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        entries = [(str(number), value, value) for number, value in enumerate(node.value)]
    for name, start, value in entries:
        yield (*above, name), start.start_mark.line + 1
        yield from _lines(value, (*above, name))


def _apply(values: dict[str, Any], override: str) -> tuple[str, ...]:
    """Set one `a.b.c=value` in place and return its path; the value is read as YAML."""
    key, equals, raw = override.partition("=")
    if equals and not key.strip():
        raise RecipeError("an override has no key before its '='", override, "section.key=value", "for example seed=1")
    if not equals:
        raise RecipeError("an override has no '='", override, "section.key=value", "for example seed=1")
    *path, last = key.strip().split(".")
    if not all(map(str.strip, (*path, last))):
        raise RecipeError("an override has an empty name", shorten(key), "section.key=value", "for example seed=1")
    if len(path) > MAX_DEPTH:
        raise RecipeError("an override is too deep", shorten(key), f"{MAX_DEPTH} keys", "give fewer")
    node: Any = values
    for name in path:
        node = node[_index(node, name, override)] if isinstance(node, list) else node.setdefault(name, {})
        if not isinstance(node, dict | list):
            do = f"'{name}' has no keys"
            raise RecipeError("an override goes into a plain value", override, "section.key=value", do)
    try:
        value, _ = load_yaml(raw)
    except YamlBoundError as error:
        raise RecipeError("an override is too much", key, "a short value", describe_yaml_error(error)) from None
    except yaml.YAMLError:
        value = raw
    node[_index(node, last, override) if isinstance(node, list) else last] = value
    return (*path, last)


def _index(node: list[Any], name: str, override: str) -> int:
    if (number := whole_number(name)) is None or number >= len(node):
        raise RecipeError("an override names no list entry", override, f"0..{len(node) - 1}", "count from 0")
    return number


def _where(path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> str:
    """The dotted path of a value and its line."""
    line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
    return visible(".".join(path)) + ("" if line is None else " (override)" if line == OVERRIDE else f" (line {line})")


def _truths(given: Any, loaded: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where true or false was given and a number was made of it, which is what pydantic does."""
    if isinstance(given, bool):
        if isinstance(loaded, int | float) and not isinstance(loaded, bool):
            yield path
        return
    inner = dict(loaded) if isinstance(loaded, BaseModel) else loaded
    if isinstance(given, list) and isinstance(inner, list | tuple):
        given, inner = dict(enumerate(given)), dict(enumerate(inner))
    for key in given if isinstance(given, dict) and isinstance(inner, dict) else ():
        if key in inner:
            yield from _truths(given[key], inner[key], (*path, str(key)))


def _texts_with_secrets(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a text, or a name of a free mapping, holds a key that this recipe names the variable of."""
    if isinstance(value, str) and holds_secret(value):
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        if holds_secret(str(key)):
            yield path
        else:
            yield from _texts_with_secrets(item, (*path, str(key)))


def _fault(model: type[Settings], item: Any, lines: dict[tuple[str, ...], int]) -> str:
    """One fault in one phrase: where, the value, what is allowed, the nearest known key."""
    location = tuple(str(part) for part in item["loc"])
    path, allowed = _follow(model, location)
    if is_tag := item["type"].startswith("union_tag_"):
        path = (*path, item["ctx"]["discriminator"].strip("'"))
    where = _where(path, lines)
    if is_tag:
        tags = list(dict.fromkeys(tag for annotation in allowed for tag in _tags(annotation)))
        given = item["ctx"].get("tag")
        said = f"{where} is {f'not {shorten(given, 60)!r} but ' if given else 'missing; give it '}one of: "
        return "; ".join(filter(None, (said + ", ".join(tags), did_you_mean(given, tags))))
    if item["type"] == "extra_forbidden":
        models = filter(_is_model, _follow(model, location[:-1])[1])
        known = list(dict.fromkeys(key for settings in models for key in settings.model_fields))
        advice = did_you_mean(path[-1], known) or "known: " + ", ".join(known)
        return f"{where} is not a known key; {advice}"
    if item["type"] == "missing":
        return f"{where} is missing; give it a value"
    why = item["msg"].removeprefix("Value error, ")
    why = why[:1].lower() + why[1:]
    if item["input"] is None:
        return f"{where} has no value: {why}; give it one, or leave it out"
    if isinstance(item["input"], dict) and item["input"] and path and not any(map(_has_keys, allowed)):
        return f"{where} has no keys, and is given {shorten(hide_in_own(repr(item['input'])), 60)}: {why}"
    if isinstance(item["input"], dict | list):  # a section, which stands in the recipe
        return f"{where}: {why}" if path else why
    shown = HIDDEN if item["type"] == SECRET_INPUT else shorten(hide_in_own(repr(item["input"])), 60)
    names = re.findall(r"'([^']+)'", item["ctx"]["expected"]) if item["type"] == "literal_error" else ()
    return "; ".join(filter(None, (f"{where} is {shown}: {why}", did_you_mean(item["input"], names))))


def _follow(model: type[Settings], location: tuple[str, ...]) -> tuple[tuple[str, ...], list[Any]]:
    """The keys of a fault's location and the annotations allowed there, through settings, lists, mappings and unions.

    At a union pydantic adds the tag of the chosen member to the location; it is no key and is left out.
    """
    path: tuple[str, ...] = ()
    allowed: list[Any] = [model]
    for name in location:
        chosen = [annotation for annotation in allowed if name in _tags(annotation)]
        if chosen and len(allowed) > 1:
            allowed = chosen
        else:
            path = (*path, name)
            allowed = [inner for annotation in allowed for inner in _inside(annotation, name)]
    return path, allowed


def _tags(annotation: Any) -> list[str]:
    """The values of a settings class's fields that allow only one: the tags of a union."""
    fields = annotation.model_fields.values() if _is_model(annotation) else ()
    values = [typing.get_args(field.annotation) for field in fields if typing.get_origin(field.annotation) is Literal]
    return [str(value[0]) for value in values if len(value) == 1]


def _inside(annotation: Any, name: str) -> list[Any]:
    """The annotations under key or index `name` of a value so annotated, each member of a union apart."""
    if _is_model(annotation):
        field = annotation.model_fields.get(name)
        return _members(field.annotation) if field else []
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if not inner or not isinstance(origin, type):
        return []
    return _members(inner[-1] if issubclass(origin, Mapping) else inner[0])


def _members(annotation: Any) -> list[Any]:
    """`A | None` as `[A, None]`; anything else alone."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [inner for part in typing.get_args(annotation) for inner in _members(part)]
    return [annotation]


def _has_keys(annotation: Any) -> bool:
    """Whether values of a type have keys of their own: sections of a recipe, and mappings."""
    parts = (annotation, *typing.get_args(annotation), typing.get_origin(annotation))
    return any(_is_model(part) or part in (dict, Mapping) or typing.get_origin(part) is dict for part in parts)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
