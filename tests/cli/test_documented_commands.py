"""Every command that a page, a recipe or a docstring prints is parsed by the real command line."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from limo.cli import root

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
RECIPES = sorted((ROOT / "src" / "limo" / "recipes").rglob("*.yaml"))
MODULES = sorted((ROOT / "src" / "limo").rglob("*.py"))
_LINE = re.compile(r"^\s*(?:#\s+|\$\s+)?(?:[A-Z_]+=\S+ )*(limo\s.*)$")
_LAUNCH = re.compile(r"^\s*(?:#\s+)?accelerate (launch\s.*)$", re.MULTILINE)
_INLINE = re.compile(r"`(limo [a-z][^`]*)`")


def whole_lines(text: str) -> list[str]:
    """Command lines that stand alone, continuation lines joined."""
    joined = re.sub(r"\\\n\s*#?\s*", " ", text)
    return [match[1] for line in joined.split("\n") if (match := _LINE.match(line)) and "limo:" not in line]


def blocks(page: str) -> str:
    """What stands in the code blocks of a page that are for a shell, between fences or indented."""
    indented = re.findall(r"^    \S.*$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return "\n".join([*re.findall(r"```(?:sh|bash|console)?\n(.*?)```", page, re.DOTALL), *indented])


def documented() -> list[tuple[str, str, bool]]:
    """(where, command, whether it must be complete)."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page.name == "commands.md":  # written by the command line itself
            continue
        found += [(page.name, line, True) for line in whole_lines(blocks(text))]
        found += [
            (page.name, command, False) for command in _INLINE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        ]
    for recipe in RECIPES:
        head = "\n".join(line for line in recipe.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
        found += [(recipe.name, re.sub(r"\s{4,}\(.*$", "", line), True) for line in whole_lines(head)]
        found += [(recipe.name, command, False) for command in _INLINE.findall(head.replace("\n# ", " "))]
    for module in MODULES:
        text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
        found += [(module.name, line, True) for line in whole_lines(text)]
    return found


def parse(line: str, complete: bool) -> None:
    """Parse as `limo` would.  Raises click.UsageError."""
    words = shlex.split(line, comments=True)
    words = words[: next((n for n, word in enumerate(words) if word in ("|", "&", ">", "&&", ";")), len(words))]
    command: click.Command = root
    context = click.Context(root, info_name="limo", **root.context_settings)  # click keeps the first help option
    rest = words[1:]
    while isinstance(command, click.Group):
        if not rest or rest[0].startswith("-"):
            return
        name, child, rest = command.resolve_command(context, rest)
        assert child is not None
        command, context = child, click.Context(child, info_name=name, parent=context)
    try:
        command.parse_args(context, list(rest))
    except (click.MissingParameter, click.BadOptionUsage) as error:
        if complete or (isinstance(error, click.BadOptionUsage) and "requires an argument" not in str(error)):
            raise


@pytest.mark.parametrize(("where", "line", "complete"), documented())
def test_a_documented_command_is_parsed(where, line, complete):
    parse(line, complete)


def launches() -> list[tuple[str, str]]:
    """(where, what stands after `accelerate`)."""
    found = [(page, line) for page in [*PAGES, *RECIPES] for line in _LAUNCH.findall(page.read_text(encoding="utf-8"))]
    return [(page.name, line) for page, line in found]


@pytest.mark.parametrize(("where", "line"), launches())
def test_a_documented_launch_is_parsed_by_accelerate_and_its_training_by_limo(where, line):
    from accelerate.commands.launch import launch_command_parser

    given, _ = launch_command_parser().parse_known_args(shlex.split(line)[1:])
    assert given.module and given.training_script == "limo", "what comes before it are accelerate's own words"
    assert (ROOT / "src" / "limo" / "recipes" / "accelerate" / Path(given.config_file).name).is_file()
    assert not given.num_machines or given.num_processes == 8 * given.num_machines, "processes are counted over nodes"
    parse(shlex.join(["limo", *given.training_script_args]), complete=True)


def test_commands_are_found_in_pages_recipes_and_docstrings():
    places = {where for where, _, _ in documented()}
    assert {"README.md", "train.md", "limo-v2.yaml", "rollouts.py"} <= places
    assert len(documented()) > 60
    assert {"train.md", "fsdp2.yaml"} <= {where for where, _ in launches()}


@pytest.mark.parametrize(
    "line", ["limo crate x", "limo pool ingets a -o b", "limo curate a --rnu b", "limo select a.jsonl"]
)
def test_a_command_that_there_is_not_is_refused(line):
    with pytest.raises(click.UsageError):
        parse(line, complete=True)
