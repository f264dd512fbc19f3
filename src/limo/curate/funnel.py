"""The funnel: every stage's counts, in a chain that adds up.

    rows = [FunnelRow("weak_filter", "problems", 540, 260, 260, {"solved too often": 280})]
    check(rows)
    print(render(rows))

What it does not do: count; the run's tables are what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One stage: how many came in, were kept, were dropped and why; `n_problems` are different ones among the kept.

    `unit` says what is counted on the way in: rows, problems, rollouts or chains.
    """

    stage: str
    unit: str
    n_in: int
    n_kept: int
    n_problems: int
    n_by_reason: dict[str, int]


def check(funnel: Sequence[FunnelRow]) -> None:
    """Raise AssertionError where counts do not add up: in a stage, or between stages that count the same things."""
    for one in funnel:
        if one.n_in != one.n_kept + sum(one.n_by_reason.values()):
            raise AssertionError(f"{one.stage}: {one.n_in} came in, {one.n_kept} were kept, dropped {one.n_by_reason}")
    for before, after in pairwise(funnel):
        if after.unit != "rollouts" and before.n_kept != after.n_in:
            raise AssertionError(f"{before.stage} kept {before.n_kept}, but {after.n_in} came to {after.stage}")


def render(funnel: Sequence[FunnelRow]) -> str:
    """The funnel as a table of plain text."""
    lines = [("stage", "of", "in", "kept", "problems", "dropped")]
    for one in funnel:
        counts = (f"{one.n_in:,}", f"{one.n_kept:,}", f"{one.n_problems:,}")
        lines.append((one.stage, one.unit, *counts, reasons(one.n_by_reason)))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(_line(line, widths) for line in lines)


def reasons(n_by_reason: dict[str, int]) -> str:
    """`280: solved too often 270, suspect 10`, or `0`."""
    total = sum(n_by_reason.values())
    return f"{total:,}: " + ", ".join(f"{reason} {n:,}" for reason, n in n_by_reason.items()) if total else "0"


def _line(line: tuple[str, ...], widths: list[int]) -> str:
    names = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
    counts = [text.rjust(width) for text, width in zip(line[2:5], widths[2:], strict=True)]
    return "  ".join([*names, *counts, line[5]])
