"""What is not installed ends in one line that names the extra which brings it; the core needs none of them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from limo.cli.command import EXTRA_OF_MODULE, error_line
from limo.models.local.config import loading_error

EXTRAS = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
BROUGHT_ALONG = {"huggingface_hub": "datasets", "accelerate": "trl", "tokenizers": "transformers"}


@pytest.mark.parametrize(("module", "extra"), EXTRA_OF_MODULE.items())
def test_the_table_of_extras_is_that_of_the_package(module, extra):
    distribution = {"sklearn": "scikit-learn"}.get(module, BROUGHT_ALONG.get(module, module)).replace("_", "-")
    assert any(requirement.startswith(f"{distribution}>=") for requirement in EXTRAS[extra])


@pytest.mark.parametrize(("module", "extra"), EXTRA_OF_MODULE.items())
def test_each_module_is_named_with_its_extra(module, extra):
    error = ModuleNotFoundError(f"No module named '{module}.part'", name=f"{module}.part")
    code, line = error_line(error, ["curate", "mine.yaml"])
    assert code == 2 and f"pip install 'limo[{extra}]'" in line and module in line


@pytest.mark.parametrize("command", ["lab", "pool", "report", "train", "view"])
def test_a_command_with_an_extra_of_its_name_asks_for_that_one(command):
    _, line = error_line(ModuleNotFoundError("No module named 'torch'", name="torch"), [command, "x"])
    assert line.endswith(f"pip install 'limo[{command}]'")


@pytest.mark.parametrize("name", ["limo.stages.nothing", "json.nothing", None])
def test_a_module_of_our_own_that_is_missing_is_a_bug(name):
    assert error_line(ImportError("cannot import name", name=name), ["verify"])[0] == 1


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("starlette", ("view", "run"), "view"),
        ("datasets", ("curate", "recipe.yaml", "--run", "new"), "pool"),
        ("transformers", ("train", "train-v2", "dataset=pool.jsonl"), "train"),
    ],
)
def test_a_command_without_its_extra_ends_in_one_line(world, monkeypatch, fault, module, arguments, extra):
    monkeypatch.chdir(world)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("limo.curate.dataset.find_spec", lambda name: None if name == module else find_spec(name))
    for name in {module, *(name for name in sys.modules if name.startswith(f"{module}."))}:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith("limo.report.view.")]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(sys.modules["limo.report.view"], name.rpartition(".")[2], raising=False)
    assert fault(*arguments).endswith(f"pip install 'limo[{extra}]'")
    assert f"它属于附加部分 '{extra}'" in fault(*arguments, "--lang", "zh")
    assert not (world / "new").exists()


def test_rows_are_verified_graded_selected_planned_and_runs_compared_without_arrow(world, monkeypatch, limo, fault):
    monkeypatch.chdir(world)
    for name in ("weak", "strong"):
        model = f"{{kind: replay, name: {name}, files: [said.jsonl]}}"
        (world / f"{name}.yaml").write_text(
            f"model: {model}\nprotocol: own\ndecoding: {{n: 1}}\nbenchmarks: {{own: pool.jsonl}}\n"
        )
        assert limo("evaluate", f"{name}.yaml", "--run", name, "--workers", 1)[0] == 0
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    rows = [{"problem": "1 + 1?", "answer": "2", "text": text} for text in ("\\boxed{2}", "I check: \\boxed{3}")]
    (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = "models: [{kind: replay, name: strong, files: [said.jsonl]}]"
    (world / "rollouts.yaml").write_text(f"pool: {{sources: [pool.jsonl]}}\nrollouts: [{{{model}, n: 4}}]\n")
    for command in (
        "verify rows.jsonl -o verified.jsonl --workers 1",
        "grade rows.jsonl -o graded.jsonl",
        "select graded.jsonl k=1 -o selected.jsonl",
        "plan rollouts.yaml",
        "init pool.jsonl -o mine",
        "compare weak strong",
    ):
        code, _, err = limo(*command.split())
        assert code == 0, (command, err)
    assert fault("rollouts", "rollouts.yaml", "--run", "new", "--workers", 1).endswith("pip install pyarrow")


CORE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from limo.cli import main
sys.argv[0] = "limo"
main()
"""


@pytest.mark.slow
def test_the_core_verifies_grades_requests_selects_counts_and_compares_without_any_extra(world, tmp_path):
    def limo(*arguments):
        script = CORE.format(missing=sorted(EXTRA_OF_MODULE))
        ran = subprocess.run([sys.executable, "-c", script, *arguments], cwd=world, capture_output=True, text=True)
        assert ran.returncode == 0, (arguments, ran.stderr)
        assert "Traceback" not in ran.stderr
        return ran.stdout

    rows = [{"problem": "1 + 1?", "answer": "2", "text": text} for text in ("\\boxed{2}", "I check: \\boxed{3}")]
    (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    limo("doctor")
    limo("verify", "rows.jsonl", "-o", "verified.jsonl")
    limo("grade", "rows.jsonl", "-o", "graded.jsonl")
    limo("select", "graded.jsonl", "k=1", "-o", "selected.jsonl")
    model = "models: [{kind: replay, name: strong, files: [said.jsonl]}]"
    (world / "rollouts.yaml").write_text(f"pool: {{sources: [pool.jsonl]}}\nrollouts: [{{{model}, n: 4}}]\n")
    limo("plan", "rollouts.yaml")
    limo("rollouts", "rollouts.yaml", "--run", "r", "--workers", "1")
    assert "strong" in limo("ledger", "show", "r")
    limo("ledger", "export", "r", "-o", "all.parquet")
    for name in ("weak", "strong"):
        model = f"{{kind: replay, name: {name}, files: [said.jsonl]}}"
        how = "protocol: own\ndecoding: {n: 1}\nbenchmarks: {own: pool.jsonl}"
        (world / f"{name}.yaml").write_text(f"model: {model}\n{how}\n")
        limo("evaluate", f"{name}.yaml", "--run", name)
    assert "own" in limo("compare", "weak", "strong")


def test_a_model_that_needs_torch_names_the_extra_and_not_the_class(monkeypatch):
    monkeypatch.setattr("limo.models.local.config.find_spec", lambda name: None)
    said = ImportError("AutoModelForCausalLM requires the PyTorch library but it was not found")
    with pytest.raises(ModuleNotFoundError) as missing:
        loading_error("model", "base", said)
    code, line = error_line(missing.value, ["train", "train.yaml"])
    assert code == 2 and "pip install 'limo[train]'" in line and "AutoModel" not in line
