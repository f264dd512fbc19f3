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
        "50 keywords inserted: rises a level": [one.keywords_inserted.level_rises for one in reports],
        "50 keywords inserted: score rises": [one.keywords_inserted.score_rises for one in reports],
        "steps shuffled: score falls": [one.shuffled["steps"].score_falls for one in reports],
        "paragraphs shuffled: score falls": [one.shuffled["paragraphs"].score_falls for one in reports],
    }
    lines += [[name, *(f"{100 * value:.1f}%" for value in values)] for name, values in shown.items()]
    climbed = [f"{one.keywords_inserted.mean_levels:+.2f}" for one in reports]
    lines.append(["50 keywords inserted: levels risen, mean", *climbed])
    if reports[0].separation:
        lines.append(
            ["separation from the other file: area under ROC", *(f"{one.separation['score']:.3f}" for one in reports)]
        )
    return table(lines)


def _correlations(report: Audit, labels: dict[str, list[float]]) -> str:
    """A scorer's rank correlations: its traits down; length, what rows say, and the score across."""
    across = ["length", *labels, "score"]
    heads = [f"{report.scorer} with", *across, *(["separation"] if report.separation else [])]
    lines: list[list[object]] = [list(heads)]
    for name, row in report.correlations.items():
        cells = [f"{row[other]:+.2f}" if other in row else "-" for other in across]
        lines.append([name, *cells, *([f"{report.separation[name]:.3f}"] if report.separation else [])])
    return table(lines)
