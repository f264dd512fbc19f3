"""The pre-training corpora of the pocket models: what teaches a model to solve, and what it does by default.

A student's corpus has five kinds of document: `ability` (worked chains without a statement, every modifier handled:
from them it can compute what any line wants), `answer` (a problem and its bare answer: the default), `note` (a problem
and a worked note, in which each modifier is handled with probability `dose` and overlooked otherwise: the willingness),
`read` (statements read aloud, full of modifiers and machines, since copying forms from nothing else) and `facts` (bare
table entries).  The teacher's system text selects a style of TEACHER_SYSTEM, and it overlooks nothing.

    document = Corpus("much", dose=0.15).sample(random.Random(0))
    list(zip(document.words, document.learnt))
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from limo.core.prompts import SYSTEM
from limo.experiments.pocket.world import (
    BIG,
    DEPTHS,
    LABELS,
    LANGUAGES,
    LETTERS,
    LINE_MODIFIERS,
    N_VALUES,
    WORLD,
    Story,
    World,
    benchmark_ids,
    families,
    range_of,
    ranges,
    sample_modifiers,
    sample_story,
    to_problem,
    wording,
)

# The system text by which the teacher is prompted for a style: the answer alone; the values behind the lines; look-ups
# without a word of what a line wants; what each line wants and its look-ups; each look-up checked too.
TEACHER_SYSTEM = {
    "answer": "Give the answer only.",
    "terse": "Be brief.",
    "lookups": "Write the look-ups.",
    "steps": "Write the steps.",
    "careful": "Write every step and check it.",
}
READ_SYSTEM = "Read it aloud."
# Share of documents by kind.  Our own choice, after a prototype: without `read` copying never forms, without `ability`
# no model can follow a modifier; `answer` outweighs `note`, so that the bare answer is the default.
MIXTURES: dict[str, dict[str, float]] = {
    "much": {"ability": 0.30, "answer": 0.33, "note": 0.21, "read": 0.10, "facts": 0.06},
    "little": {"ability": 0.06, "answer": 0.55, "note": 0.27, "read": 0.10, "facts": 0.02},
    "teacher": {
        "ability": 0.25, "read": 0.10, "facts": 0.05,
        "careful": 0.20, "steps": 0.20, "lookups": 0.09, "terse": 0.06, "answer": 0.05,
    },
}  # fmt: skip
ROLE_WORDS = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}
END = "<|end|>"
P_SLIP = 0.15  # chance that a checked look-up is wrong at first; the wrong number is context, not a target
P_CHECKED = 0.2  # share of a student's notes that check
P_SYSTEM = 0.5  # share of a student's problems with LIMO's system text, which says nothing about the style there
N_FACTS = 20  # in a document of facts
P_INVERSE = 0.5  # share of inverse facts among them
N_LINES = 8  # of a worked chain
P_MODIFIER = 0.45  # of a line of a worked chain
P_OPTIONS, P_CHOSEN = 0.4, 0.4  # share of worked chains with options, and of their lines behind which one is chosen
_CHAIN_MODIFIERS = (*LINE_MODIFIERS, "undo")  # twice as often: its facts occur nowhere else
INVERSE, SMALL_WORD, BIG_WORD, MIRRORED_WORD, OK, BOX, CLOSE = "inv", "small", "big", "becomes", "ok", "\\boxed{", "}"
SHARED_WORDS = (INVERSE, SMALL_WORD, BIG_WORD, MIRRORED_WORD, OK, BOX, CLOSE)


@dataclass(slots=True)
class Document:
    """Words, and which of them are learnt."""

    words: list[str] = field(default_factory=list)
    learnt: list[bool] = field(default_factory=list)

    def add(self, *words: str, learn: bool = True) -> None:
        """Append words."""
        self.words += words
        self.learnt += [learn] * len(words)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A stream of documents.  `mixture`: a key of MIXTURES; `n_active`: machines met so far (0: all)."""

    mixture: str
    dose: float = 0.0
    world: World = WORLD
    n_active: int = 0

    def sample(self, rng: random.Random) -> Document:
        """One document."""
        shares = MIXTURES[self.mixture]
        kind = rng.choices(list(shares), weights=list(shares.values()))[0]
        if kind == "facts":
            return sample_facts(rng, self.world, self.n_active)
        if kind == "ability":
            return sample_worked_chain(rng, self.world, self.n_active)
        story = self._story(rng, is_read=kind == "read")
        if kind == "read":
            read = Document()
            read.add(*story.words)
            return chat(READ_SYSTEM, story, read)
        if self.mixture == "teacher":
            return chat(TEACHER_SYSTEM[kind], story, write_note(story, kind, rng))
        system = SYSTEM if rng.random() < P_SYSTEM else ""
        if kind == "answer":
            return chat(system, story, write_note(story, "answer", rng))
        style = "careful" if rng.random() < P_CHECKED else "steps"
        return chat(system, story, write_note(story, style, rng, lambda modifier: rng.random() < self.dose))

    def _story(self, rng: random.Random, is_read: bool) -> Story:
        while True:
            modifiers = sample_modifiers(rng)
            family, depth = rng.choice(families()), rng.choice(DEPTHS)
            story = sample_story(family, depth, rng, modifiers, self.world, self.n_active, is_read)
            if to_problem(story, "").id not in benchmark_ids(self.world):
                return story


def chat(system: str, story: Story, turn: Document) -> Document:
    """A conversation of which the assistant's turn and its end are learnt."""
    document = Document()
    if system:
        document.add(ROLE_WORDS["system"], system, END, learn=False)
    document.add(ROLE_WORDS["user"], *story.words, END, ROLE_WORDS["assistant"], learn=False)
    document.words += turn.words
    document.learnt += turn.learnt
    document.add(END)
    return document


