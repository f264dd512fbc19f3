"""The scores of an evaluate run in the formats of others.

| format | what is written | read by |
|---|---|---|
| inspect | a log with every rollout, BENCHMARK.json | `inspect view`, inspect_ai.log |
| every-eval-ever | one record with scores and intervals, MODEL.json | the schema 0.3.0 of evaleval/every_eval_ever |
| hub | .eval_results/BENCHMARK.yaml, for the model's repository | the Hugging Face hub |

    export_scores("runs/scores", "out", "inspect")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from limo.core import VERSION
from limo.core.errors import RESTORE, InputError, foreign_data
from limo.core.files import write_text
from limo.core.records import Problem, Rollout, Row
from limo.core.run_folder import RunFolder
from limo.core.stats import CONFIDENCE
from limo.ledger.store import Ledger
from limo.pool.sources.benchmarks import benchmarks
from limo.stages.evaluate import EVALUATIONS, VERDICTS

EVERY_EVAL_EVER = "0.3.0"  # version of its schema


def export_scores(run: str | Path, output: str | Path, to: str = "inspect") -> list[Path]:
    """Write the scores of an evaluate run into the folder `output`, in a format of `FORMATS`; the files written.

    Raises MissingFileError for a run that `limo evaluate` did not make, InputError for an unknown format or a run none
    of whose benchmarks stands on the hub (hub), StorageError.
    """
    if to not in FORMATS:
        raise InputError("there is no such format of scores", to, known=FORMATS, do="choose one of them")
    folder = RunFolder(run)
    with foreign_data("these scores cannot be exported", run, "what `limo evaluate` wrote", RESTORE):
        evaluations = folder.read_json(EVALUATIONS)["evaluations"]
        made = datetime.fromtimestamp((folder.path / EVALUATIONS).stat().st_mtime, UTC)
        files = []
        for name, text in FORMATS[to](folder, evaluations, made):
            file = Path(output) / name
            write_text(file, text)
            files.append(file)
    if not files:
        do = "export to inspect or every-eval-ever, or score a benchmark that has a hub entry (limo benchmarks list)"
        raise InputError("no benchmark of the run stands on the hub", run, "MATH500, AIME24, ...", do)
    return files


def _inspect_logs(folder: RunFolder, evaluations: list[Any], made: datetime) -> Iterator[tuple[str, str]]:
    problems = {problem.id: problem for problem in folder.read_problems()}
    verdicts = folder.read_stage(VERDICTS)
    for evaluation in evaluations:
        score, source = evaluation["score"], evaluation["score"]["provenance"]
        own = {(row["problem_id"], row["index"]): row for row in verdicts if row["benchmark"] == score["benchmark"]}
        with Ledger(folder.ledger_path, read_only=True) as ledger:
            ledger_key = (evaluation["model"], source["prompt_hash"], source["sampling_hash"])
            rollouts = [r for r in ledger.rollouts(*ledger_key) if (r.problem_id, r.index) in own]
            samples = [_sample(problems[r.problem_id], r, own[r.problem_id, r.index]) for r in rollouts]
        log = _log(evaluation, samples, folder.path.name, made.isoformat(timespec="seconds"))
        yield f"{score['benchmark']}.json", json.dumps(log, indent=1)


def _every_eval_ever(folder: RunFolder, evaluations: list[Any], made: datetime) -> Iterator[tuple[str, str]]:
    for model in dict.fromkeys(evaluation["model"] for evaluation in evaluations):
        own = [evaluation for evaluation in evaluations if evaluation["model"] == model]
        record = {
            "schema_version": EVERY_EVAL_EVER,
            "evaluation_id": f"limo/{model}/{made.timestamp():.0f}",
            "evaluation_timestamp": f"{made.timestamp():.0f}",
            "retrieved_timestamp": f"{made.timestamp():.0f}",
            "source_metadata": {
                "source_name": folder.path.name,
                "source_type": "evaluation_run",
                "source_organization_name": "unknown",
                "evaluator_relationship": "other",
            },
            "eval_library": {"name": "limo", "version": VERSION},
            "model_info": _model_info(model, own[0]["fingerprint"]),
            "evaluation_results": [_result(evaluation) for evaluation in own],
        }
        name = "".join(c if c.isalnum() or c in "._-" else "-" for c in model)
        yield f"{name}.json", json.dumps(record, indent=1, ensure_ascii=False)


def _model_info(model: str, facts: dict[str, str]) -> Row:
    """How the model was run, as far as its fingerprint says."""
    known = {"deployment_type": "unknown", "model_availability": "unknown"}
    info = {"name": model, "id": model, "additional_details": known | facts}
    return info | ({"inference_engine": {"name": facts["engine"]}} if "engine" in facts else {})


def _result(evaluation: dict[str, Any]) -> Row:
    """One benchmark of an Every Eval Ever record; scores are shares in 0..1."""
    score, decoding = evaluation["score"], evaluation["decoding"]
    entry = benchmarks().get(score["benchmark"])
    source: Row = {"dataset_name": score["benchmark"], "source_type": "other"}
    if entry and entry.hub:
        source |= {"source_type": "hf_dataset", "hf_repo": entry.hub.id, "samples_number": score["n_problems"]}
    interval = {"lower": score["low"], "upper": score["high"], "confidence_level": CONFIDENCE}
    return {
        "evaluation_name": score["benchmark"],
        "source_data": source,
        "metric_config": {
            "evaluation_description": "pass@1: the mean over problems of the share of correct rollouts",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": score["value"],
            "details": {"rollouts": str(score["n_rollouts"]), "verifier": score["provenance"]["verifier"]},
            "uncertainty": {
                "confidence_interval": interval | {"method": "Wilson with Student's t over problems"},
                "num_samples": score["n_problems"],
            },
        },
        "generation_config": {
            "generation_args": {name: decoding[name] for name in ("temperature", "top_p", "max_tokens")},
            "additional_details": {"samples_per_problem": str(decoding["n"]), "seed": str(decoding["seed"])},
        },
    }


def _hub_results(folder: RunFolder, evaluations: list[Any], made: datetime) -> Iterator[tuple[str, str]]:
    """Results are in percent, as the hub's tables show them; a benchmark without a hub entry is left out."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    for evaluation in evaluations:
        score, decoding = evaluation["score"], evaluation["decoding"]
        entry = benchmarks().get(score["benchmark"])
        if entry is None or entry.hub is None:
            continue
        notes = f"pass@1, {decoding['n']} samples a problem at temperature {decoding['temperature']:g}"
        result = EvalResultEntry(
            dataset_id=entry.hub.id,
            task_id=entry.hub.config or "default",
            value=round(100 * score["value"], 2),
            dataset_revision=entry.hub.revision or None,
            date=made.isoformat(timespec="seconds"),
            notes=f"{notes}; 95% interval {100 * score['low']:.1f} to {100 * score['high']:.1f}",
        )
        text = yaml.safe_dump(eval_result_entries_to_yaml([result]), sort_keys=False, allow_unicode=True)
        yield f".eval_results/{score['benchmark'].lower()}.yaml", text


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


_Writer = Callable[[RunFolder, list[Any], datetime], Iterator[tuple[str, str]]]
FORMATS: dict[str, _Writer] = {
    "inspect": _inspect_logs,
    "every-eval-ever": _every_eval_ever,
    "hub": _hub_results,
}
