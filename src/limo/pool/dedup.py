"""The same problem once; problems that merely look alike stay, with the name of their family.

On mathematics, plain near-duplicate removal throws away distinct problems: two texts of one template differ in a
number, and that number is the problem.  So three rules, of which only the first two drop:

A. equal canonical text (signs and digits kept): a duplicate; where the answers differ, a suspected wrong key.
B. same numbers, operators and names in the same order, same non-empty answer, and word 3-grams alike: a rewording.
C. word 3-grams alike otherwise: a sibling, kept; `meta["family"]` is the id of the best problem that it is alike to.

Each problem is compared with problems that stay, never with one that was dropped, so similarity cannot chain.

    kept, dropped = dedup(problems)
    [d.detail for d in dropped if d.reason == ANOTHER_ANSWER]       # suspected wrong keys

What it does not do: find translations, or rewordings that share few words.  `limo.pool.big` applies the same rules to
pools larger than the memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import Field

from limo.pool.likeness import N_BANDS, rewordings, stars
from limo.pool.prints import BATCH, Array, Columns, Prints, prints
from limo.recipe import Settings
from limo.records import Dropped, Problem

SAME_TEXT = "duplicate"
ANOTHER_ANSWER = "duplicate with another answer"
REWORDED = "reworded duplicate"


class DedupSettings(Settings):
    """When two problems are one."""

    n: int = Field(default=3, ge=1, le=13, description="words in an n-gram of the near rule; own choice, measured")
    reworded: float = Field(default=0.5, ge=0, le=1, description="least Jaccard similarity for rule B; 1 = off")
    family: float = Field(default=0.6, ge=0, le=1, description="least (estimated) similarity of siblings (rule C)")
    prefer: list[str] = Field(default_factory=list, description="sources whose copy is kept, best first")
    conflicts: str = Field(
        default="keep_one",
        pattern="^(keep_one|drop_all)$",
        description="equal text with other answers: keep_one (the preferred copy) or drop_all (none is trusted)",
    )


def dedup(problems: Iterable[Problem], settings: DedupSettings | None = None) -> tuple[list[Problem], list[Dropped]]:
    """The distinct problems in the order given, and the others with what they duplicate.

    Which copy stays does not depend on the order given: the preferred source, then one with an answer, then the
    longest solution, then the smaller id.
    """
    settings = settings or DedupSettings()
    pool = list(problems)
    if not pool:
        return [], []
    batches = [Columns.of(pool[start : start + BATCH]) for start in range(0, len(pool), BATCH)]
    taken = Prints.joined([prints(batch, settings.n, settings.prefer) for batch in batches])
    order = taken.order()
    twin, gone = same_text(taken.text, taken.answer, order, settings.conflicts == "drop_all")
    why = {row: (int(twin[row]), reason, 1.0) for row, reason in gone.items()}
    stays = np.ones(len(pool), bool)
    stays[list(gone)] = False
    twin, similarity = reworded(taken.group, taken.grams, taken.gram_ends, order[stays[order]], settings.reworded)
    for row in np.flatnonzero(twin >= 0).tolist():
        why[row] = int(twin[row]), REWORDED, float(similarity[row])
    stays[twin >= 0] = False
    left = order[stays[order]]
    family = families(taken.bands[left], taken.sketches[left], settings.family)
    labels = zip(left.tolist(), family.tolist(), strict=True)
    family_of = {row: pool[left[best]].id for row, best in labels if best >= 0}
    kept = [_with_family(pool[row], family_of.get(row)) for row in sorted(left.tolist())]
    gone_rows = [(pool[row], pool[why[row][0]], *why[row][1:]) for row in sorted(why)]
    return kept, [_dropped(problem, other, reason, alike) for problem, other, reason, alike in gone_rows]


def same_text(text: Array, answer: Array, order: Array, drop_all: bool) -> tuple[Array, dict[int, str]]:
    """Rule A: the best problem with each one's text, and why those go that go.  `order` lists all, the best first."""
    by_text = order[np.lexsort((text[order, 1], text[order, 0]))]  # stable: the best stays first among equals
    ordered = text[by_text]
    starts = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)])
    leader = np.empty(len(text), np.int64)
    leader[by_text] = np.repeat(by_text[starts], np.diff(np.r_[starts, len(by_text)]))
    conflict = (answer != 0) & (answer[leader] != 0) & (answer != answer[leader])
    gone = {
        row: ANOTHER_ANSWER if conflict[row] else SAME_TEXT
        for row in np.flatnonzero(leader != np.arange(len(text))).tolist()
    }
    if drop_all:
        gone |= dict.fromkeys(np.unique(leader[conflict]).tolist(), ANOTHER_ANSWER)
    return leader, gone


def reworded(group: Array, grams: Array, gram_ends: Array, order: Array, least: float) -> tuple[Array, Array]:
    """Rule B: which better problem of `order` each one rewords, or -1, and how alike they are."""
    order = order[group[order] != 0] if least < 1 else order[:0]
    return rewordings(order[np.argsort(group[order], kind="stable")], group, grams, gram_ends, least)


def families(bands: Array, sketches: Array, least: float) -> Array:
    """Rule C, for problems sorted by rank: the best problem that each is alike to, itself for those, -1 if alone."""
    rows, best = np.arange(len(bands)), np.arange(len(bands))
    for band in range(N_BANDS):
        key = np.ascontiguousarray(bands[:, band])
        stars(np.argsort(key, kind="stable"), key, sketches, rows, least, best)
    alone = best == rows
    alone[best[best != rows]] = False
    return np.where(alone, -1, best)


def _dropped(problem: Problem, twin: Problem, reason: str, similarity: float) -> Dropped:
    detail: dict[str, object] = {
        "duplicate_of": twin.id,
        "similarity": round(similarity, 3),
        "source": problem.source,
        "kept_source": twin.source,
        "answer": problem.answer,
        "kept_answer": twin.answer,
    }
    return Dropped(problem.id, "dedup", reason, detail)


def _with_family(problem: Problem, family: str | None) -> Problem:
    return replace(problem, meta={**problem.meta, "family": family}) if family else problem
