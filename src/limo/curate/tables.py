"""Records of a curation and the rows of its stages' tables, one into the other.

    rows = rows_of(problems)
    problems = problems_of(run.read_stage("dedup"))

What it does not do: read or write a file (`limo.core.run_folder` does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from limo.core.records import Chain, Dropped, Grade, PassRate, Problem, Verdict
from limo.core.stats import wilson
from limo.curate.chains import chain_hash
from limo.curate.difficulty import probability_in_band
from limo.curate.funnel import reasons
from limo.curate.scorers.keywords import measure
from limo.curate.select import Candidate

Row = dict[str, Any]


def rows_of(records: Iterable[Any]) -> list[Row]:
    """Records as rows, a column for each field."""
    return [asdict(record) for record in records]


def rated(rate: PassRate, low: int, high: int) -> Row:
    """A pass rate with its 95% interval, and the probability (`belongs`) that the true rate lies in `low`..`high`."""
    ends = dict(zip(("rate_low", "rate_high"), wilson(rate.n_correct, rate.n_decided), strict=True))
    return asdict(rate) | {"rate": rate.rate} | ends | {"belongs": probability_in_band(rate, low, high)}


def graded_rows(chains: Sequence[Chain], grades: Sequence[Grade]) -> list[Row]:
    """A row for each chain: its name, its grade, and what the paper's scorer counts in it."""
    return [
        {"problem_id": chain.problem_id, "chain_hash": chain_hash(chain)}
        | asdict(grade)
        | {"counted": asdict(measure(chain.text))}
        for chain, grade in zip(chains, grades, strict=True)
    ]


def graded_of(chains: Iterable[Chain], rows: Iterable[Row]) -> tuple[list[Chain], list[Grade]]:
    """The chains that were graded, in the order of their rows, each with its grade."""
    by_hash = {chain_hash(chain): chain for chain in chains}
    pairs = [(by_hash[row["chain_hash"]], Grade(row["traits"], row["score"], row["level"])) for row in rows]
    return [chain for chain, _ in pairs], [grade for _, grade in pairs]


def selected_rows(kept: Iterable[Candidate]) -> list[Row]:
    """A row for each candidate that was taken, in order, by rank."""
    return [
        {"rank": rank, "chain_hash": chain_hash(one.chain), "problem_id": one.chain.problem_id}
        | {"teacher": one.chain.teacher, "score": one.grade.score, "level": one.grade.level}
        for rank, one in enumerate(kept, 1)
    ]


def problems_of(rows: Iterable[Row]) -> list[Problem]:
    """The problems of rows, whatever other columns these have."""
    return [Problem(**{name: row[name] for name in Problem.__dataclass_fields__}) for row in rows]


def chains_of(rows: Iterable[Row]) -> list[Chain]:
    """The chains of rows."""
    return [Chain(**{**row, "verdict": Verdict(**row["verdict"])}) for row in rows]


def why(dropped: Iterable[Dropped]) -> str:
    """How many were dropped for which reason, the commonest first."""
    return reasons(dict(Counter(one.reason for one in dropped).most_common()))
