"""What `limo pool decontaminate` found, told in each of the ways it can be wanted: as text, as Parquet, as a page.

    look = Look.of(kept, gone, known, missing)
    look.write("evidence.parquet", "contamination.html")
    print(look.totals())

What it does not do: find anything; the evidence comes from `limo.pool`, the page from `limo.report`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limo.cli.command import table

if TYPE_CHECKING:
    from limo.core.records import Dropped, Problem

ON_PAGE = 200  # hits that a page spells out; the evidence holds all


@dataclass(frozen=True, slots=True)
class Look:
    """Every hit, the benchmarks that were compared with, and those that were wanted and not there."""

    hits: Sequence[Mapping[str, Any]]
    benchmarks: Sequence[str]
    missing: Sequence[str]

    @classmethod
    def of(cls, kept: Iterable[Problem], gone: Iterable[Dropped], known: Iterable[str], missing: Sequence[str]) -> Look:
        """What two lists of records hold."""
        from limo.pool.evidence import evidence_table

        return cls(evidence_table(kept, gone), list(known), missing)

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
        told = [LocalizedText(f"{n:,} problems stand in a benchmark.", f"{n:,} 道题与基准重合。")]
        lacking = ", ".join(self.missing)
        compared = ", ".join(self.benchmarks)
        notes = [LocalizedText(f"Compared with {compared}.", f"对照的基准：{compared}。")]
        if lacking:
            notes.append(LocalizedText(f"Not compared with, since not there: {lacking}.", f"缺失而未对照：{lacking}。"))
        return Report(
            title=LocalizedText("Contamination", "数据污染"), headline=told, notes=notes, paper=False,
            overlaps=[OverlapRow(**one) for one in totals(self.hits)],
            hits=[HitRow(**{name: one[name] for name in names}) for one in surest(self.hits, ON_PAGE)],
        )  # fmt: skip

    def totals(self) -> str:
        """Problems by benchmark, source, method and decision."""
        from limo.pool.evidence import totals

        rows: list[list[object]] = [["benchmark", "source", "method", "decision", "problems"]]
        return table(rows + [list(row.values()) for row in totals(self.hits)])

    def named(self) -> dict[str, object]:
        """What was compared with, for `--json`."""
        return {"benchmarks": list(self.benchmarks), "missing_benchmarks": list(self.missing)}

    def checked(self, n_problems: int, n_unread: int) -> tuple[dict[str, object], str]:
        """The answer of `--check`, as a value and as text."""
        from limo.pool.evidence import render, totals

        n_hit = len({row["problem_id"] for row in self.hits if row["decision"] == "drop"})
        value = {"n_problems": n_problems, "n_without_statement": n_unread, "n_contaminated": n_hit}
        head = f"{n_hit:,} of {n_problems:,} problems stand in a benchmark"
        head += f"; {n_unread:,} rows have no statement" if n_unread else ""
        body = f"\n\n{self.totals()}\n\n{render(self.hits)}" if self.hits else ""
        return {**value, **self.named(), "totals": totals(self.hits), "hits": list(self.hits)}, head + body
