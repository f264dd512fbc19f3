"""`--lang zh`: every part of every error has its entry, and the commands of a first day print no English sentence."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import limo as package
from limo.core import errors
from limo.core.language import _FOREIGN, _KEPT, _pack, translated
from limo.core.recipe import load
from limo.stages.curate import Recipe as CurateRecipe

ROOT = Path(package.__file__).parent
ERRORS = {name for name in vars(errors) if name.endswith("Error")} | {"foreign_data"}
PARTS = {0: "what", 2: "allowed", 3: "do"}
# Not prose: what is quoted or code, paths and options, words with capitals, digits, dots or underscores.
NO_PROSE = re.compile(
    r"`[^`]*`|'[^']*'|\"[^\"]*\"|\{[^}]*\}|limo (?:pool |ledger |benchmarks )?\w+|--[\w-]+ [\w=]+|pip install \S+"
    r"|[!-~]*[-/._=:A-Z0-9{\[][!-~]*"
)
WORD = re.compile(r"(?<![\w.])[a-z]{2,}(?![\w.])")
# Names that stay as they are: of packages, experiments, roles, keys of recipes, formats, values that one writes.
NAMES = re.findall(
    r"\w+",
    """
accelerate alignment answer apt assistant bitsandbytes choice compare completion cpu curate datasets ddp deepspeed
details device diversity dtype elicited eval evalscope evaluate exact expected export false fields filter finish
grpo headline held hf high hub id index init inspect install integers judge kind level lighteval limo local log logits
logs lora low maths messages meta model numeric numpy packing peft plain plan problem prompt prompts pyarrow
python qlora question rational ray reasoning recording reinforcement response reviews run safetensors samples save
score seed sensitivity sft shuffled slurm solution stop strong structure sum system teachr text think torch train
transformers trl true user value verify vllm weak wrong length many curat openai sharegpt llamafactory axolotl
""",
)
UNRESOLVED = re.compile(r"(?:^|[:,.] ?)7(?:[,:]|$)")  # a blank that holds more than a name or number, as `7: 7, 7`
HALF_WIDTH = re.compile(
    r"(?<=[\u4e00-\u9fff])[,;:!?]|[,;:!] ?(?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])"
)


def english(text: str) -> list[str]:
    """English words, other than names, in a text that is to be Chinese."""
    return [word for word in WORD.findall(NO_PROSE.sub("|", text)) if word not in NAMES]


def literals(node: ast.expr | None, module: ast.Module, names: frozenset[str] = frozenset()) -> Iterator[str]:
    """The texts that an argument can be: literals, f-strings with 7 for what varies, names by their assignments."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (text for branch in (node.body, node.orelse) for text in literals(branch, module, names))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = (list(literals(side, module, names)) or ["7"] for side in (node.left, node.right))
        yield from (one + other for one in left for other in right)
    elif isinstance(node, ast.BoolOp):
        yield from (text for value in node.values for text in literals(value, module, names))
    elif isinstance(node, ast.Name) and node.id not in names:
        for value in assigned(module).get(node.id, ()):
            yield from literals(value, module, names | {node.id})


@functools.cache
def assigned(module: ast.Module) -> dict[str, list[ast.expr]]:
    """What a module assigns to a name, by the name."""
    values: dict[str, list[ast.expr]] = {}
    for node in nodes(module, ast.Assign):
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    values.setdefault(name.id, []).append(value)
    return values


@functools.cache
def nodes(module: ast.Module, kind: type[ast.AST]) -> list[Any]:
    """The nodes of a kind in a module, which several checks look at."""
    return [node for node in ast.walk(module) if isinstance(node, kind)]


