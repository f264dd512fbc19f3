"""`limo init` and `limo status`, and the mistakes of the first ten minutes: each is one line that says what to do."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest
import yaml
from test_documented_commands import parse

from limo.cli.start import _status
from limo.core.files import locked, write_json
from limo.core.heartbeat import announced
from limo.core.progress import NoProgress, duration
from limo.core.recipe import load
from limo.core.records import Completion, Rollout
from limo.core.run_folder import RunFolder
from limo.experiments.arms import load_questions
from limo.experiments.pocket.lab import PocketRecipe
from limo.experiments.results import Measurement
from limo.ledger.schema import MIGRATIONS
from limo.ledger.store import Ledger, Usage
from limo.models.replay_server import ReplayServer, ReplayServerSettings
from limo.models.server_info import ServedModel
from limo.stages import curate, evaluate, init, train
from limo.stages.doctor import has_gpu
from limo.stages.init import CPU_TRAINING, held_out_of
from limo.stages.rollouts import ingest_sources
from limo.stages.status import RunStatus

HAN = re.compile("[\u4e00-\u9fff]")


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


ROWS = [{"nr": i, "stem": f"Ada buys {i} apples and {i} pears: how many?", "key": str(2 * i)} for i in range(40)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines(tmp_path / "shop.jsonl", ROWS)
    return tmp_path


@pytest.mark.parametrize(
    ("device", "hidden", "build", "has"),
    [("nvidia0", None, "2.9.0", True), ("nvidia0", "", "2.9.0", False), ("nvidia0", None, "2.9.0+cpu", False),
     ("kfd", None, "2.9.0", True), ("nvidiactl", None, "2.9.0", False)],
)  # fmt: skip
def test_a_gpu_is_here_with_its_device_unless_it_is_hidden_or_torch_is_for_cpus(
    tmp_path, monkeypatch, device, hidden, build, has
):
    (tmp_path / device).touch()
    monkeypatch.setattr("limo.stages.doctor.DEVICES", tmp_path)
    monkeypatch.setattr("limo.stages.doctor.version", lambda name: build)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert has_gpu() is has


SMALL = "pool.limit=50 chains.boxed=false filters.0.n=3 filters.0.high=2 filters.0.sampling.max_tokens=512"


@pytest.mark.parametrize("gpu", [True, False])
def test_where_there_is_no_gpu_the_commands_are_those_of_a_cpu_as_the_pages_have_them(limo, here, monkeypatch, gpu):
    monkeypatch.setattr("limo.stages.init.has_gpu", lambda: gpu)
    out = limo("init", "shop.jsonl", "--model", "owner/base")[1]
    assert ("no GPU was found here" in out) is not gpu
    commands = [line for line in out.splitlines() if line.startswith(("limo train", "limo evaluate"))]
    assert len(commands) == 4
    for command in commands:
        words = CPU_TRAINING if command.startswith("limo train") else "decoding.n=1 decoding.max_tokens=512"
        assert (f" {words} --run " in command) is not gpu
        assert gpu == (not re.search("method[.]|decoding[.]", command))
        parse(command, complete=True)
    small = [line.partition(": ")[2] for line in out.splitlines() if line.startswith("  # for a first run of minutes")]
    assert small == [] if gpu else [SMALL]
    recipe = load(curate.Recipe, "limo-shop/mine.yaml", small[0].split() if small else [])
    assert (recipe.filters[0].n, recipe.filters[0].sampling.max_tokens) == ((8, 4096) if gpu else (3, 512))
    assert "服务器没有 GPU 时" in limo("init", "shop.jsonl", "--replace", "--lang", "zh")[1] or gpu
    for page in ("README.md", "README.zh-CN.md", "docs/index.zh.md"):
        text = (Path(__file__).resolve().parents[2] / page).read_text(encoding="utf-8")
        assert re.search(rf"train.yaml {re.escape(CPU_TRAINING)} --run|# .*: {re.escape(CPU_TRAINING)}\n", text)
        assert "decoding.n=1 decoding.max_tokens=512" in text
        assert SMALL in text


@pytest.mark.parametrize(
    "name", ["two\nlines: 1.jsonl", "next\x85line\u2028: 2.jsonl", "a\x1b[1m.jsonl", 'it\'s "so".jsonl']
)
def test_a_files_name_stays_in_the_comment_of_its_recipe(limo, here, name):
    lines(here / name, ROWS)
    code, _, err = limo("init", name, "-o", "mine")
    assert code == 0, err
    head = (here / "mine/mine.yaml").read_bytes().decode().split("\n\n")[0]
    assert head.startswith("# Curation of ") and len(head.splitlines()) == 1 and head.isprintable()


def test_recipes_and_commands_fit_the_file_and_the_server(limo, here):
    said = [{"problem": r["stem"], "model": m, "index": 0, "text": "?"} for r in ROWS for m in ("big-7B", "tiny-0.5B")]
    lines(here / "said.jsonl", said)
    with ReplayServer([here / "said.jsonl"], ReplayServerSettings()).running(0) as url:
        code, out, err = limo("init", "shop.jsonl", "--server", url, "-o", "mine")
    assert code == 0, err
    assert "columns: problem=stem, answer=key" in out and "10 are held out" in out
    assert "a score near 50% on 10 problems is known to ±30 points" in out and "--hold-out N" in out
    assert "look at: few problems are held out: " in out and "points (10 problems, " in out
    recipe = yaml.safe_load((here / "mine/mine.yaml").read_text())
    assert [one["models"][0]["name"] for one in recipe["filters"]] == ["tiny-0.5B", "big-7B"]
    assert "a weak model drops" in (here / "mine/mine.yaml").read_text()
    assert limo("init", "shop.jsonl", "-o", "one")[0] == 0
    assert "one model keeps" in (head := (here / "one/mine.yaml").read_text()) and "weak" not in head
    commands = [line for line in out.splitlines() if line.startswith("limo ")]
    assert len(commands) == 9
    assert '"name": "big-7B"' in commands[6] and commands[7].endswith("mine/runs/teacher")
    for command in commands:
        parse(command, complete=True)
    plan = shlex.split(commands[0])[1:]
    code, out, err = limo(*plan)
    assert code == 0 and "weak_filter" in out, err


def test_the_held_out_problems_leave_the_pool(limo, here):
    assert limo("init", "shop.jsonl", "-o", "mine")[0] == 0
    held_out = [json.loads(line) for line in (here / "mine/held_out.jsonl").read_text().splitlines()]
    assert len(held_out) == 10 and set(held_out[0]) == {"problem", "answer"}
    recipe = load(curate.Recipe, "mine/mine.yaml")
    assert recipe.resolve("held_out.jsonl") == str(here / "mine/held_out.jsonl")
    assert load(evaluate.Recipe, "mine/evaluate.yaml").load_benchmarks()["held-out"][0].answer
    assert load(train.Recipe, "mine/train.yaml").dataset == str(here / "mine/runs/mine/selected")
    steps = json.loads(limo("plan", "mine/mine.yaml", "--json")[1].splitlines()[-1])["steps"]
    assert steps[0]["n_problems"] == 30, "those held out are neither counted nor tried by a pilot"


def test_the_verifier_is_proposed_by_the_answers_with_two_of_them(limo, here):
    units = ("N", "m/s^2", "cm", "kg")
    rows = [{"stem": f"A {k} kg block: what is it after {k} s?", "key": f"{k}.5 {units[k % 4]}"} for k in range(40)]
    lines(here / "physics.jsonl", [*rows, {"stem": "Why does the block move?", "key": "see above"}, {"stem": ""}])
    out = limo("init", "physics.jsonl", "-o", "physics")[1]
    told = re.search(r"verifier: numeric, since 98% of the answers are numbers with a unit, as '(.*)', '(.*)'", out)
    assert told and told[1] != told[2] and "2% of the answers cannot be checked by numeric" in out
    assert "'see above' (the answer is no number)" in out and "rows left out: no problem text 1" in out
    for name, kind in (("mine", curate), ("evaluate", evaluate)):
        assert load(kind.Recipe, f"physics/{name}.yaml").verifier.kind == "numeric"
    rows = [{"question": f"{k} and {k}?", "choices": ["0", f"{2 * k}"], "answer": "AB"[k % 3 > 0]} for k in range(9)]
    lines(here / "choice.jsonl", rows)
    out = limo("init", "choice.jsonl", "-o", "choice")[1]
    assert "verifier: choice, since 100% of the answers name an option, as '" in out
    assert load(curate.Recipe, "choice/mine.yaml").verifier.kind == "choice"
    out = limo("init", "shop.jsonl", "-o", "shop")[1]
    assert "verifier: maths, since 100% of the answers can be compared" in out
    assert "\nverifier" not in (here / "shop/mine.yaml").read_text(), "a default is not repeated"


def test_an_odd_column_is_named_with_the_columns_there_are(limo, here):
    rows = [{"question": f"What is {k} times {k + 3}?", "answer": "inf points", "value": k * k} for k in range(9)]
    lines(here / "odd.jsonl", rows)
    out = limo("init", "odd.jsonl", "-o", "odd")[1]
    assert "look at: 100% of the answers are 'inf points'" in out and "--field answer=COLUMN" in out
    assert "there are: 'question', 'answer', 'value'" in out
    out = limo("init", "odd.jsonl", "-o", "mended", "--field", "answer=value")[1]
    assert "columns: answer=value" in out and "inf points" not in out and "--field" not in out


def test_as_many_problems_are_held_out_as_the_user_says_or_the_file_bears(limo, fault, here):
    assert [held_out_of(n) for n in (2, 40, 200, 300, 1000, 10**5)] == [1, 10, 50, 50, 100, 200]
    out = limo("init", "shop.jsonl", "-o", "mine", "--hold-out", 20)[1]
    assert "20 are held out" in out and len((here / "mine/held_out.jsonl").read_text().splitlines()) == 20
    assert "1 to 39 problems" in fault("init", "shop.jsonl", "-o", "more", "--hold-out", 40)
    lines(here / "large.jsonl", [{**ROWS[0], "stem": f"How many are {k} and {k}?"} for k in range(1000)])
    assert "--hold-out" not in limo("init", "large.jsonl", "-o", "large")[1], "100 problems are no few"


@pytest.mark.parametrize(("rows", "said"), [
    (ROWS[3:4], r"holds one problem, and one has to be held out: .*add problems to it$"),
    (ROWS[3:4] * 3, r"too few problems with answers \(1; said before 2\).*add problems, or name other"),
    ([ROWS[3], {**ROWS[4], "key": ""}], r"too few .* \(1; no answer 1\): .*'problem': 'stem'"),
    ([{**row, "key": ""} for row in ROWS[3:6]], r"too few .* \(0; no answer 3\).*of columns 'nr', 'stem', 'key'\)"),
])  # fmt: skip
def test_a_file_with_too_few_problems_says_how_many_there_are_and_why_not_more(fault, here, rows, said):
    lines(here / "few.jsonl", rows)
    assert re.search(said, fault("init", "few.jsonl", "--field", "problem=stem", "--field", "answer=key", "-o", "few"))
    assert not (here / "few").exists()


def test_the_weights_to_train_are_the_user_s_and_never_the_server_s_name(limo, fault, here):
    out = limo("init", "shop.jsonl", "-o", "mine")[1]
    assert "which weights to train is not known" in out and "train.yaml model=FOLDER_OR_HUB_NAME " in out
    for command in (
        ("plan", "mine/train.yaml"),
        ("train", "mine/train.yaml"),
        ("train", "mine/train.yaml", "--show-batch"),
    ):
        assert "a folder of weights, or a name on the hub" in fault(*command)
    (here / "base").mkdir()
    out = limo("init", "shop.jsonl", "-o", "ours", "--model", "base")[1]
    assert "which weights" not in out and load(train.Recipe, "ours/train.yaml").model == str(here / "base")
    assert load(evaluate.Recipe, "ours/evaluate.yaml").model.path == str(here / "base")
    assert "which weights" not in limo("init", "shop.jsonl", "-o", "hub", "--model", "Qwen/Qwen2.5-0.5B")[1]
    assert load(train.Recipe, "hub/train.yaml").model == "Qwen/Qwen2.5-0.5B"


def test_what_init_prints_is_chinese_in_whole_lines(limo, here):
    lines(here / "zh.jsonl", [{"题目": f"{k} 加 {k} 等于多少？", "答案": str(2 * k)} for k in range(40)])
    code, out, err = limo("init", "zh.jsonl", "-o", "mine", "--lang", "zh")
    assert code == 0, err
    assert "\n列：problem=题目, answer=答案\n" in out
    for line in out.splitlines():
        assert line.startswith("limo ") or not re.search("[a-z]{4,} [a-z]+ [a-z]+", line), line


@pytest.mark.parametrize("field", ["题目=stem", "answr=key"])
def test_a_field_that_is_none_is_named_with_those_there_are(fault, here, field):
    told = fault("init", here / "shop.jsonl", "--field", field)
    assert f"{field.partition('=')[0]} (override) is not a known key" in told and "answer" in told


def test_a_language_of_the_environment_that_is_not_printed_is_refused_with_those_that_are(limo, fault, monkeypatch):
    monkeypatch.setenv("LIMO_LANG", "cn")
    told = fault("doctor")
    assert "LIMO_LANG" in told and "'cn' (allowed: en, zh)" in told
    assert limo("doctor", "--lang", "en")[0] == 0, "--lang goes before"
    monkeypatch.setenv("LIMO_LANG", "")
    assert limo("experiment")[0] == 0


def test_the_help_of_a_command_without_words_is_not_translated_in_pieces(limo, monkeypatch):
    monkeypatch.setenv("LIMO_LANG", "zh")
    (code, _, err), (_, out, _) = limo("pool"), limo("pool", "--help")
    assert code == 2 and err.split() == out.split()


def test_a_second_init_keeps_what_was_edited_and_the_runs(limo, fault, here):
    limo("init", "shop.jsonl", "-o", "mine")
    (here / "mine/runs").mkdir()
    (here / "mine/runs/log").write_text("kept")
    assert limo("init", "shop.jsonl", "-o", "mine")[0] == 0, "the same files again"
    written = (here / "mine/mine.yaml").read_text()
    (here / "mine/mine.yaml").write_text(written + "# my own\n")
    told = fault("init", "shop.jsonl", "-o", "mine")
    assert "'mine/mine.yaml'" in told and "edit them" in told and "-o DIR" in told and "--replace" in told
    assert "# my own" in (here / "mine/mine.yaml").read_text()
    other = fault("init", "shop.jsonl", "-o", "mine", "--model", "owner/base")
    assert "train.yaml" in other and "owner/base" not in (here / "mine/train.yaml").read_text()
    assert limo("init", "shop.jsonl", "-o", "mine", "--replace")[0] == 0
    assert (here / "mine/mine.yaml").read_text() == written and (here / "mine/runs/log").read_text() == "kept"


def test_status_says_what_is_done_and_what_is_next(limo, world):
    recipe, run = load(curate.Recipe, world / "recipe.yaml"), world / "run"
    with RunFolder(run, recipe) as folder, Ledger(folder.ledger_path) as ledger:
        for stage in ("ingest", "dedup", "decontaminate", "weak_filter"):
            folder.write_stage(stage, [{"id": str(k)} for k in range(8)], [])
        ledger.add(Rollout(str(k), "strong", "p", "s", 0, Completion("?", "stop", 5, 15)) for k in range(8))
        ledger.add_seconds(80)
    before = {file.name: file.stat().st_mtime_ns for file in run.iterdir() if "sqlite-" not in file.name}
    code, out, err = limo("status", run)
    assert code == 0, err
    assert "strong: 8 rollouts, 160 tokens" in out and "weak_filter       8        0" in out
    assert (
        "next: strong_filter, 8 of at most 32 rollouts, at most 4 min left in this stage" in out
        and "last written" in out
    )
    assert out.endswith(f"no process works on it\ngo on with: limo curate {run}/recipe.yaml --run {run}\n")
    with locked(run):
        assert limo("status", run)[1].endswith("a process works on it now\n")
    assert before == {file.name: file.stat().st_mtime_ns for file in run.iterdir() if "sqlite-" not in file.name}
    with RunFolder(run, recipe) as folder:
        for stage in ("strong_filter", "chains", "grade", "select", "export"):
            folder.write_stage(stage, [{"id": "1"}], [])
    out = limo("status", run)[1]
    assert (
        out.rstrip().endswith("done") and "USD unknown, no prices are set: `price.input`" in out and "0.00" not in out
    )


@pytest.mark.parametrize(
    "content",
    [b"x: [", *(pytest.param(b, marks=pytest.mark.slow) for b in (b"", b"[]", b'{"a":' * 100_000, b"PAR1"))],
    ids=["no JSON", "empty", "a list", "deep", "a head"],
)
def test_status_of_a_run_with_a_damaged_file_names_it(limo, fault, world, content):
    assert limo("curate", world / "recipe.yaml", "--run", world / "run")[0] == 0
    top = [path for path in (world / "run").iterdir() if path.suffix in (".json", ".yaml")]
    for file in [*top, *(world / "run" / "stages").glob("*.parquet")]:
        whole = file.read_bytes()
        file.write_bytes(content)
        if file.suffix != ".json" or content != b"[]":
            assert file.name in fault("status", world / "run")
        file.write_bytes(whole)
    assert limo("status", world / "run")[0] == 0


def test_status_of_a_run_without_a_ledger_and_of_none(limo, fault, world):
    assert "a run is there from the beginning of its command on, such as limo curate" in fault("status", world / "no")
    (world / "new").mkdir()
    (world / "new/recipe.yaml").write_text("model: m\ndataset: d\n")
    code, out, _ = limo("status", world / "new")
    assert code == 0 and "stopped before its end" in out and "go on with: limo train " in out


def test_status_of_a_lab_says_which_cells_are_left_and_how_it_goes_on(limo, fault, here):
    with RunFolder("lab", load(PocketRecipe, "pocket")):
        pass
    (here / "lab/arms/limo/seed-0").mkdir(parents=True)
    code, out, err = limo("status", "lab")
    assert code == 0, err
    assert "0 of 47 cells" in out and "begun: limo-0" in out and "next of 46 left: base-0, limo-1, limo-2, ...\n" in out
    dry_run = limo("lab", "--dry-run", "--run", "lab", "--json")[1]
    expected_s = sum(json.loads(dry_run.splitlines()[-1])["expected_s"].values())
    line = f"\n{duration(expected_s)} left in this run on two quiet cores, longer on busy ones: no training is measured"
    assert line in out, "as the dry run says"
    arm = load_questions().arms["limo"]
    measured = Measurement("limo", 0, {}, arm.hash, seconds=9600.0).to_json()
    write_json(here / "lab/arms/limo/seed-0/measurement.json", measured)
    slow = limo("status", "lab")[1]
    assert "left in this run, at the pace of the trainings that are measured\n" in slow and " h " in slow
    (here / "lab/arms/limo/seed-0/measurement.json").unlink()
    assert out.endswith("no process works on it\ngo on with: limo lab --run lab\n")
    with locked(here / "lab"):
        assert "under way: limo-0" in limo("status", "lab")[1]
    assert "no arm of this lab is complete: 0 of 47 cells are measured" in fault("report", "lab")


def test_status_shows_a_model_that_its_server_names_by_a_path_by_the_last_part():
    shown = _status(RunStatus(Path("run"), True, "", {}, {"/home/x/models/m.gguf": Usage(8, 40, 120)}))
    assert shown.startswith("m.gguf: 8 rollouts, 160 tokens")


def half_finished(world):
    (world / "run/stages").mkdir(parents=True)
    (world / "run/recipe.yaml").write_text((world / "recipe.yaml").read_text())
    return "export", world / "run", "-o", world / "out.jsonl"


def old_ledger(world):
    with sqlite3.connect(world / "ledger.sqlite") as db:
        for statement_ in MIGRATIONS[0]:
            db.execute(statement_)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        db.execute(f"PRAGMA application_id = {int.from_bytes(b'LIMO', 'big')}")
    return "view", world / "ledger.sqlite"


def no_column(world):
    lines(world / "odd.jsonl", [{"a": 1, "b": [1]}] * 3)
    return "init", world / "odd.jsonl"


def wrong_column(world):
    lines(world / "odd.jsonl", [{"q": "What is 2 + 3?", "a": "5"}] * 3)
    return "pool", "ingest", world / "odd.jsonl", "--field", "problem=stem", "-o", world / "pool.parquet"


def no_gpu(world):
    from limo.experiments.pocket.models import model_path

    (world / "rows.jsonl").write_text(json.dumps({"problem": "1 + 1?", "answer": "2"}) + "\n")
    recipe = {"pool": {"sources": [str(world / "rows.jsonl")]}}
    model = {"kind": "local", "name": "m", "path": str(model_path("pocket-rich"))}
    recipe |= {"rollouts": [{"models": [model], "n": 1}]}
    (world / "local.yaml").write_text(yaml.safe_dump(recipe))
    return "rollouts", world / "local.yaml", "rollouts.0.models.0.device=cuda:99", "--run", world / "run"


def odd_benchmark(world):
    lines(world / "held_out.jsonl", [{"a": 1, "b": [1]}])
    return "curate", world / "recipe.yaml", "--dry-run"


def no_ledger(world):
    (world / "ledger.sqlite").write_text("not a database, but a text that is long enough to be taken for one" * 9)
    return "ledger", "show", world / "ledger.sqlite"


def no_key(world):
    return "init", world / "pool.jsonl", "--server", "http://127.0.0.1:9/v1", "--api-key-env", "LIMO_NO_SUCH_KEY"


MISTAKES = {
    "a wrong path": (lambda world: ("view", world / "nowhere"), "there is no such run", "check the path"),
    "a run without rollouts": (lambda world: ("view", world), "no ledger in this run", "stages without rollouts"),
    "no server": (
        lambda world: ("init", world / "pool.jsonl", "--server", "http://127.0.0.1:9/v1"),
        "does not answer", "start it",
    ),
    "an address that is none": (lambda world: ("init", world / "pool.jsonl", "--server", "gpu1"), "gpu1", "http"),
    "no key": (no_key, "the variable with the key is not set", "export LIMO_NO_SUCH_KEY=..."),
    "a ledger of a newer limo": (old_ledger, "the ledger has version", "use the limo that made it"),
    "a half-finished run": (half_finished, "no selected rows", "goes on where it stopped"),
    "columns that say nothing": (no_column, "which columns hold problem and answer", "--field problem=COLUMN"),
    "a column that is not there": (wrong_column, "there is no such column: 'stem' (allowed: q, a)", "name one of them"),
    "a field without a column": (
        lambda world: ("init", world / "pool.jsonl", "--field", "stem"), "names no column", "problem=stem"
    ),
    "no GPU": (no_gpu, "torch finds no such device here: 'cuda:99' (allowed: cpu", "limo doctor"),
    "a file that is not there": (
        lambda world: ("verify", "nope.jsonl", "-o", "v.jsonl"), "no such file", "check the path",
    ),
    "a benchmark without the column": (odd_benchmark, "a row of held-out cannot be read", "mend it"),
    "a file that is no ledger": (no_ledger, "of another program", "name another file"),
    "a recipe's name with a slip": (lambda world: ("curate", "limo-v3"), "no such recipe", "did you mean 'limo-v2'?"),
    "a report of nothing": (lambda world: ("report", "nope"), "there is no such run", "check the path"),
    "an experiment with a slip": (
        lambda world: ("experiment", "reproduc"), "no such experiment", "did you mean 'reproduce'?"
    ),
    "a plan of an evaluation": (
        lambda world: ("plan", "evaluate"), "its dry run", "limo evaluate evaluate --dry-run"
    ),
    "a GPU with a slip": (
        lambda world: ("plan", world / "recipe.yaml", "--gpu", "H10"), "GPU is not known", "did you mean 'H100'?"
    ),
    "a verifier with a slip": (
        lambda world: ("curate", world / "recipe.yaml", "verifier=numerc"), "'numerc'", "did you mean 'numeric'?"
    ),
    "a method with a slip": (
        lambda world: ("train", "train-v2", "method.kind=lra"), "'lra' but one of", "did you mean 'lora'?"
    ),
    "a choice with a slip": (
        lambda world: ("curate", world / "recipe.yaml", "grade.scale=rnk"), "'rnk'", "did you mean 'rank'?"
    ),
    "a scorer with a slip": (
        lambda world: ("grade", world / "pool.jsonl", "scorer=structur"), "'structur'", "did you mean 'structure'?"
    ),
    "a pocket model with a slip": (
        lambda world: ("pocket", "premise", "pocket-rch"), "no pocket model", "did you mean 'pocket-rich'?"
    ),
    "an experiment of another name": (lambda world: ("experiment", "rq9"), "no such experiment", "rq1"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_do(fault, world, monkeypatch, mistake):
    monkeypatch.chdir(world)
    arguments, what, do = MISTAKES[mistake]
    words = arguments(world)
    told = fault(*words)
    assert what in told and do in told
    assert len(HAN.findall(fault(*words, "--lang", "zh"))) > 8, "no entry in core/language.zh.yaml"


def test_a_line_that_is_no_json_is_named(limo, fault, here):
    (here / "cut.jsonl").write_text('{"stem": "What is 1 + 1?", "key": "2"}\n{"stem":\n')
    told = fault("init", "cut.jsonl")
    assert "line 2 of cut.jsonl is not a row (not JSON: Expecting value at column 9)" in told and "line 1" not in told
    rows = "".join(json.dumps({"stem": f"What is {k} + {k}?", "key": str(2 * k)}) + "\n" for k in range(9))
    (here / "cut.jsonl").write_text(rows + "[]\n{\n")
    code, out, _ = limo("init", "cut.jsonl")
    assert code == 0 and "malformed row 2" in out and "line 10 of cut.jsonl is not a row (a list" in out
    (here / "cut.jsonl").write_text('{"stem": "What\n')
    assert "not JSON: Unterminated string starting at column 10" in fault("init", "cut.jsonl", "-o", "other")
    (here / "cut.jsonl").write_text("{\n")
    assert "line 1 of cut.jsonl is not a row" in fault("init", "cut.jsonl", "-o", "other")


def test_a_model_that_is_no_folder_is_told_and_a_folder_is_written_whole(limo, here):
    _, out, _ = limo("init", "shop.jsonl", "--model", "owner/base", "-o", "a")
    assert "there is no folder 'owner/base' here: it is taken for a name on the hub" in out
    for path in ("base", "./base", "models/a/base", str(here / "base"), "~/base", "shop.jsonl"):
        assert "there is no such model" in limo("init", "shop.jsonl", "--model", path, "-o", "a")[2]
    (here / "base").mkdir()
    _, out, _ = limo("init", "shop.jsonl", "--model", "base", "-o", "b")
    assert "hub" not in out and f"model: {here / 'base'}" in (here / "b/train.yaml").read_text()


def test_a_recipe_that_is_elsewhere_is_named(limo, fault, here):
    limo("init", "shop.jsonl", "-o", "limo-shop")
    assert "did you mean 'limo-shop/mine.yaml'?" in fault("plan", "mine.yaml")
    for typed in ("limo-shop/mina.yaml", "limo-shp/mine.yaml", "limo-shop/mine.yml"):
        assert "did you mean 'limo-shop/mine.yaml'?" in fault("plan", typed)
    assert "did you mean 'limo-v2'?" in fault("plan", "limo-v3")


def test_init_says_that_it_waits_for_the_models_of_a_slow_server(monkeypatch, here):
    monkeypatch.setattr("limo.stages.init.announced", partial(announced, after_s=0.01))
    waits = lambda *of: time.sleep(0.2) or [ServedModel("m-1B")]  # noqa: E731
    monkeypatch.setattr("limo.stages.init.served_models", waits)
    progress = NoProgress()
    init.run("shop.jsonl", "slow", "http://127.0.0.1:9", progress=progress)
    assert progress.logged == ["asking http://127.0.0.1:9/v1 for its models"]


def test_view_takes_its_port_before_it_builds_an_index(fault, tmp_path, monkeypatch):
    with Ledger(tmp_path / "ledger.sqlite"), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr("limo.report.view.index.open_index", lambda *of: pytest.fail("an index was built"))
        assert "the port cannot be used" in fault("view", tmp_path, "--port", taken.getsockname()[1])


def test_view_looks_for_ledgers_only_where_runs_are(fault, tmp_path):
    from limo.cli.view import _ledgers

    run = tmp_path / "home" / "deep" / "runs" / "mine"
    run.mkdir(parents=True)
    for name in ("recipe.yaml", "ledger.sqlite"):
        (run / name).touch()
    lab = run.parent / "lab"
    (lab / "arms" / "a" / "seed-0").mkdir(parents=True)
    for name in ("environment.json", "arms/a/seed-0/ledger.sqlite"):
        (lab / name).touch()
    for folder in (tmp_path, run.parent.parent):
        assert "no folder in this one is a run" in fault("view", folder)
    assert list(_ledgers((str(run),))) == [str(run)]
    assert list(_ledgers((str(run.parent),))) == [str(lab / "arms/a/seed-0"), str(run)]


def test_the_limit_of_a_first_run_draws_none_of_the_problems_that_are_held_out(limo, here):
    assert limo("init", "shop.jsonl", "-o", "mine", "--hold-out", "10")[0] == 0
    held_out = {json.loads(line)["problem"] for line in (here / "mine/held_out.jsonl").read_text().splitlines()}
    recipe = load(curate.Recipe, "mine/mine.yaml", ["pool.limit=25"])
    drawn = {problem.problem for problem in ingest_sources(recipe, recipe.pool).problems}
    assert len(held_out) == 10 and len(drawn) == 25 and not held_out & drawn