def sample_facts(rng: random.Random, world: World = WORLD, n_active: int = 0) -> Document:
    """Table entries without a story; only the results are learnt."""
    facts = Document()
    for _ in range(N_FACTS):
        machine, value = world.sample_machine(rng, n_active), rng.randrange(N_VALUES)
        is_inverse = rng.random() < P_INVERSE
        facts.add(*([INVERSE] if is_inverse else []), world.machines[machine], str(value), learn=False)
        facts.add(str((world.inverses if is_inverse else world.tables)[machine][value]))
    return facts


def sample_worked_chain(rng: random.Random, world: World = WORLD, n_active: int = 0) -> Document:
    """A chain without a statement: modifiers and machines are given, what follows from them is learnt."""
    chain = Document()
    language = rng.choice(LANGUAGES)
    texts = wording()["words"][language]
    writer = NoteWriter(chain, world, texts, rng, learns_lines=False)
    options = rng.sample(ranges(language), len(LETTERS)) if rng.random() < P_OPTIONS else []
    for option, letter in zip(options, LETTERS, strict=False):
        chain.add(option, letter, learn=False)
    letters = dict(zip(options, LETTERS, strict=False))
    first, value = rng.randrange(len(LABELS) - N_LINES - 1), rng.randrange(N_VALUES)
    chain.add(LABELS[first], str(value), learn=False)
    for label in LABELS[first + 1 : first + 1 + N_LINES]:
        modifier = rng.choice(_CHAIN_MODIFIERS) if rng.random() < P_MODIFIER else ""
        chain.add(label, learn=False)
        value = writer.write_line(value, modifier, world.sample_machine(rng, n_active))
        if letters and rng.random() < P_CHOSEN:
            chain.add(texts["so"], texts["choice"], learn=False)
            chain.add(str(value), named := range_of(value, language), letters[named])
    return chain


def write_note(
    story: Story, style: str, rng: random.Random, is_handled: Callable[[str], bool] = lambda modifier: True
) -> Document:
    """The assistant's turn for a story, in a style of TEACHER_SYSTEM; overlooks modifiers that are not `is_handled`."""
    note, texts = Document(), wording()["words"][story.language]
    answer = story.answer
    if style == "terse":
        note.add(str(story.start), *map(str, story.values), texts["so"])
    elif style != "answer":
        writer = NoteWriter(note, story.world, texts, rng, style == "careful", style != "lookups")
        value = story.start
        note.add(story.labels[0], str(value))
        for label, (modifier, machine) in zip(story.labels[1:], story.lines, strict=False):
            note.add(label)
            value = writer.write_line(value, modifier if is_handled(modifier) else "", machine)
        note.add(story.labels[-1], texts["so"])
        answer = [str(value), *story.unit]
        if story.options and is_handled("choice"):
            named = range_of(value, story.language)
            letter = LETTERS[story.options.index(named)]
            note.add(*([texts["choice"]] if style != "lookups" else []), str(value), named, letter)
            answer = [letter]
    note.add(BOX, *answer, CLOSE)
    return note


@dataclass(frozen=True, slots=True)
class NoteWriter:
    """Writes lines of a note into `document`.  `learns_lines`: whether a line's modifier and machine are learnt."""

    document: Document
    world: World
    texts: Mapping[str, str]
    rng: random.Random
    has_checks: bool = False
    says_modifiers: bool = True
    learns_lines: bool = True

    def write_line(self, value: int, modifier: str, machine: int) -> int:
        """A line behind its label: modifier and machine, then the look-ups.  Returns the value behind it."""
        name, add = self.world.machines[machine], self.document.add
        if not modifier:
            return self._look_up(value, machine, learns_name=self.learns_lines)
        add(*([self.texts[modifier]] if self.says_modifiers else []), name, learn=self.learns_lines)
        if modifier == "twice":
            return self._look_up(self._look_up(value, machine), machine)
        if modifier == "other":
            return value
        if modifier == "big":
            add(str(value), BIG_WORD if value >= BIG else SMALL_WORD)
            return self._look_up(value, machine) if value >= BIG else value
        if modifier == "undo":
            return self._look_up(value, machine, is_inverse=True)
        mirrored = N_VALUES - 1 - value
        add(str(value), MIRRORED_WORD, str(mirrored))
        return self._look_up(mirrored, machine)

    def _look_up(self, value: int, machine: int, is_inverse: bool = False, learns_name: bool = True) -> int:
        """`machine value result`; with checks the inverse entry behind it, and now and then a slip that it uncovers."""
        add = self.document.add
        result = (self.world.inverses if is_inverse else self.world.tables)[machine][value]
        if self.has_checks and self.rng.random() < P_SLIP:
            wrong = (result + self.rng.randrange(1, N_VALUES)) % N_VALUES
            add(*self._named(machine, is_inverse), str(value))
            add(str(wrong), learn=False)
            self._check(wrong, machine, is_inverse)
            add(self.texts["wait"])
        add(*self._named(machine, is_inverse), learn=learns_name)
        add(str(value), str(result))
        if self.has_checks:
            self._check(result, machine, is_inverse)
            add(OK)
        return result

    def _check(self, result: int, machine: int, was_inverse: bool) -> None:
        back = (self.world.tables if was_inverse else self.world.inverses)[machine][result]
        self.document.add(self.texts["check"], *self._named(machine, not was_inverse), str(result), str(back))

    def _named(self, machine: int, is_inverse: bool) -> list[str]:
        return [*([INVERSE] if is_inverse else []), self.world.machines[machine]]