@functools.cache
def modules() -> dict[str, ast.Module]:
    """The modules of the package by their files."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))
    }


def parts_of_errors() -> Iterator[tuple[str, str]]:
    """Where, and the text of, each part of each error that the code raises."""
    for path, module in modules().items():
        for call in nodes(module, ast.Call):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if name not in ERRORS:
                continue
            why = " (7)" if name == "foreign_data" else ""  # what went wrong in reading, as Python says it
            given = {PARTS[k]: value for k, value in enumerate(call.args) if k in PARTS}
            given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg in PARTS.values()}
            for part, value in given.items():
                where, end = f"{path}:{call.lineno}", why if part == "what" else ""
                yield from ((where, text + end) for text in literals(value, module))


def test_every_part_of_an_error_has_an_entry():
    parts = list(parts_of_errors())
    assert len(parts) > 500
    untranslated = [f"{where}: {text}" for where, text in parts if english(translated(text, "zh"))]
    assert not untranslated, "add to core/language.zh.yaml:\n" + "\n".join(dict.fromkeys(untranslated))


def texts_of(method: str, place: int) -> Iterator[tuple[str, str]]:
    """Where, and the text of, an argument of each call of a method: what is logged, the names of stages, results."""
    for path, module in modules().items():
        for call in nodes(module, ast.Call):
            if len(call.args) > place and isinstance(call.func, ast.Attribute) and call.func.attr == method:
                for text in literals(call.args[place], module):
                    yield f"{path}:{call.lineno}", text


def stages_in_variables() -> Iterator[tuple[str, str]]:
    """Where, and the text of, each name of a stage that is assigned, or given by its keyword or default."""
    for path, module in modules().items():
        given = [(node, node.value) for node in nodes(module, ast.Assign) if "stage" in map(ast.unparse, node.targets)]
        given += [(word.value, word.value) for word in nodes(module, ast.keyword) if word.arg == "stage"]
        for each in nodes(module, ast.FunctionDef):
            names = [argument.arg for argument in each.args.args][::-1]
            given += [(one, one) for name, one in zip(names, each.args.defaults[::-1], strict=False) if name == "stage"]
        for node, value in given:
            yield from ((f"{path}:{node.lineno}", text) for text in literals(value, module))


def steps_of_recipes() -> Iterator[tuple[str, str]]:
    """The step that `limo status` names as the next, of every kind of shipped recipe, but for filters' own names."""
    for name in ("limo-v1", "limo-v2", "replay"):
        recipe = load(CurateRecipe, name, ["data=/"])
        filters = [one.name for one in recipe.filters]
        steps = [step for step in recipe.run_steps() if step not in filters and not step.endswith(".json")]
        yield from ((name, f"next: {step}") for step in [*steps, "evaluate", "rollouts", "rollouts 1", "teacher 1"])


def test_every_step_and_stage_has_a_name_in_chinese():
    """One English word is taken for a name elsewhere (`limo evaluate`), so here every name must change."""
    found = [*steps_of_recipes(), *stages_in_variables()]
    assert len(found) > 20 and "teacher 7 of 7" in {text for _, text in found}
    same = [f"{where}: {text}" for where, text in found if re.search("[a-z]", translated(text, "zh"))]
    assert not same, "add to core/language.zh.yaml:\n" + "\n".join(dict.fromkeys(same))


def test_what_one_types_is_offered_as_it_is_typed():
    """Though `train` and `evaluate` have entries, as names of stages."""
    for line in ("No such command 'evaluat'. Did you mean 'evaluate'?", "did you mean 'train'?"):
        assert line.split("'")[-2] in translated(line, "zh")


