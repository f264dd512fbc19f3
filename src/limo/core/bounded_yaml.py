"""YAML of unknown origin, read with bounds on size, depth and what its aliases stand for.

Everything that is wrong with a text is a `yaml.YAMLError` with the line where it stands.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from limo.core.text import shorten

MAX_CHARACTERS = 1_000_000  # a recipe has some thousand
MAX_DEPTH = 50
MAX_DIGITS = 1000
MAX_NODES = 100_000  # values once aliases and merge keys are written out


class YamlBoundError(yaml.MarkedYAMLError):
    """A text that is too long or too deep, stands for too many values, or may mean several things."""


TRUTH, INTEGER, NUMBER = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float"))
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$")
_NUMBER = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
NO_CHARACTER = "a character that no text holds"
_OCTAL = re.compile(r"[-+]?0[0-9_]+")


SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one written in C is ten times faster


class _Loader(SafeLoader):
    """Reads what looks like a word or a time of day as text, where YAML 1.1 has truths and numbers: no, on, 1:30."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (TRUTH, INTEGER, NUMBER)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """PyYAML's own, whose errors for wrongly tagged values are any exceptions and name no line."""
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:
            what = f"this is no value of its kind ({shorten(f'{type(error).__name__}: {error}', 100)})"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from error


_Loader.add_implicit_resolver(TRUTH, re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(INTEGER, _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver(NUMBER, _NUMBER, list("-+.0123456789"))


def load_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML text and its nodes, which have lines.  Raises yaml.YAMLError, YamlBoundError among them."""
    if len(text) > MAX_CHARACTERS:
        raise YamlBoundError(problem=f"{len(text):,} characters where {MAX_CHARACTERS:,} are allowed")
    if broken := _SURROGATE.search(text):
        mark = yaml.Mark("", broken.start(), text.count("\n", 0, broken.start()), 0, None, None)
        raise YamlBoundError(problem=NO_CHARACTER, problem_mark=mark)
    _check_depth(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _count(node, {})
        return loader.construct_document(node), node
    finally:
        loader.dispose()


def describe_yaml_error(error: yaml.YAMLError) -> str:
    """The line of an error and what is wrong there."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return (f"line {mark.line + 1}: " if mark else "") + shorten(str(problem), 160)


def _check_depth(text: str) -> None:
    """Before nodes are made, which is recursive."""
    depth = 0
    for event in yaml.parse(text, Loader=SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            problem = f"deeper than {MAX_DEPTH} lists and mappings in each other"
            raise YamlBoundError(problem=problem, problem_mark=event.start_mark)


def _check_keys(node: yaml.MappingNode) -> None:
    """Raise YamlBoundError for a key that stands there twice: the later value would win without a word."""
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            name = (key.tag, key.value)
            if name in lines:
                problem = f"the key {shorten(key.value, 40)!r} stands in line {lines[name]} already"
                raise YamlBoundError(problem=problem, problem_mark=key.start_mark)
            lines[name] = key.start_mark.line + 1


def _count(node: yaml.Node, n_by_node: dict[int, int]) -> int:
    """How many values a node stands for, aliases written out.

    Raises YamlBoundError for too many, or without end, and where it is not plain what is meant.
    """
    if id(node) in n_by_node:
        if n_by_node[id(node)] == 0:  # still being counted
            raise YamlBoundError(problem="an alias stands inside of what it names", problem_mark=node.start_mark)
        return n_by_node[id(node)]
    n_by_node[id(node)] = 0
    n = 1
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
    if isinstance(node, yaml.ScalarNode):
        if node.tag == INTEGER and not node.style and _OCTAL.fullmatch(node.value):
            problem = f"{node.value} may be octal or decimal: leave the leading zeros out, or put it into quotes"
            raise YamlBoundError(problem=problem, problem_mark=node.start_mark)
        if node.tag == INTEGER and len(node.value) > MAX_DIGITS:  # in hexadecimal too, which is read and not written
            problem = f"a whole number of more than {MAX_DIGITS} digits"
            raise YamlBoundError(problem=problem, problem_mark=node.start_mark)
        if "\0" in node.value or _SURROGATE.search(node.value):  # by an escape
            raise YamlBoundError(problem=NO_CHARACTER, problem_mark=node.start_mark)
    else:
        pairs = node.value if isinstance(node, yaml.MappingNode) else [(item,) for item in node.value]
        n += sum(_count(inner, n_by_node) for pair in pairs for inner in pair)
    if n > MAX_NODES:
        problem = f"aliases that stand for more than {MAX_NODES:,} values"
        raise YamlBoundError(problem=problem, problem_mark=node.start_mark)
    n_by_node[id(node)] = n
    return n
