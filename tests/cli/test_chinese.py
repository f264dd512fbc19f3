"""`--lang zh`: every part of every error has its entry, and the commands of a first day print no English sentence."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import limo as package
from limo.core import errors
from limo.core.language import _pack, translated

ROOT = Path(package.__file__).parent
ERRORS = {name for name in vars(errors) if name.endswith("Error")} | {"foreign_data"}
PARTS = {0: "what", 2: "allowed", 3: "do"}
# Not prose: what is quoted or code, paths and options, words with capitals, digits, dots or underscores.
NO_PROSE = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\{[^}]*\}|limo \w+|pip install \S+|\S*[-/._=:A-Z0-9{\[]\S*")
ENGLISH = re.compile(r"\b[a-z]{2,} [a-z]{2,}\b")


def english(text: str) -> list[str]:
    """Runs of English words in a text that is to be Chinese."""
    return ENGLISH.findall(NO_PROSE.sub("|", text))


def literals(node: ast.expr | None, module: ast.Module, names: frozenset[str] = frozenset()) -> Iterator[str]:
    """The texts that an argument can be: literals, f-strings with 7 for what varies, names by their assignments."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (text for branch in (node.body, node.orelse) for text in literals(branch, module, names))
    elif isinstance(node, ast.Name) and node.id not in names:
        for assigned in (one for one in ast.walk(module) if isinstance(one, ast.Assign)):
            for target in assigned.targets:
                pairs = [(target, assigned.value)]
                if isinstance(target, ast.Tuple) and isinstance(assigned.value, ast.Tuple):
                    pairs = list(zip(target.elts, assigned.value.elts, strict=True))
                for name, value in pairs:
                    if isinstance(name, ast.Name) and name.id == node.id:
                        yield from literals(value, module, names | {node.id})


def parts_of_errors() -> Iterator[tuple[str, str]]:
    """Where, and the text of, each part of each error that the code raises."""
    for path in sorted(ROOT.rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if name not in ERRORS:
                continue
            why = " (7)" if name == "foreign_data" else ""  # what went wrong in reading, as Python says it
            given = {PARTS[k]: value for k, value in enumerate(call.args) if k in PARTS}
            given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg in PARTS.values()}
            for part, value in given.items():
                where, end = f"{path.relative_to(ROOT)}:{call.lineno}", why if part == "what" else ""
                yield from ((where, text + end) for text in literals(value, module))


def test_every_part_of_an_error_has_an_entry():
    parts = list(parts_of_errors())
    assert len(parts) > 500
    untranslated = [f"{where}: {text}" for where, text in parts if english(translated(text, "zh"))]
    assert not untranslated, "add to core/language.zh.yaml:\n" + "\n".join(dict.fromkeys(untranslated))


def test_an_english_sentence_is_found_and_code_is_not():
    assert english("没有 rollouts of this 模型") and english("in the ledger")
    assert not english("请运行 limo curate mine.yaml，查看 `a b c` 与 'not this one'，runs/of/it")


@pytest.fixture
def small(world):
    """The files of a first day: labelled rows, chains, graded rows, two score files."""
    rows = [{"answer": "2", "completion": "\\boxed{2}", "expected": True, "kind": "sum"},
            {"answer": "2", "completion": "\\boxed{3}", "expected": True, "kind": "sum"}]  # fmt: skip
    chains = [{"problem": f"What is {k} + {k}?", "text": f"First {k}. Let me check. {'so ' * k}"} for k in range(9)]
    (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (world / "chains.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chains))
    model = {"kind": "replay", "files": ["said.jsonl"]}
    for name in ("weak", "strong"):
        recipe = {"data": str(world), "benchmarks": {"held-out": "pool.jsonl"}, "model": {**model, "name": name}}
        (world / f"{name}.yaml").write_text(yaml.safe_dump(recipe | {"decoding": {"n": 1}, "protocol": "own"}))
    return world


COMMANDS = """
lab --dry-run
experiment
experiment rq1 --dry-run
doctor
init pool.jsonl -o mine
pool ingest pool.jsonl nothing.jsonl -o a.parquet --dropped dropped.jsonl
pool dedup a.parquet -o b.parquet
pool decontaminate b.parquet --benchmark held=held_out.jsonl -o c.parquet
pool decontaminate b.parquet --benchmark held=held_out.jsonl --check
pool strata pool.jsonl by=stated -o strata
benchmarks list
benchmarks list --path .
plan recipe.yaml --run run
curate recipe.yaml --run run --dry-run
curate recipe.yaml --run run --workers 1
curate recipe.yaml --run run --workers 1
curate recipe.yaml select.k=2 --run run --workers 1
status run
status mine
ledger show run
ledger merge run -o merged.sqlite
ledger export run -o rollouts.parquet
export run -o set.jsonl
verify rows.jsonl -o verified.jsonl --workers 1
verify rows.jsonl --audit --workers 1
verify run --ledger --workers 1
grade chains.jsonl -o graded.jsonl
grade chains.jsonl --audit scorer=structure
select graded.jsonl k=20 -o selected.jsonl
evaluate weak.yaml --run weak --dry-run
evaluate weak.yaml --run weak --workers 1
evaluate strong.yaml --run strong --workers 1
compare weak strong
compare weak strong --self-test
compare weak
compare weak strong run
curate recipe.yaml filters.0.low=5 --run other
curate recipe.yaml teachr=1 select.k=many
evaluate weak.yaml benchmarks.x=none.jsonl
train train-v2 dataset=none.jsonl model=nowhere
report run
report none
view none
curate
curate --nothing
"""


def test_the_commands_of_a_first_day_print_no_english_sentence(limo, small, monkeypatch):
    monkeypatch.chdir(small)
    monkeypatch.setenv("LIMO_LANG", "zh")
    (small / "nothing.jsonl").write_text('{"problem": "Which is it?"}\n[]\n')
    printed = {}
    for command in filter(None, COMMANDS.splitlines()):
        code, out, err = limo(*command.split())
        assert code in (0, 2), (command, err)
        printed |= dict.fromkeys((out + err).splitlines(), command)
    untranslated = [f"{command}: {line}" for line, command in printed.items() if english(line)]
    assert not untranslated, "add to core/language.zh.yaml:\n" + "\n".join(untranslated)


def test_no_pattern_takes_a_line_apart_that_another_pattern_begins():
    """`models: {models}` comes before `{model} (context unknown)`, which would take its head for a model."""
    assert translated("models: tiny (context unknown), big (context 8,192)", "zh") == (
        "模型：tiny（上下文长度未知），big（上下文 8,192）"
    )
    assert not _pack("zh").patterns[0][0].pattern.startswith("(?P")