def fields_of_stages() -> Iterator[tuple[str, str]]:
    """Where, and the name of, each figure that is shown beside the bar of a stage."""
    for path, module in modules().items():
        for call in nodes(module, ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "advance":
                for name in (keyword.arg for keyword in call.keywords if keyword.arg):
                    yield f"{path}:{call.lineno}", name.replace("_", " ") + " 7"


def test_every_line_that_is_logged_or_a_result_has_an_entry():
    logged = [(where, re.sub(r"%\.?\d*[sdf]", "7", text)) for where, text in texts_of("warning", 0)]
    assert len(logged) > 4
    lines = [*logged, *texts_of("log", 0), *texts_of("stage", 0), *texts_of("result", 1), *fields_of_stages()]
    assert len(lines) > 60
    whole = [(where, text) for where, text in lines if not UNRESOLVED.search(text)]
    untranslated = [f"{where}: {text}" for where, text in whole if english(translated(text, "zh"))]
    assert not untranslated, "add to core/language.zh.yaml:\n" + "\n".join(dict.fromkeys(untranslated))


PACK = yaml.safe_load((ROOT / "core" / "language.zh.yaml").read_text(encoding="utf-8"))
CHINESE_FILES = ("report/words", "stages/reports/texts", "experiments/questions", "experiments/pocket/report")


def test_a_line_with_english_words_that_have_no_entry_stays_english_whole():
    """The last blank that is not of foreign words holds some."""
    halves, n_blanks = [], 0
    for source in PACK:
        words = [name for name in re.findall(r"{(\w{2,})}", source) if name not in {*_KEPT, _FOREIGN}]
        line = re.sub(r"{\w}", "7", source)
        for name in words:
            line = line.replace(f"{{{name}}}", "name" if name != words[-1] else "words that nobody translated")
        line = re.sub(r"{\w+}", "'x'", line)
        n_blanks += bool(words)
        halves += [line] if words and translated(line, "zh") != line else []
    assert n_blanks > 100
    assert not halves, "\n".join(f"{line}: {translated(line, 'zh')}" for line in halves)


def chinese_of(value: object) -> Iterator[str]:
    """Every Chinese text of a file of words."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from chinese_of(one)
    elif isinstance(value, str) and re.search("[\u4e00-\u9fff]", value):
        yield value


def test_chinese_texts_have_no_half_width_marks_nor_spaces_between_characters():
    texts = [*PACK.values()]
    for name in CHINESE_FILES:
        texts += chinese_of(yaml.safe_load((ROOT / f"{name}.yaml").read_text(encoding="utf-8")))
    assert len(texts) > 1500
    faults = [text for text in texts if HALF_WIDTH.search(NO_PROSE.sub("|", text))]
    assert not faults, "\n".join(faults)
    assert (
        HALF_WIDTH.search("答错 99; 与")
        and HALF_WIDTH.search("0.0 秒 前")
        and not HALF_WIDTH.search("用 limo，再 a, b")
    )


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
init damaged.jsonl -o damaged
init damaged.jsonl -o damaged --model nobody/nowhere
curate recipe.yaml --rn run
curate --run
curat
status run --json=1
evaluate weak.yaml --workers 0
evaluate weak.yaml --workers many
export run --to mine -o set.jsonl
"""


def test_the_commands_of_a_first_day_print_no_english_sentence(limo, small, monkeypatch):
    monkeypatch.chdir(small)
    monkeypatch.setenv("LIMO_LANG", "zh")
    (small / "nothing.jsonl").write_text('{"problem": "Which is it?"}\n[]\n')
    (small / "damaged.jsonl").write_text('{"problem": "Which is it?", "answer": "2"}\n{"problem":\n')
    printed = {}
    for command in filter(None, COMMANDS.splitlines()):
        code, out, err = limo(*command.split())
        assert code in (0, 2), (command, err)
        printed |= dict.fromkeys((out + err).splitlines(), command)
    assert not [line for line in printed if HALF_WIDTH.search(NO_PROSE.sub("|", line.split("  ")[0]))]
    untranslated = [f"{command}: {line}" for line, command in printed.items() if english(line)]
    assert not untranslated, "add to core/language.zh.yaml:\n" + "\n".join(untranslated)


def test_no_pattern_takes_a_line_apart_that_another_pattern_begins():
    """`models: {models}` comes before `{model} (context unknown)`, which would take its head for a model."""
    assert translated("models: tiny (context unknown), big (context 8,192)", "zh") == (
        "模型：tiny（上下文长度未知），big（上下文 8,192）"
    )
    assert not _pack("zh").patterns[0][0].pattern.startswith("(?P")
