"""What `limo grade --audit` prints: the scorers of texts side by side, from rows to tables.

    value, text = audited(chains, rows, against=[], settings=GradeSettings())

Rows may say whether a chain is correct (`verdict`, `correct`) and how often each behaviour was found in it
(`label_counts`); what they do not say is left out.

What it does not do: grade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import nan
from typing import Any

from limo.cli.shape import table
from limo.core.records import Chain
from limo.curate.audit import Audit, audit
from limo.curate.chains import tidy
from limo.curate.grade import GradeSettings

Row = dict[str, Any]
SCORERS = ("limo-v2", "structure")


def audited(
    chains: Sequence[Chain], rows: Sequence[Row], against: Sequence[Chain], settings: GradeSettings
) -> tuple[dict[str, Any], str]:
    """The audits of both scorers as a value for programs and a text for people."""
    texts, lower = ([tidy(one.text) for one in some] for some in (chains, against))
    labels = labels_of(rows)
    reports = [audit(texts, settings.model_copy(update={"scorer": name}), labels, lower) for name in SCORERS]
    parts = [_fooling(reports), *(_correlated(report, labels) for report in reports)]
    return {"audits": [asdict(report) for report in reports]}, "\n\n".join(parts)


def labels_of(rows: Sequence[Row]) -> dict[str, list[float]]:
    """By name, a number for each row: correctness (1 or 0), and the count of each labelled behaviour."""
    found: dict[str, list[float]] = {}
    correct = [_correct(row) for row in rows]
    if len({value for value in correct if value == value}) > 1:
        found["correct"] = correct
    counts = [row.get("label_counts") for row in rows]
    for name in sorted({name for one in counts if isinstance(one, dict) for name in one}):
        found[name] = [float(one.get(name) or 0) if isinstance(one, dict) else nan for one in counts]
    return found


def _correct(row: Row) -> float:
    verdict = row.get("verdict")
    outcome = verdict.get("outcome") if isinstance(verdict, dict) else None
    if outcome in ("correct", "wrong"):
        return float(outcome == "correct")
    return float(row["correct"]) if isinstance(row.get("correct"), bool) else nan


def _fooling(reports: Sequence[Audit]) -> str:
    lines: list[list[object]] = [["test", *(report.scorer for report in reports)]]
    shown = {
        "50 words strewn in: climbs a level": [one.stuffed.climbs for one in reports],
        "50 words strewn in: score rises": [one.stuffed.rises for one in reports],
        "steps shuffled: score falls": [one.shuffled["steps"].falls for one in reports],
        "paragraphs shuffled: score falls": [one.shuffled["paragraphs"].falls for one in reports],
    }
    lines += [[name, *(f"{100 * value:.1f}%" for value in values)] for name, values in shown.items()]
    climbed = [f"{one.stuffed.n_levels:+.2f}" for one in reports]
    lines.append(["50 words strewn in: levels climbed, mean", *climbed])
    if reports[0].told_apart:
        lines.append(
            ["told from the other file: area under ROC", *(f"{one.told_apart['score']:.3f}" for one in reports)]
        )
    return table(lines)


def _correlated(report: Audit, labels: dict[str, list[float]]) -> str:
    """A scorer's rank correlations: its traits down; length, what rows say, and the score across."""
    across = ["length", *labels, "score"]
    heads = [f"{report.scorer} with", *across, *(["told apart"] if report.told_apart else [])]
    lines: list[list[object]] = [list(heads)]
    for name, row in report.correlations.items():
        cells = [f"{row[other]:+.2f}" if other in row else "-" for other in across]
        lines.append([name, *cells, *([f"{report.told_apart[name]:.3f}"] if report.told_apart else [])])
    return table(lines)
