"""What a pocket model can do, for its card: greedy pass rates by depth, on fresh problems of no benchmark.

    measure_skills(Path("models/pocket-teacher"), "teacher")["careful"]["depth 3"]

What it does not do: serve any choice inside an experiment.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from limo.ledger import Ledger
from limo.pocket.corpus import TEACHER_SYSTEM
from limo.pocket.world import PRETRAIN_DEPTHS, benchmark_ids, families, sample_problems
from limo.prompts import SYSTEM
from limo.records import Sampling
from limo.rollouts.local import LocalCompleter
from limo.rollouts.run import collect
from limo.verify.check import Checker

SEED = 77
N_BY_DEPTH = 40


def measure_skills(path: Path, mixture: str, n_by_depth: int = N_BY_DEPTH) -> dict[str, dict[str, float]]:
    """Prompt -> depth -> share of greedy answers that are right, `n_by_depth` problems over all families.

    The teacher is asked by each of its styles, any other model by LIMO's system text, under `default`.
    """
    prompts = TEACHER_SYSTEM if mixture == "teacher" else {"default": SYSTEM}
    n = n_by_depth * len(PRETRAIN_DEPTHS)
    drawn = sample_problems(families(), n, PRETRAIN_DEPTHS, SEED, "skills")
    problems = {problem.id: problem for problem in drawn if problem.id not in benchmark_ids()}
    completer = LocalCompleter(path, "model", 256)
    skills = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "ledger.sqlite") as ledger,
        Checker() as checker,
    ):
        for style, system in prompts.items():
            sampling = Sampling(temperature=0.0, max_tokens=320)
            rates = collect(ledger, completer, problems.values(), system, sampling, checker=checker)
            by_depth: dict[str, list[float]] = {}
            for name, problem in problems.items():
                by_depth.setdefault(f"depth {problem.meta['depth']}", []).append(rates[name].rate)
            skills[style] = {depth: round(sum(found) / len(found), 3) for depth, found in by_depth.items()}
    return skills
