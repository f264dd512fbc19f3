"""The skills of a pocket model, for its card: greedy pass rates by depth, on fresh problems of no benchmark.

    measure_skills(Path("models/pocket-teacher"), "teacher")["careful"]["depth 3"]

A student is prompted twice: as it is (`default`), and with its answer begun by the first letter of the statement
(`begun`), as a careful note begins.  The difference is what it can do and does not do by default.  No choice inside an
experiment uses these numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from limo.core.prompts import Message, messages
from limo.core.records import Problem, Sampling
from limo.experiments.pocket.corpus import TEACHER_SYSTEM
from limo.experiments.pocket.world import PRETRAIN_DEPTHS, benchmark_ids, families, sample_problems
from limo.models.completer import Request
from limo.models.local.completer import LocalCompleter
from limo.verify.checker import Checker

SEED = 77
N_BY_DEPTH = 40
GREEDY = Sampling(temperature=0.0, max_tokens=320)

Prompt = Callable[[Problem], list[Message]]


def measure_skills(path: Path, mixture: str, n_by_depth: int = N_BY_DEPTH) -> dict[str, dict[str, float]]:
    """Prompt -> depth -> share of correct greedy answers, over `n_by_depth` problems of all families.

    The teacher is prompted for each of its styles, any other model by LIMO's system text (`default`, `begun`).
    """
    n = n_by_depth * len(PRETRAIN_DEPTHS)
    drawn = sample_problems(families(), n, PRETRAIN_DEPTHS, SEED, "skills")
    problems = [problem for problem in drawn if problem.id not in benchmark_ids()]
    completer = LocalCompleter(path, "model", 256)
    with Checker() as checker:
        return {name: _pass_rates(completer, checker, problems, prompt) for name, prompt in prompts(mixture).items()}


def prompts(mixture: str) -> dict[str, Prompt]:
    """Name -> the prompt of a problem, for models of that mixture."""
    if mixture == "teacher":
        return {style: _prompt_with(system) for style, system in TEACHER_SYSTEM.items()}
    return {"default": lambda problem: messages(problem.problem), "begun": _begun_prompt}


def _prompt_with(system: str) -> Prompt:
    return lambda problem: messages(problem.problem, system)


def _begun_prompt(problem: Problem) -> list[Message]:
    """The chat with the first letter of a careful note already written, that of the statement's first line."""
    return [*messages(problem.problem), {"role": "assistant", "content": problem.problem.partition(":")[0] + ":"}]


def _pass_rates(
    completer: LocalCompleter, checker: Checker, problems: list[Problem], prompt: Prompt
) -> dict[str, float]:
    requests = (Request(problem, prompt(problem), GREEDY, 0) for problem in problems)
    is_correct: dict[str, list[bool]] = defaultdict(list)
    for group in completer.complete(requests):
        for request, completion in group:
            verdict = checker.verify(request.problem, completion)
            is_correct[f"depth {request.problem.meta['depth']}"].append(verdict.outcome == "correct")
    return {depth: round(sum(flags) / len(flags), 3) for depth, flags in sorted(is_correct.items())}
