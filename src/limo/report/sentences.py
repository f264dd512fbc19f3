"""Claims in words, computed from the numbers, in both languages, and never bolder than their interval.

A claim is written by one function from one comparison, so no arm can be praised by hand: where the measurer says
the two are not separable, the sentence says so too, whatever the difference.

    compared(report, report.comparisons[0]).en
    # 'LIMO scores 28.1 points above Bulk on average over all benchmarks (95% interval 22.0 to 34.1).'

What it does not do: decide what is separable, or compute an interval.
"""

from __future__ import annotations

from limo.report.content import Arm, Comparison, Group, Report, Said
from limo.report.words import both, points, times

MATCHED = 0.05  # budgets within 5% count as equal: an epoch rarely divides evenly (our choice)
_BUDGET = ("n_examples", "n_updates", "n_tokens")


def compared(report: Report, pair: Comparison) -> Said:
    """What a comparison shows, with its interval.  A sentence that came with the comparison goes first."""
    if pair.sentence_en:
        return Said(pair.sentence_en, pair.sentence_zh)
    key = "ties" if not pair.separable else "beats" if pair.difference > 0 else "loses"
    turned = key == "loses"  # "3 points below" counts its interval downwards too
    low, high = (-pair.high, -pair.low) if turned else (pair.low, pair.high)
    difference = points(abs(pair.difference)) if pair.separable else points(pair.difference, signed=True)
    return both(
        key,
        a=report.arm(pair.a).label,
        b=report.arm(pair.b).label,
        d=difference,
        low=points(low),
        high=points(high),
        where=_where(report, pair.group),
    )


def _where(report: Report, group: Group) -> Said:
    return both(f"where_{group}")


def headline(report: Report) -> list[Said]:
    """The claims at the top of the page: those given, else the comparisons over all benchmarks, else all of them."""
    if report.headline:
        return report.headline
    over_all = [pair for pair in report.comparisons if pair.group == "all"]
    return [compared(report, pair) for pair in over_all or report.comparisons][:4]


def matched(a: int, b: int) -> bool:
    """Whether two budgets count as equal: within 5% of the larger, and not both nothing."""
    return max(a, b) > 0 and abs(a - b) <= MATCHED * max(a, b)


def budgets(report: Report) -> list[Said]:
    """For each compared pair of trained arms, what the first spent relative to the second."""
    pairs = dict.fromkeys((pair.a, pair.b) for pair in report.comparisons)
    return [said for a, b in pairs if (said := _spent(report.arm(a), report.arm(b))) is not None]


def _spent(a: Arm, b: Arm) -> Said | None:
    facts = [fact for name in _BUDGET if (fact := _fact(name, getattr(a, name), getattr(b, name))) is not None]
    if not facts:
        return None
    joined = Said(", ".join(fact.en for fact in facts), "，".join(fact.zh for fact in facts))
    return both("budget_against", a=a.label, b=b.label, facts=joined)


def _fact(name: str, a: int, b: int) -> Said | None:
    if not a or not b:
        return None
    if matched(a, b):
        return both(f"budget_same_{name}")
    return both(f"ratio_{name}", x=times(a / b)) if a > b else both(f"share_{name}", x=times(b / a))
