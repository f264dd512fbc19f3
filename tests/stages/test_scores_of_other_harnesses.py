"""Files that other harnesses write themselves, each in an environment of its own, against a server of recordings.

Needs pip and a package index; skipped with the reason where a package cannot be installed.
"""

import json
import os
import subprocess
import venv

import pytest

from limo.core.records import Problem
from limo.models.replay_server import ReplayServer, ReplayServerSettings
from limo.stages.score_files import import_scores

pytestmark = pytest.mark.slow

PROBLEMS = [Problem.make(f"What is {i} plus 1?", str(i + 1)) for i in range(4)]
LM_EVAL_TASK = r"""
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: SET}}
test_split: test
output_type: generate_until
doc_to_text: "{{problem}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["</s>"], max_gen_toks: 64}
filter_list:
  - name: boxed
    filter:
      - {function: regex, regex_pattern: 'boxed\{(.*?)\}'}
      - {function: take_first}
metric_list: [{metric: exact_match}]
"""
INSPECT_TASK = r"""
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import pattern
from inspect_ai.solver import generate

@task
def sums():
    fields = FieldSpec(input="problem", target="answer")
    rows, scorer = json_dataset("set.jsonl", fields), pattern(r"boxed\{(.*?)\}")
    return Task(dataset=rows, solver=generate(), scorer=scorer, epochs=2)
"""


@pytest.fixture
def server(tmp_path):
    """The address of a server that answers all but the third problem right."""
    rows = [{"problem": problem.problem, "answer": problem.answer} for problem in PROBLEMS]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = [
        {"problem": p.problem, "model": "m", "completion": f"So \\boxed{{{int(p.answer) + (i == 2)}}}"}
        for i, p in enumerate(PROBLEMS)
    ]
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in recorded))
    with ReplayServer([tmp_path / "recorded.jsonl"], ReplayServerSettings(repeat=True)).running() as address:
        yield address


def environment_with(folder, *packages):
    """The programs folder of a new environment with packages."""
    venv.create(folder, with_pip=True)
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot install {', '.join(packages)}: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


def run(command, folder, **variables):
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    offline = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
    command = list(map(str, command))
    done = subprocess.run(
        command, cwd=folder, env=own | offline | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def mean_of(file, folder):
    imported = import_scores([file], "m", "sums", PROBLEMS, folder)
    assert imported.n_unmatched == imported.n_without_value == 0
    return imported.n_rows, imported.mean


def test_samples_that_lm_eval_wrote_are_read(server, tmp_path):
    programs = environment_with(tmp_path / "env", "lm_eval[api]")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "sums.yaml").write_text(LM_EVAL_TASK.replace("SET", str(tmp_path / "set.jsonl")))
    model = f"base_url={server}/chat/completions,model=m,num_concurrent=1"
    command = [
        programs / "lm_eval",
        "run",
        "--model",
        "local-chat-completions",
        "--model_args",
        model,
        "--tasks",
        "sums",
    ]
    options = ["--include_path", "tasks", "--apply_chat_template", "--log_samples", "--output_path", "out"]
    run([*command, *options], tmp_path, OPENAI_API_KEY="none")
    (file,) = (tmp_path / "out").rglob("samples_*.jsonl")
    assert mean_of(file, tmp_path / "run") == (4, 0.75)


def test_a_log_that_inspect_wrote_is_read(server, tmp_path):
    programs = environment_with(tmp_path / "env", "inspect-ai", "openai")
    (tmp_path / "sums.py").write_text(INSPECT_TASK)
    command = [programs / "inspect", "eval", "sums.py", "--model", "openai-api/own/m", "--log-dir", "logs"]
    run([*command, "--display", "plain"], tmp_path, OWN_API_KEY="none", OWN_BASE_URL=server)
    (file,) = (tmp_path / "logs").glob("*.eval")
    assert mean_of(file, tmp_path / "run") == (8, 0.75)
