"""Done with real recorded completions: a cascade over HTTP decides as the whole table does, and asks less."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from limo.core.progress import NoProgress
from limo.core.records import Completion, problem_id
from limo.core.run_folder import RunFolder, RunPool
from limo.ledger.store import Ledger
from limo.models.replay_server import ReplayServer, ReplayServerSettings
from limo.stages.curate import Recipe as CurateRecipe
from limo.stages.curate import run as curate
from limo.verify.checker import Checker

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HERE = "samples/qwen_math100_x8", "samples/sky_short_math500", "chains/sky_long_amc23"
FAULTS = {"429": 0.03, "500": 0.03, "reset": 0.02, "half": 0.02}
pytestmark = pytest.mark.skipif(
    not all((DATA / f"{name}.jsonl.gz").is_file() for name in HERE),
    reason="recorded completions are not in shared/data",
)


def rows(name):
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def recorded(tmp_path, n_problems):
    """One file of rollouts: several recorded models as the rollouts of one, since each was recorded once a problem."""
    short, long, qwen = rows(HERE[1]), rows(HERE[2]), rows(HERE[0])
    weak = ["Qwen/Qwen2.5-Math-7B", "google/gemma-2-27b-it"]
    kept = [row | {"model": "weak", "sample": weak.index(row["model"])} for row in short if row["model"] in weak]
    kept += [row | {"model": "weak", "sample": row["sample"] // 4} for row in qwen if row["sample"] % 4 == 0]
    strong = sorted({row["model"] for row in short} - set(weak))
    kept += [row | {"model": "strong", "sample": strong.index(row["model"])} for row in short if row["model"] in strong]
    for row in qwen:
        kept += [row | {"model": "strong"}] if row["sample"] < 6 else []
    names = sorted({row["model"] for row in long})
    kept += [row | {"model": "weak", "sample": names.index(row["model"])} for row in long if row["model"] in names[:2]]
    kept += [
        row | {"model": "strong", "sample": names.index(row["model"]) - 2} for row in long if row["model"] in names[2:8]
    ]
    some = set(sorted({problem_id(row["problem"]) for row in kept})[:n_problems])
    found, seen = [], set()
    for row in kept:  # math100 and math500 share problems: the first recording of a rollout stays
        key = (problem_id(row["problem"]), row["model"], row["sample"])
        if key not in seen and key[0] in some:
            seen.add(key)
            found.append({key: row[key] for key in ("problem", "gold", "model", "sample", "response")})
    path = tmp_path / "said.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    pool = {problem_id(row["problem"]): {"problem": row["problem"], "answer": row["gold"]} for row in found}
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool.values()))
    return path, found


def brute_force(found, problems, bands):
    """The decisions of the whole table, each stage on what the one before kept: nothing of limo's but the checker."""
    table = defaultdict(dict)
    with Checker() as checker:
        for row in found:
            name = problem_id(row["problem"])
            if name in problems:
                verdict = checker.verify(problems[name], Completion(row["response"]))
                table[name, row["model"]][row["sample"]] = verdict.outcome
    left, decisions = set(problems), {}
    for stage, model, n, low, high in bands:
        kept = set()
        for name in left:
            outcomes = [table[name, model].get(index, "undecided") for index in range(n)]
            sure, open_ = outcomes.count("correct"), outcomes.count("undecided")
            if low <= sure and sure + open_ <= high:
                kept.add(name)
        decisions[stage], left = kept, kept
    return decisions


@pytest.mark.parametrize(
    ("faults", "n_problems"),
    [
        pytest.param({}, 80, id="calm, some"),
        pytest.param({}, None, id="calm, all", marks=pytest.mark.slow),
        pytest.param(FAULTS, None, id="faults, all", marks=pytest.mark.slow),
    ],
)
def test_a_cascade_of_two_models_decides_as_the_whole_table_and_asks_less(tmp_path, faults, n_problems):
    path, found = recorded(tmp_path, n_problems)
    bands = [("weak_filter", "weak", 2, 0, 1), ("strong_filter", "strong", 6, 1, 4)]
    with ReplayServer([path], ReplayServerSettings(faults=faults, retry_after_s=0.01)).running() as url:
        settings = {"backoff_s": 0.02, "patience_s": 120, "retries": 20}
        model = {"kind": "http", "base_urls": [url], "http": settings}
        filters = [
            {"name": stage, "models": [model | {"name": name}], "n": n, "low": low, "high": high, "teacher": True}
            for stage, name, n, low, high in bands
        ]
        recipe = CurateRecipe.model_validate(
            {
                "data": str(tmp_path),
                "pool": {"sources": ["pool.jsonl"]},
                "benchmarks": {"none": "none.jsonl"},
                "dedup": {"reworded_similarity": 1},
                "filters": filters,
                "suspect": {"n_agreed": 99},
                "select": {"k": 10},
            }
        )
        (tmp_path / "none.jsonl").write_text('{"problem": "Is this one of them at all?", "answer": "7"}\n')
        progress = NoProgress()
        curate(recipe, tmp_path / "run", progress)
    run = RunFolder(tmp_path / "run")
    pool = RunPool(run.read_problems())
    problems = {row["id"]: pool.problem(row) for row in run.read_stage("decontaminate")}
    assert len(problems) > (500 if n_problems is None else n_problems * 0.9)
    wanted = brute_force(found, problems, bands)
    for stage, *_ in bands:
        assert {row["id"] for row in run.read_stage(stage)} == wanted[stage], stage
    assert 10 < len(wanted["strong_filter"]) < len(wanted["weak_filter"]) < len(problems)
    said = [line for line in progress.logged if "saved" in line]
    assert [line.split(":")[0] for line in said] == ["weak_filter", "strong_filter"]
    with Ledger(run.ledger_path) as ledger:
        assert len(ledger) == sum(
            int(re.search(r"([\d,]+) rollouts of at most", line)[1].replace(",", "")) for line in said
        )
        assert len(ledger) < 2 * len(problems) + 6 * len(wanted["weak_filter"])
        assert ledger.integrity_errors() == []
    print(*said, sep="\n")
