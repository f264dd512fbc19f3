"""Files that other harnesses write themselves, each in an environment of its own, against a server of recordings.

Needs pip and a package index; skipped with the reason where a package cannot be installed.  With HARNESSES=folder the
environments are made there and kept (folder/lm_eval and so on), and one that stands there is used as it is.
"""

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

from limo.core.records import Problem
from limo.models.replay_server import ReplayServer, ReplayServerSettings
from limo.stages.evaluate import Recipe
from limo.stages.evaluate import run as run_evaluate
from limo.stages.score_exports import export_scores
from limo.stages.score_imports import import_scores

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

LIGHTEVAL = r"""
import json, sys, urllib.request
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.metrics import apply_metric
from lighteval.metrics.metrics import Metrics
from lighteval.models.abstract_model import ModelConfig
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import Doc

def complete(problem, n=2):
    body = {"model": "m", "messages": [{"role": "user", "content": problem}], "n": n}
    request = urllib.request.Request(sys.argv[1] + "/chat/completions", json.dumps(body).encode())
    return [choice["message"]["content"] for choice in json.load(urllib.request.urlopen(request))["choices"]]

rows = [json.loads(line) for line in open("set.jsonl")]
docs = [
    Doc(f"Solve the following problem.\n\n{row['problem']}\nAnswer:", [row["answer"]], 0, task_name="sums|0")
    for row in rows
]
responses = [ModelResponse(text=complete(row["problem"])) for row in rows]
metrics = [Metrics.pass_at_k_math(sample_params={"k": 1, "n": 2}), Metrics.avg_at_n_math(sample_params={"n": 2})]
tracker = EvaluationTracker("out", save_details=True)
tracker.general_config_logger.log_model_info(ModelConfig(model_name="m"))
for doc, response, measured in zip(docs, responses, apply_metric(responses, docs, metrics)):
    tracker.details_logger.log("sums|0", doc, response, measured)
tracker.save()
"""
EVALSCOPE_PROMPT = "{question}\nPlease reason step by step, and put your final answer within \\boxed{{}}."


@pytest.fixture
def server(tmp_path):
    """The address of a server that answers all but the third problem right, with or without evalscope's prompt."""
    rows = [{"problem": p.problem, "answer": p.answer, "level": 1, "unique_id": p.id, "solution": ""} for p in PROBLEMS]
    (tmp_path / "rows").mkdir()
    for file in (tmp_path / "set.jsonl", tmp_path / "rows" / "test.jsonl"):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = [
        {"problem": prompt.format(question=p.problem), "model": "m",
         "completion": f"So \\boxed{{{int(p.answer) + (i == 2)}}}"}
        for i, p in enumerate(PROBLEMS) for prompt in ("{question}", EVALSCOPE_PROMPT)
    ]  # fmt: skip
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in recorded))
    with ReplayServer([tmp_path / "recorded.jsonl"], ReplayServerSettings(repeat=True)).running() as address:
        yield address


def environment_with(tmp_path, name, *packages):
    """The programs folder of an environment with packages."""
    folder = Path(os.environ.get("HARNESSES", tmp_path)).resolve() / name
    if not folder.exists():
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
    return done.stdout


def mean_of(file, folder, metric=""):
    imported = import_scores([file], "m", "sums", PROBLEMS, folder, metric)
    assert imported.n_unmatched == imported.n_without_value == 0
    return imported.n_rows, imported.mean


def test_samples_that_lm_eval_wrote_are_read(server, tmp_path):
    programs = environment_with(tmp_path, "lm_eval", "lm_eval[api]")
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
    programs = environment_with(tmp_path, "inspect", "inspect-ai", "openai")
    (tmp_path / "sums.py").write_text(INSPECT_TASK)
    command = [programs / "inspect", "eval", "sums.py", "--model", "openai-api/own/m", "--log-dir", "logs"]
    run([*command, "--display", "plain"], tmp_path, OWN_API_KEY="none", OWN_BASE_URL=server)
    (file,) = (tmp_path / "logs").glob("*.eval")
    assert mean_of(file, tmp_path / "run") == (8, 0.75)


READ_LOG = """
from inspect_ai.log import read_eval_log
log = read_eval_log("logs/sums.json")
(score,) = log.results.scores
print(log.status, len(log.samples), score.name, score.metrics["accuracy"].value)
"""


def test_inspects_own_reader_opens_our_log(server, tmp_path):
    programs = environment_with(tmp_path, "inspect", "inspect-ai", "openai")
    model = {"kind": "http", "name": "m", "base_urls": [server]}
    values = {"model": model, "benchmarks": {"sums": str(tmp_path / "set.jsonl")}}
    run_evaluate(Recipe.model_validate(values | {"decoding": {"n": 2, "temperature": 0.5}}), tmp_path / "run")
    export_scores(tmp_path / "run", tmp_path / "logs")
    assert run([programs / "python", "-c", READ_LOG], tmp_path).split() == ["success", "8", "limo", "0.75"]


def test_details_that_lighteval_wrote_are_read(server, tmp_path):
    """Its metrics and its writer; its commands import every task of its own, some of which need the hub."""
    programs = environment_with(tmp_path, "lighteval", "lighteval==0.13.0", "torch==2.13.0", "xxhash<4")
    run([programs / "python", "-c", LIGHTEVAL, server], tmp_path)
    (file,) = (tmp_path / "out").rglob("details_*.parquet")
    assert mean_of(file, tmp_path / "run", "avg@n:n=2") == (4, 0.75)
    assert mean_of(file, tmp_path / "run", "pass@k:k=1&n=2") == (4, 0.75)


def test_reviews_that_evalscope_wrote_are_read(server, tmp_path):
    programs = environment_with(tmp_path, "evalscope", "evalscope==1.14.1")
    own = {"math_500": {"local_path": "rows", "subset_list": ["Level 1"]}}
    command = [programs / "evalscope", "eval", "--model", "m", "--api-url", server, "--api-key", "none"]
    command += ["--eval-type", "openai_api", "--datasets", "math_500", "--dataset-args", json.dumps(own)]
    run([*command, "--repeats", "2", "--work-dir", "out"], tmp_path)
    (file,) = (tmp_path / "out").rglob("reviews/*/math_500_*.jsonl")
    assert mean_of(file, tmp_path / "run") == (8, 0.75)
