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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from pydantic import Field

from limo.core.recipe import Settings
from limo.core.records import Dropped, Problem
from limo.pool.likeness import N_BANDS, rewordings, stars
from limo.pool.prints import BATCH, Array, Columns, Prints, answer_keys, meant, mixed, prints, telling

SAME_TEXT = "duplicate"
ANOTHER_ANSWER = "duplicate with another answer"
REWORDED = "reworded duplicate"
REASONS = ("", SAME_TEXT, ANOTHER_ANSWER, REWORDED)
STAYS = 0  # in REASONS


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
    found = decide(taken, meant([one.answer for one in pool], [one.options for one in pool]), settings)
    family = [pool[best].id if best >= 0 else "" for best in found.family.tolist()]
    stays = (found.reason == STAYS).tolist()
    kept = [_with_family(*one) if one[1] else one[0] for one in compress(zip(pool, family, strict=True), stays)]
    gone = np.flatnonzero(found.reason != STAYS)
    columns = [column[gone].tolist() for column in (found.twin, found.reason, found.similarity)]
    why = zip(gone.tolist(), *columns, strict=True)
    return kept, [_dropped(pool[row], pool[twin], REASONS[code], alike) for row, twin, code, alike in why]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What becomes of n problems.

    `reason` [n] is a place in REASONS, `twin` [n] who stays instead (itself if it stays), `similarity` [n] is to the
    twin, `family` [n] is the best problem of those that stay and are alike, or -1.
    """

    reason: Array
    twin: Array
    similarity: Array
    family: Array


def decide(taken: Prints, answers: Sequence[str], settings: DedupSettings) -> Decisions:
    """The three rules on prints and what the answers mean (`prints.meant`)."""
    n, order = len(taken.text), taken.order()
    twin, reason, similarity = np.arange(n), np.zeros(n, np.uint8), np.ones(n)
    leader, gone = same_text(taken.text, answers, order, settings.conflicts == "drop_all")
    twin[gone > 0], reason[gone > 0] = leader[gone > 0], gone[gone > 0]
    left = order[reason[order] == STAYS]
    other, alike = reworded(taken.group, answers, taken.grams, taken.gram_ends, left, settings.reworded)
    twin[other >= 0], reason[other >= 0], similarity[other >= 0] = other[other >= 0], 3, alike[other >= 0]
    left = left[reason[left] == STAYS]
    best, family = families(taken.bands[left], taken.sketches[left], settings.family), np.full(n, -1)
    family[left] = np.where(best >= 0, left[best], -1)
    return Decisions(reason, twin, similarity, family)


def same_text(text: Array, answers: Sequence[str], order: Array, drop_all: bool) -> tuple[Array, Array]:
    """Rule A: the best problem with each one's text, and why those go that go.  `order` lists all, the best first."""
    by_text = order[np.lexsort((text[order, 1], text[order, 0]))]  # stable: the best stays first among equals
    ordered = text[by_text]
    starts = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)])
    lengths = np.diff(np.r_[starts, len(by_text)])
    leader = np.empty(len(text), np.int64)
    leader[by_text] = np.repeat(by_text[starts], lengths)
    answer = _keys_of(answers, by_text[np.repeat(lengths > 1, lengths)])
    conflict = (answer != 0) & (answer[leader] != 0) & (answer != answer[leader])
    gone = np.where(leader == np.arange(len(text)), STAYS, np.where(conflict, 2, 1)).astype(np.uint8)
    if drop_all:
        gone[leader[conflict]] = 2
    return leader, gone


def _keys_of(answers: Sequence[str], rows: Array) -> Array:
    """The keys of these rows' answers, 0 elsewhere."""
    keys = np.zeros(len(answers), np.uint64)
    keys[rows] = answer_keys([answers[row] for row in rows.tolist()])
    return keys


def reworded(
    group: Array, answers: Sequence[str], grams: Array, gram_ends: Array, order: Array, least: float
) -> tuple[Array, Array]:
    """Rule B: which better problem of `order` each one rewords, or -1, and how alike they are."""
    by_group = order[np.argsort(group[order], kind="stable")] if least < 1 else order[:0]
    ordered = group[by_group]
    same = ordered[1:] == ordered[:-1]
    by_group = by_group[np.r_[same, False] | np.r_[False, same]] if len(by_group) else by_group
    held = [answers[row] for row in by_group.tolist()]
    with_answer = np.zeros(len(group), np.uint64)
    with_answer[by_group] = mixed(group[by_group], answer_keys(held))
    by_group = by_group[telling(held)]
    return rewordings(by_group[np.argsort(with_answer[by_group], kind="stable")], with_answer, grams, gram_ends, least)


def families(bands: Array, sketches: Array, least: float) -> Array:
    """Rule C, for problems sorted by rank: the best problem that each is alike to, itself for those, -1 if alone."""
    rows, best = np.arange(len(bands)), np.arange(len(bands))
    for band in range(N_BANDS):
        key = np.ascontiguousarray(bands[:, band])
        stars(np.argsort(key), key, sketches, rows, least, best)
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


def _with_family(problem: Problem, family: str) -> Problem:
    return replace(problem, meta={**problem.meta, "family": family})
