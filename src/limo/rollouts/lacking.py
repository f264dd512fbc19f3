"""What rollouts lack: replies whose requests failed for good, and verdicts; one rule for how all stages end.

Where nothing was decided a stage stops (`nothing_decided` says why); where some requests failed it goes on with the
others, warns, and the command ends as partial, at every start until they have come.

    lacks = [lack] if (lack := failed_requests("weak_filter", rollouts)) else []
    raise_lacking(lacks)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from limo.core.errors import PartialError
from limo.core.records import OTHER, Rollout
from limo.core.run_folder import LACKS, RunFolder
from limo.core.text import shorten


@dataclass(frozen=True, slots=True)
class Lack:
    """`n` replies of `name` (a step or a benchmark) that never came, the commonest reason, and `retry_options`."""

    name: str
    n: int
    why: str
    options: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What is lacking, in words."""
        return f"{self.name} lacks {self.n:,} replies, whose requests fail"


def commonest_error(rollouts: Iterable[Rollout], finish_reason: str = "error") -> tuple[int, str]:
    """How many requests failed for good (or ended for that reason), and the commonest error."""
    errors = [r.completion.error or "failed" for r in rollouts if r.completion.finish_reason == finish_reason]
    return len(errors), shorten(Counter(errors).most_common(1)[0][0], 200) if errors else ""


def failed_requests(name: str, rollouts: Sequence[Rollout], retries_errors: bool = True) -> Lack | None:
    """The rollouts of `name` whose requests failed for good; None where none did."""
    n, why = commonest_error(rollouts)
    return Lack(name, n, why, retry_options(rollouts, retries_errors)) if n else None


def nothing_decided(rollouts: Sequence[Rollout]) -> str:
    """Why none of the rollouts is decided, as the commonest reason with counts; '' where one is, or there is none."""
    if not rollouts or any(rollout.outcome != "undecided" for rollout in rollouts):
        return ""
    n_failed, why = commonest_error(rollouts)
    if n_failed == len(rollouts):
        return f"each of {n_failed:,} requests failed ({why})"
    reasons = Counter(r.verdict.reason if r.verdict else "not verified" for r in rollouts)
    return f"none of {len(rollouts):,} rollouts could be decided ({shorten(reasons.most_common(1)[0][0], 200)})"


def retry_options(rollouts: Iterable[Rollout], retries_errors: bool = True) -> tuple[str, ...]:
    """What a command needs to request these again: what the server itself ended is requested only on demand, and so
    is what failed where the completer does not say that it `retries_errors`."""
    on_demand = {OTHER} if retries_errors else {OTHER, "error"}
    return ("--retry-errors",) if any(r.completion.finish_reason in on_demand for r in rollouts) else ()


def note_lacks(run: RunFolder, step: str, lacks: Sequence[Lack]) -> None:
    """Note in the run what its step lacks, in place of what it lacked before."""
    noted = _noted(run)
    if lacks or noted.get(step):
        now = {**noted, step: list(lacks)}
        run.write_json(LACKS, {name: [asdict(lack) for lack in of] for name, of in now.items()})


def noted_lacks(run: RunFolder, steps: Iterable[str]) -> list[Lack]:
    """What these steps of a run lack, in their order."""
    noted = _noted(run)
    return [lack for step in steps for lack in noted.get(step, [])]


def _noted(run: RunFolder) -> dict[str, list[Lack]]:
    return run.read_json(LACKS, dict[str, list[Lack]]) if (run.path / LACKS).is_file() else {}


def raise_lacking(lacks: Sequence[Lack], do: str = "", *options: str) -> None:
    """Raise PartialError where replies never came, for the first step or benchmark that lacks some.

    `options`: what the same command needs to request them again, if more than the lacks say.
    """
    if lacks:
        error = PartialError(lacks[0].sentence, lacks[0].why, "", do)
        error.options = options or tuple(dict.fromkeys(option for lack in lacks for option in lack.options))
        raise error
