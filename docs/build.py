"""Writes the generated parts of the docs: command pages, fields, the file tree of CONTRIBUTING.md, the pocket models.

    python docs/build.py            # write
    python docs/build.py --check    # exit 1 and name what is stale

A file's line in the tree is the first line of its docstring (or of its head comment), so that it is said once.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from limo.cli import root
from limo.core.recipe import Settings
from limo.models.openai.settings import HttpSettings
from limo.stages.train import Method

ROOT = Path(__file__).resolve().parents[1]
TREES = ("CONTRIBUTING.md",)
COMMANDS = "docs/commands.md"
BEGIN, END = "<!-- tree: written by `make docs` -->", "<!-- end of tree -->"
MODELS = "docs/pocket.md"
WEIGHTS = "src/limo/experiments/pocket/weights"
MODELS_BEGIN, MODELS_END = "<!-- models: written by `make docs` -->", "<!-- end of models -->"
FIELDS = {"docs/train.md": get_args(get_args(Method)[0]), "docs/rollouts.md": (HttpSettings,)}
FIELDS_BEGIN, FIELDS_END = "<!-- fields: written by `make docs` -->", "<!-- end of fields -->"
# Folders of data stand in one line, and so do files that cannot hold a comment.
DATA = {
    "src/limo/curate/scorers/words/": "the word lists of the three counted traits, English and Chinese",
    "src/limo/experiments/pocket/weights/": "the shipped pocket models, a folder each, with their cards",
    "src/limo/report/templates/": "the page: its frame, parts, style and script",
    "src/limo/report/view/templates/": "the pages of `limo view`: list, problem, style",
    "src/limo/py.typed": "tells type checkers that the package brings its types",
}


def tracked(under: str) -> list[str]:
    """Files under a folder that git tracks; all of them where there is no git."""
    command = ["git", "ls-files", "--cached", under]
    if (ROOT / ".git").exists() and shutil.which("git"):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        names = done.stdout.splitlines()
    else:
        names = [str(path.relative_to(ROOT)) for path in (ROOT / under).rglob("*") if "__pycache__" not in path.parts]
    return sorted(name for name in names if (ROOT / name).is_file())


def tree() -> str:
    """Every file of the package with what it is for, one a line."""
    lines: dict[str, str] = {}
    for name in tracked("src/limo"):
        data = next((folder for folder in DATA if name.startswith(folder)), None)
        place = data or (name.removesuffix("__init__.py") if name.endswith("__init__.py") else name)
        lines[place] = DATA[data] if data else described(ROOT / name)
        for folder in Path(place).parents[:-2]:  # one without a line of its own still has its place
            lines.setdefault(f"{folder}/", "")
    shown = [(_indented(place), what) for place, what in sorted(lines.items(), key=lambda line: _order(line[0]))]
    width = max(len(place) for place, _ in shown)
    return "\n".join(["```", *(f"{place.ljust(width)}  {what}".rstrip() for place, what in shown), "```"])


def described(path: Path) -> str:
    """The first line of a module's docstring, or the first sentence of a data file's head comment."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        head = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].partition(".  ")[0]
    else:
        comment = " ".join(re.sub(r"^# ?", "", line) for line in text.splitlines()[:3] if line.startswith("#"))
        head = comment.partition(". ")[0]
    if not head.strip():
        raise SystemExit(f"{path.relative_to(ROOT)} does not say what it is for: give it a docstring or a head comment")
    return head.strip().rstrip(".:")


def _order(place: str) -> list[tuple[int, str]]:
    """Folders before files, each folder right before what is in it."""
    parts = place.removesuffix("/").split("/")
    last = len(parts) - 1
    return [(0 if n < last or place.endswith("/") else 1, part) for n, part in enumerate(parts)]


def _indented(place: str) -> str:
    parts = place.removeprefix("src/").removesuffix("/").split("/")
    return "  " * (len(parts) - 1) + parts[-1] + ("/" if place.endswith("/") else "")


def commands() -> str:
    """`--help` of every command, as it is printed."""
    pages = [f"## {page.command_path}\n\n{_help(page)}" for page in _walk(_page(root, "limo"))]
    return "\n\n".join(["# Commands\n\nWritten by `make docs` from `limo COMMAND --help`.", *pages]) + "\n"


def _walk(page: click.Context) -> Iterator[click.Context]:
    yield page
    if isinstance(page.command, click.Group):
        for name, command in sorted(page.command.commands.items()):
            yield from _walk(_page(command, name, page))


