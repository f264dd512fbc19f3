"""Are two answers the same?  Tiers from the cheapest certainty to the dearest, each naming itself.

    equal("1/2", "0.5")                  # Decision(True, "rational", ...)
    equal("(0,1)", "(0,1]").same         # False
    equal("\\\\int_0^1 x dx", "1/2").same   # None: for Math-Verify

`same` is None where this module cannot tell; the caller then asks Math-Verify in a child (`check.Checker`).  Every
text may have several readings (see `readings`): the answers are the same when one pair of readings is.

What it does not do: start a process, or accept "about the same": a tolerance is relative, off by default, and never
applied to an exact answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from limo.verify.normalise import MAX_ANSWER, clean, compact
from limo.verify.readings import Readings, choice_of, read
from limo.verify.compare import Comparer

_INTEGER = re.compile(r"[-+]?\d{1,300}\Z")
_MATHS = re.compile(r"[\d\\=<>^_/+]|[A-Za-z]\s*[-(]")


class Decision(NamedTuple):
    """Equal, different or unknown; the rule that decided; one phrase of why."""

    same: bool | None
    tier: str
    reason: str
    unread: bool = False  # the completion's side was no mathematics that could be read


def equal(gold: str, pred: str, tolerance: float = 0.0, *, quick: bool = False) -> Decision:
    """Compare an answer with what was extracted from a completion.

    Quick: as strings only.  `tolerance` is relative and applies only where the answer is itself a rounded decimal.
    """
    gold, pred = gold.strip(), pred.strip()
    if gold == pred:
        return Decision(True, "exact", "same string")
    if _INTEGER.match(gold) and _INTEGER.match(pred):
        return Decision(int(gold) == int(pred), "rational", "integers")
    if max(len(gold), len(pred)) > MAX_ANSWER:
        return Decision(None if len(gold) > MAX_ANSWER else False, "normalised", "too long for an answer")
    if compact(gold) == compact(pred) and compact(gold):
        return Decision(True, "normalised", "same after cleaning")
    if quick:
        return Decision(False, "normalised", "different words")
    letters = choice_of(gold)
    if letters:
        return _choice(gold, letters, pred)
    return _read_and_compare(gold, pred, tolerance)


def _choice(gold: str, letters: str, pred: str) -> Decision:
    """A multiple choice: letters against letters; a gold such as "C. 1-i" may also be met by its text."""
    said = choice_of(pred, loose=True)
    if said:
        return Decision(set(said) == set(letters), "normalised", "letters")
    rest = re.sub(r"^[\s(（]*[A-Z][)）]?\s*[.．:：、)]?\s*", "", clean(gold))
    if len(rest) > 1:
        return _read_and_compare(rest, pred, 0.0)
    return Decision(False, "normalised", "not a letter")


def _read_and_compare(gold: str, pred: str, tolerance: float) -> Decision:
    golds, preds = read(gold), read(pred)
    unsure, best = False, ""
    for first in golds.trees:
        for second in preds.trees:
            comparer = Comparer(tolerance)
            same = comparer.same(first, second)
            if same:
                return Decision(True, comparer.tier, comparer.reason)
            unsure = unsure or same is None
            best = best or comparer.reason
    if golds.trees and preds.trees and not unsure:
        return Decision(False, "structural" if "seq" in (golds.trees[0][0], preds.trees[0][0]) else "rational", best)
    return _unread(golds, preds, best)


def _unread(golds: Readings, preds: Readings, best: str) -> Decision:
    """One side is no mathematics that we read: words differ, anything else is for Math-Verify."""
    if best.startswith("too large"):
        return Decision(None, "guard", best)
    for side, other in ((golds, preds), (preds, golds)):
        if not side.trees and (not _MATHS.search(side.text) or not _MATHS.search(other.text)):
            return Decision(False, "normalised", "different words", unread=not preds.trees)
    return Decision(None, "", best or golds.why or preds.why, unread=not preds.trees)
