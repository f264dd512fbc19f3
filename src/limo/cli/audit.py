"""The tables of `limo grade --audit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from limo.cli.command import table

if TYPE_CHECKING:
    from limo.curate.audit import Audit
    from limo.stages.grade import RowAudits


def audit_text(audits: RowAudits) -> str:
    """Edits that raise or lower the scores, then the correlates of each scorer."""
    parts = [_edits(audits.scorers), *(_correlations(audit, audits.labels) for audit in audits.scorers)]
    return "\n\n".join(parts)


def _edits(reports: Sequence[Audit]) -> str:
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


def _correlations(report: Audit, labels: dict[str, list[float]]) -> str:
    """A scorer's rank correlations: its traits down; length, what rows say, and the score across."""
    across = ["length", *labels, "score"]
    heads = [f"{report.scorer} with", *across, *(["told apart"] if report.told_apart else [])]
    lines: list[list[object]] = [list(heads)]
    for name, row in report.correlations.items():
        cells = [f"{row[other]:+.2f}" if other in row else "-" for other in across]
        lines.append([name, *cells, *([f"{report.told_apart[name]:.3f}"] if report.told_apart else [])])
    return table(lines)