def _page(command: click.Command, name: str, above: click.Context | None = None) -> click.Context:
    settings = command.context_settings if above is None else {}
    return click.Context(command, above, name, **{**settings, "terminal_width": 100, "max_content_width": 100})


def _help(page: click.Context) -> str:
    return f"```\n{page.get_help().rstrip()}\n```"


def models() -> str:
    """What each shipped pocket model was made of and what it can do, in percent, from its card."""
    cards = [json.loads(f.read_text(encoding="utf-8")) for f in sorted((ROOT / WEIGHTS).glob("*/card.json"))]
    students = [card for card in cards if card["plan"]["mixture"] != "teacher"]
    head = (
        "model|parameters|layers x width|tokens, millions|seconds|practice|dose|default|begun|plain|1 modifier|2|steps"
    )
    head += "|able|willing|facts|rarest|pass@1|pass@256|sound@256"
    rows = [head.split("|"), ["---"] + ["--:"] * head.count("|"), *map(_student_row, students)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    for card in cards:
        if card["plan"]["mixture"] == "teacher":
            styles = {name: values for name, values in card["premise"].items() if "all" in values}
            lines += ["", f"| {card['name']} | {' | '.join(styles)} |", "|---" + "|--:" * len(styles) + "|"]
            for measure in ("all", "0 modifiers", "1 modifiers", "2 modifiers"):
                cells = " | ".join(_percent(values[measure]) for values in styles.values())
                lines.append(f"| {measure.replace('1 modifiers', '1 modifier')} | {cells} |")
            lines.append(f"| tokens | {' | '.join(str(round(values['tokens'])) for values in styles.values())} |")
    return "\n".join(lines)


def fields(settings: Sequence[type[Settings]]) -> str:
    """Every field of these settings with its default; which kinds have it so, where there are several."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for one in settings:
        for name, field in one.model_fields.items():
            default = json.dumps(field.get_default(call_default_factory=True))
            if name != "kind":
                kinds.setdefault((name, default, field.description or ""), []).append(one.__name__)
    rows = []
    for (name, default, meaning), having in kinds.items():
        of = ", ".join(f"`{one.removesuffix('Settings').lower()}`" for one in having)
        cells = [f"`{name}`", *([of if len(having) < len(settings) else "all"] * (len(settings) > 1)), f"`{default}`"]
        rows.append([*cells, meaning.replace("|", "\\|")])
    head = ["field", *["kinds"] * (len(settings) > 1), "default", "meaning"]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _student_row(card: dict[str, Any]) -> list[str]:
    plan, premise = card["plan"], card["premise"]
    begun, facts = premise["begun"], premise["facts"]["forward"] + premise["facts"]["inverse"]
    made = f"{card['n_tokens'] / 1e6:.1f}", str(card["seconds"]), plan["mixture"], f"{plan['dose']:g}"
    modifiers = [begun[f"{n} modifiers"] for n in range(3)]
    means = [sum(premise[name].values()) / len(premise[name]) for name in ("able", "willing")]
    rarest = (premise["facts"]["forward"][-1] + premise["facts"]["inverse"][-1]) / 2
    shares = [
        premise["default"]["all"],
        begun["all"],
        *modifiers,
        begun["steps"],
        *means,
        sum(facts) / len(facts),
        rarest,
    ]
    shares += [premise["pass_1"], premise["pass_256"], premise["sound_256"]]
    size = f"{plan['layers']} x {plan['hidden']}"
    return [card["name"], f"{card['n_parameters']:,}", size, *made, *map(_percent, shares)]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _filled(text: str, begin: str, end: str, inner: str) -> str:
    return f"{text.split(begin)[0]}{begin}\n{inner}\n{end}{text.split(end)[1]}"


def written() -> dict[str, str]:
    """File -> what should stand in it."""
    pages = {COMMANDS: commands()}
    for name in TREES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if BEGIN in text:
            pages[name] = _filled(text, BEGIN, END, tree())
    pages[MODELS] = _filled(_read(MODELS), MODELS_BEGIN, MODELS_END, models())
    pages |= {name: _filled(_read(name), FIELDS_BEGIN, FIELDS_END, fields(of)) for name, of in FIELDS.items()}
    return pages


def stale() -> list[str]:
    """Files that differ from what the code says."""
    pages = written()
    return [name for name, text in pages.items() if not (ROOT / name).exists() or _read(name) != text]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    names = stale()
    if "--check" in sys.argv:
        sys.exit(f"stale, run `make docs`: {', '.join(names)}" if names else 0)
    for page in names:
        (ROOT / page).write_text(written()[page], encoding="utf-8")
        print(f"wrote {page}")
