"""The scores of an evaluate run as logs of Inspect, one a benchmark, for `inspect view` and what reads such logs.

export_inspect("runs/scores", "out/logs")
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from limo.core.files import atomic
from limo.core.records import Problem, Rollout, Row
from limo.core.run_folder import RunFolder
from limo.ledger.store import Ledger
from limo.stages.evaluate import EVALUATIONS, VERDICTS


def export_inspect(run: str | Path, output: str | Path) -> list[Path]:
    """Write a log that `inspect view` opens for each benchmark of an evaluate run, into the folder `output`.

    Raises MissingFileError for a run that `limo evaluate` did not make, StorageError.
    """
    folder = RunFolder(run)
    stored = folder.read_json(EVALUATIONS)
    problems = {problem.id: problem for problem in folder.read_problems()}
    verdicts = folder.read_stage(VERDICTS)
    files = []
    for evaluation in stored["evaluations"]:
        score, source = evaluation["score"], evaluation["score"]["provenance"]
        own = {(row["problem_id"], row["index"]): row for row in verdicts if row["benchmark"] == score["benchmark"]}
        with Ledger(folder.ledger_path, read_only=True) as ledger:
            setup = (evaluation["model"], source["prompt_hash"], source["sampling_hash"])
            rollouts = [r for r in ledger.rollouts(*setup) if (r.problem_id, r.index) in own]
            samples = [_sample(problems[r.problem_id], r, own[r.problem_id, r.index]) for r in rollouts]
        made = datetime.fromtimestamp((folder.path / EVALUATIONS).stat().st_mtime, UTC).isoformat(timespec="seconds")
        log = _log(evaluation, samples, Path(run).name, made)
        file = Path(output) / f"{score['benchmark']}.json"
        Path(output).mkdir(parents=True, exist_ok=True)
        with atomic(file) as temporary:
            temporary.write_text(json.dumps(log, indent=1), encoding="ascii")
        files.append(file)
    return files


def _log(evaluation: dict[str, Any], samples: list[Row], run: str, made: str) -> Row:
    score, decoding = evaluation["score"], evaluation["decoding"]
    accuracy = {"name": "accuracy", "value": score["value"], "params": {}}
    spec = {
        "eval_id": f"{run}-{score['benchmark']}",
        "run_id": run,
        "created": made,
        "task": score["benchmark"],
        "dataset": {"name": score["benchmark"], "samples": score["n_problems"]},
        "model": evaluation["model"],
        "config": {"epochs": decoding["n"]},
        "metadata": {"limo": {"interval": [score["low"], score["high"]], "fingerprint": evaluation["fingerprint"]}},
    }
    scores = [{"name": "limo", "scorer": "limo", "params": {}, "metrics": {"accuracy": accuracy}}]
    results = {"total_samples": len(samples), "completed_samples": len(samples), "scores": scores}
    config = {name: decoding[name] for name in ("temperature", "top_p", "max_tokens", "seed")}
    plan = {"name": "plan", "steps": [], "config": config}
    return {"version": 2, "status": "success", "eval": spec, "plan": plan, "results": results, "samples": samples}


def _sample(problem: Problem, rollout: Rollout, verdict: Row) -> Row:
    completion = rollout.completion
    message = {"role": "assistant", "content": completion.full_text, "source": "generate", "model": rollout.model}
    reason = {"stop": "stop", "length": "max_tokens"}.get(completion.finish_reason, "unknown")
    n_in, n_out = completion.n_prompt_tokens, completion.n_completion_tokens
    usage = {"input_tokens": n_in, "output_tokens": n_out, "total_tokens": n_in + n_out}
    value = {"correct": "C", "no_answer": "N"}.get(verdict["outcome"], "I")
    explanation = f"{verdict['outcome']}: {verdict['reason']}"
    score = {"value": value, "answer": verdict["extracted"], "explanation": explanation}
    return {
        "id": problem.id,
        "epoch": rollout.index + 1,
        "input": problem.problem,
        "target": problem.answer,
        "messages": [{"role": "user", "content": problem.problem}, message],
        "output": {
            "model": rollout.model,
            "choices": [{"message": message, "stop_reason": reason}],
            "usage": usage,
            "completion": completion.full_text,
        },
        "scores": {} if verdict["outcome"] == "undecided" else {"limo": score},
        "metadata": {},
    }
