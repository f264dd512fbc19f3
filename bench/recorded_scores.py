"""`limo evaluate` on recorded runs, beside the verdicts of their own graders, through a server of the recordings.

    python bench/recorded_scores.py ../shared/data [--list FILE] [--all]

Each recorded run of a model on a benchmark is replayed over HTTP and scored by the evaluate stage.  Printed are the
runs whose score differs by more than 1.5 points, each with its differing verdicts: key, the answer that their grader
took and its verdict, the answer that the rules took and theirs.  `--list` writes the differing verdicts of all runs as
JSON Lines.  `--all` scores a model whose replies were made of the keys on every benchmark file of the folder, too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from limo.core.records import problem_id
from limo.core.rows import read_rows
from limo.core.run_folder import RunFolder
from limo.models.replay_server import ReplayServer, ReplayServerSettings
from limo.pool.sources.benchmarks import load_benchmark
from limo.stages.evaluate import VERDICTS, Recipe, run

RECORDED = ("samples/sky_short_math500", "chains/sky_long_math500", "samples/sky_short_amc23", "chains/sky_long_amc23",
            "samples/sky_short_aime24")  # fmt: skip
OUR_NAMES = {"math500": "MATH500", "amc23": "AMC23", "aime24": "AIME24"}
PUBLIC = ("AIME24", "MATH500", "AMC23", "OlympiadBench", "CHMath", "Gaokao", "Kaoyan", "GradeSchool", "Minerva")
FAR = 0.015


def evaluate(address: str, model: str, data: Path, names: list[str], folder: Path, **settings: Any) -> Any:
    """The result of the evaluate stage of a served model."""
    values = {"model": {"kind": "http", "name": model, "base_urls": [address]}, "data": str(data)}
    return run(Recipe.model_validate(values | {"benchmarks": dict.fromkeys(names, ".")} | settings), folder)


def differing(folder: Path, recorded: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts of a run that are not those of the recording."""
    rows = []
    for verdict in RunFolder(folder).read_stage(VERDICTS):
        theirs = recorded[verdict["problem_id"]]
        if (verdict["outcome"] == "correct") != bool(theirs["correct"]):
            ours = {name: verdict[name] for name in ("outcome", "extracted", "reason")}
            rows.append({"key": theirs["gold"], "theirs": theirs["pred"], "correct": theirs["correct"], **ours,
                         "problem": theirs["problem"], "end": theirs["response"][-300:]})  # fmt: skip
    return rows


def main() -> None:
    """Score all recorded runs, and print those that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--list", type=Path, help="all differing verdicts, JSON Lines")
    parser.add_argument("--all", action="store_true", help="also every benchmark file, with replies made of the keys")
    given = parser.parse_args()
    files, benchmarks = [given.data / f"{name}.jsonl.gz" for name in RECORDED], given.data / "benchmarks"
    runs: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in [row for file in files for row in read_rows(file)]:
        runs[row["model"], OUR_NAMES[row["benchmark"]]][problem_id(row["problem"])] = row
    listed, n_near, n_differ = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        with ReplayServer(files).running() as address:
            for number, ((model, name), recorded) in enumerate(runs.items()):
                place = Path(folder) / str(number)
                (found,) = evaluate(address, model, benchmarks, [name], place, decoding={}).evaluations
                theirs = sum(bool(row["correct"]) for row in recorded.values()) / len(recorded)
                gap, rows = found.score.value - theirs, differing(place, recorded)
                n_near, n_differ = n_near + (abs(gap) <= FAR), n_differ + len(rows)
                listed += [{"model": model, "benchmark": name, **row} for row in rows]
                if abs(gap) > FAR:
                    print(f"\n{model} on {name}: {found.score.value:.1%}, recorded {theirs:.1%}; {len(rows)} differ")
                    print("| key | their grader | took | the rules | took |\n|---|---|---|---|---|")
                    for row in sorted(rows, key=lambda row: bool(row["correct"])):
                        said = "correct" if row["correct"] else "wrong"
                        print(f"| {row['key']} | {said} | {row['theirs']} | {row['outcome']} | {row['extracted']} |")
        print(f"\n{n_near} of {len(runs)} runs within {FAR:.1%}; {n_differ} verdicts differ", flush=True)
        if given.list:
            given.list.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in listed))
        if given.all:
            made = Path(folder) / "made.jsonl"
            problems = {problem.id: problem for name in PUBLIC for problem in load_benchmark(name, benchmarks)}
            replies = [
                {"problem": p.problem, "model": "keys", "text": f"So $\\boxed{{{p.answer}}}$"}
                for p in problems.values()
            ]
            made.write_text("".join(json.dumps(row) + "\n" for row in replies))
            with ReplayServer([made], ReplayServerSettings(repeat=True)).running() as address:
                for one in evaluate(address, "keys", benchmarks, list(PUBLIC), Path(folder) / "keys").evaluations:
                    wrong = {name: n for name, n in one.n_by_outcome.items() if n and name != "correct"}
                    print(f"{one.score.benchmark}: {one.score.n_problems} problems, {one.score.n_rollouts} rollouts, "
                          f"{one.score.value:.1%}; not correct: {wrong or 'none'}")  # fmt: skip


if __name__ == "__main__":
    main()
