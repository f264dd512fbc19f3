"""The hits of `limo pool decontaminate` as text, as Parquet and as a page.

report = ContaminationReport(evidence_table(kept, dropped), benchmark_names, missing_names)
report.write("evidence.parquet", "contamination.html")
print(report.totals())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limo.cli.command import aligned_table

MAX_ON_PAGE = 200  # hits that a page spells out; the evidence holds all


@dataclass(frozen=True, slots=True)
class ContaminationReport:
    """Every hit, the benchmarks that were compared with, and those that were not there."""

    hits: Sequence[Mapping[str, Any]]
    benchmarks: Sequence[str]
    missing: Sequence[str]

    def write(self, evidence: str | None, page: str | None) -> None:
        """All hits as Parquet and the surest as a page, where a file is named."""
        from limo.pool.evidence import write_evidence

        if evidence:
            write_evidence(self.hits, evidence)
        if page:
            from limo.report import page as pages

            pages.write(self.report(), page)

    def report(self) -> Any:
        """The page's content."""
        from limo.pool.evidence import surest, totals
        from limo.report.content import HitRow, LocalizedText, OverlapRow, Report

        names = ("benchmark", "source", "method", "decision", "score", "words", "problem", "benchmark_problem")
        n = len({row["problem_id"] for row in self.hits if row["decision"] == "drop"})
        headline = [LocalizedText(f"{n:,} problems stand in a benchmark.", f"{n:,} 道题与基准重合。")]
        missing, compared = ", ".join(self.missing), ", ".join(self.benchmarks)
        notes = [LocalizedText(f"Compared with {compared}.", f"对照的基准：{compared}。")]
        if missing:
            notes.append(LocalizedText(f"Not compared with, since not there: {missing}.", f"缺失而未对照：{missing}。"))
        return Report(
            title=LocalizedText("Contamination", "数据污染"), headline=headline, notes=notes, paper=False,
            overlaps=[OverlapRow(**row) for row in totals(self.hits)],
            hits=[HitRow(**{name: row[name] for name in names}) for row in surest(self.hits, MAX_ON_PAGE)],
        )  # fmt: skip

    def totals(self) -> str:
        """Problems by benchmark, source, method and decision."""
        from limo.pool.evidence import totals

        rows: list[list[object]] = [["benchmark", "source", "method", "decision", "problems"]]
        return aligned_table(rows + [list(row.values()) for row in totals(self.hits)])

    def benchmark_names(self) -> dict[str, object]:
        """What was compared with, for `--json`."""
        return {"benchmarks": list(self.benchmarks), "missing_benchmarks": list(self.missing)}

    def of_check(self, n_problems: int, n_without_statement: int) -> tuple[dict[str, object], str]:
        """The result of `--check`, as a value and as text."""
        from limo.pool.evidence import render, totals

        n_hit = len({row["problem_id"] for row in self.hits if row["decision"] == "drop"})
        value = {"n_problems": n_problems, "n_without_statement": n_without_statement, "n_contaminated": n_hit}
        head = f"{n_hit:,} of {n_problems:,} problems stand in a benchmark"
        head += f"; {n_without_statement:,} rows have no statement" if n_without_statement else ""
        body = f"\n\n{self.totals()}\n\n{render(self.hits)}" if self.hits else ""
        return {**value, **self.benchmark_names(), "totals": totals(self.hits), "hits": list(self.hits)}, head + body
