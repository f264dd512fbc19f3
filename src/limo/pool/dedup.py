"""The same problem once; problems that merely look alike stay, with the name of their family.

On mathematics, plain near-duplicate removal throws away distinct problems: two texts of one template differ in a
number, and that number is the problem.  So three rules, of which only the first two drop:

A. equal canonical text (signs and digits kept): a duplicate; where the answers differ, a suspected wrong key.
B. same numbers, operators and names in the same order, same non-empty answer, and word 3-grams alike: a rewording.
C. word 3-grams alike otherwise: a sibling, kept, `meta["family"]` = id of the family's first member.

Each problem is compared with problems that stay, never with one that was dropped, so similarity cannot chain.

    kept, dropped = dedup(problems)
    [d.detail for d in dropped if d.reason == ANOTHER_ANSWER]       # suspected wrong keys

What it does not do: find translations, or rewordings that share few words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from pydantic import Field

from limo.pool.bands import bands, hashed, signature
from limo.pool.normal import canonical, jaccard, masked, names, ngrams, numbers, operators, plain_answer, tokens
from limo.recipe import Settings
from limo.records import Dropped, Problem
from limo.text import content_hash

SAME_TEXT = "duplicate"
ANOTHER_ANSWER = "duplicate with another answer"
REWORDED = "reworded duplicate"


class DedupSettings(Settings):
    """When two problems are one."""

    n: int = Field(default=3, ge=1, le=13, description="words in an n-gram of the near rule; own choice, measured")
    reworded: float = Field(default=0.5, ge=0, le=1, description="least Jaccard similarity for rule B; 1 = off")
    family: float = Field(default=0.6, ge=0, le=1, description="least Jaccard similarity of siblings (rule C)")
    prefer: list[str] = Field(default_factory=list, description="sources whose copy is kept, best first")
    conflicts: str = Field(
        default="keep_one",
        pattern="^(keep_one|drop_all)$",
        description="equal text with other answers: keep_one (the preferred copy) or drop_all (none is trusted)",
    )


@dataclass(slots=True)
class _Kept:
    """What a later problem is compared with."""

    problem: Problem
    answer: str
    grams: frozenset[int]
    distrusted: bool = False


@dataclass(slots=True)
class _Seen:
    """The problems kept so far, findable by text, by bands of rewordings and by bands of families."""

    by_text: dict[str, _Kept] = field(default_factory=dict)
    by_wording: dict[tuple[bytes, str], list[_Kept]] = field(default_factory=dict)
    by_family: dict[bytes, list[_Kept]] = field(default_factory=dict)
    families: dict[str, list[str]] = field(default_factory=dict)


def dedup(
    problems: Iterable[Problem],
    settings: DedupSettings | None = None,
    answer_key: Callable[[str], str] = plain_answer,
) -> tuple[list[Problem], list[Dropped]]:
    """The distinct problems in the order given, and the others with what they duplicate.

    Which copy stays does not depend on the order given: the preferred source, then one with an answer, then the
    longest solution, then the smaller id and source.  Two answers are the same where `answer_key` says so.
    """
    settings = settings or DedupSettings()
    pool = list(problems)
    ranked = sorted(range(len(pool)), key=lambda place: _rank(pool[place], settings.prefer))
    seen, stays, dropped = _Seen(), {}, {}
    for place in ranked:
        why = _place(pool[place], seen, settings, answer_key)
        if why:
            dropped[place] = why
        else:
            stays[place] = pool[place]
    if settings.conflicts == "drop_all":
        for place in [p for p in stays if seen.by_text[_text_key(pool[p])].distrusted]:
            del stays[place]
            dropped[place] = Dropped(pool[place].id, "dedup", ANOTHER_ANSWER, {"duplicate_of": pool[place].id})
    family_of = {member: family for family, members in seen.families.items() if len(members) > 1 for member in members}
    kept = [_with_family(stays[place], family_of) for place in sorted(stays)]
    return kept, [dropped[place] for place in sorted(dropped)]


def _rank(problem: Problem, prefer: list[str]) -> tuple[int, bool, int, str, str, str]:
    liked = prefer.index(problem.source) if problem.source in prefer else len(prefer)
    return liked, not problem.answer, -len(problem.solution), problem.id, problem.source, problem.problem


def _text_key(problem: Problem) -> str:
    # A text without letters or digits has an empty canonical form; its own text then stands for it.
    return content_hash(canonical(problem.problem) or problem.problem)


def _place(problem: Problem, seen: _Seen, settings: DedupSettings, answer_key: Callable[[str], str]) -> Dropped | None:
    """Why the problem goes, or None after taking it into `seen`."""
    answer, text_key = _answer_of(problem, answer_key), _text_key(problem)
    twin = seen.by_text.get(text_key)
    if twin is not None:
        conflict = bool(answer and twin.answer and answer != twin.answer)
        twin.distrusted |= conflict
        return _dropped(problem, twin, ANOTHER_ANSWER if conflict else SAME_TEXT, 1.0)
    words = tokens(problem.problem)
    grams = hashed(ngrams(masked(words), settings.n))
    # Grouping by these before banding is what keeps numbers meaningful and buckets short.
    group = content_hash(*numbers(words), "|", *operators(words), "|", *names(problem.problem), "|", answer)
    minima = signature(grams)
    wordings = [(band, group) for band in bands(minima, 20, 3)] if answer and settings.reworded < 1 else []
    twin, similarity = _nearest(grams, (seen.by_wording.get(key, ()) for key in wordings), settings.reworded)
    if twin is not None:
        return _dropped(problem, twin, REWORDED, similarity)
    entry = _Kept(problem, answer, grams)
    seen.by_text[text_key] = entry
    for key in wordings:
        seen.by_wording.setdefault(key, []).append(entry)
    _join_family(entry, minima, seen, settings.family)
    return None


def _join_family(entry: _Kept, minima: bytes, seen: _Seen, least: float) -> None:
    """Into the family of the most similar founder, or a new one; members are compared with founders only."""
    keys = bands(minima, 16, 5)
    founder, _ = _nearest(entry.grams, (seen.by_family.get(key, ()) for key in keys), least)
    if founder is not None:
        seen.families[founder.problem.id].append(entry.problem.id)
        return
    seen.families[entry.problem.id] = [entry.problem.id]
    for key in keys:
        seen.by_family.setdefault(key, []).append(entry)


def _nearest(grams: frozenset[int], buckets: Iterable[Iterable[_Kept]], least: float) -> tuple[_Kept | None, float]:
    """The most similar entry of at least `least`, the earliest kept among equals, with its similarity."""
    best, best_similarity = None, 0.0
    looked_at: set[int] = set()
    for bucket in buckets:
        for entry in bucket:
            if id(entry) in looked_at:
                continue
            looked_at.add(id(entry))
            similarity = jaccard(grams, entry.grams)
            if similarity >= least and similarity > best_similarity:
                best, best_similarity = entry, similarity
    return best, best_similarity


def _answer_of(problem: Problem, answer_key: Callable[[str], str]) -> str:
    """The answer as a key; an option's letter becomes the option's text, since copies shuffle options."""
    options = problem.meta.get("options")
    if isinstance(options, dict) and problem.answer in options:
        return answer_key(str(options[problem.answer])) or problem.answer
    return answer_key(problem.answer) if problem.answer else ""


def _dropped(problem: Problem, twin: _Kept, reason: str, similarity: float) -> Dropped:
    detail: dict[str, object] = {
        "duplicate_of": twin.problem.id,
        "similarity": round(similarity, 3),
        "source": problem.source,
        "kept_source": twin.problem.source,
        "answer": problem.answer,
        "kept_answer": twin.problem.answer,
    }
    return Dropped(problem.id, "dedup", reason, detail)


def _with_family(problem: Problem, family_of: dict[str, str]) -> Problem:
    family = family_of.get(problem.id)
    return replace(problem, meta={**problem.meta, "family": family}) if family else problem
