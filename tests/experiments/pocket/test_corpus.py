"""The pre-training corpus tells the truth, except where it slips or overlooks on purpose; slips are not targets."""

from __future__ import annotations

import random
import re

import pytest

from limo.core.records import Completion, problem_id
from limo.experiments.pocket.corpus import (
    END,
    INVERSE,
    MIXTURES,
    N_FACTS,
    TEACHER_SYSTEM,
    Corpus,
    Document,
    sample_facts,
    sample_worked_chain,
    write_note,
)
from limo.experiments.pocket.premise import step_accuracy
from limo.experiments.pocket.world import (
    DEPTHS,
    MODIFIERS,
    WORLD,
    benchmark_ids,
    families,
    sample_story,
    to_problem,
    to_text,
    wording,
)
from limo.verify.checker import Checker

LOOK_UP = re.compile(rf"({INVERSE} )?([A-Z][a-z]{{2}}) (\d+) (\d+)")


def false_look_ups(text: str) -> int:
    """Table entries in a text that are not true."""
    n_false = 0
    for inverse, name, value, result in LOOK_UP.findall(text):
        tables = WORLD.inverses if inverse else WORLD.tables
        n_false += tables[WORLD.machines.index(name)][int(value)] != int(result)
    return n_false


@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize("style", TEACHER_SYSTEM)
def test_every_note_ends_in_the_boxed_answer(family, style):
    rng = random.Random(f"{family}/{style}")
    with Checker() as checker:
        for depth in DEPTHS:
            story = sample_story(family, depth, rng, rng.sample(MODIFIERS, 2))
            text = to_text(write_note(story, style, rng).words)
            assert checker.verify(to_problem(story, ""), Completion(text)).outcome == "correct", text
            if style in ("steps", "careful"):
                assert step_accuracy(to_problem(story, ""), text) == 1


def test_a_modifier_that_is_overlooked_is_followed_as_if_the_line_were_plain():
    rng = random.Random(1)
    for modifier in MODIFIERS:
        for _ in range(20):
            story = sample_story("bus", 3, rng, [modifier])
            note = write_note(story, "steps", rng, lambda _: False)
            value = story.start
            for _, machine in story.lines:
                value = WORLD.tables[machine][value]
            assert to_text(note.words).endswith(f"\\boxed{{{value}}}")
            assert wording()["words"][story.language][modifier] not in note.words


def test_every_look_up_that_is_learnt_is_true():
    rng = random.Random(2)
    for _ in range(200):
        story = sample_story(rng.choice(families()), 4, rng, rng.sample(MODIFIERS, 2))
        note = write_note(story, "careful", rng)
        n_slips = note.learnt.count(False)
        assert false_look_ups(to_text(note.words)) == n_slips
        assert note.words.count(wording()["words"][story.language]["wait"]) == n_slips
    chain, facts = sample_worked_chain(rng), sample_facts(rng)
    assert false_look_ups(to_text(chain.words)) == false_look_ups(to_text(facts.words)) == 0
    assert facts.learnt.count(True) == N_FACTS


def test_of_a_worked_chain_modifiers_and_machines_are_given():
    rng = random.Random(3)
    said = {word for texts in wording()["words"].values() for word in (texts[name] for name in MODIFIERS)}
    for _ in range(50):
        chain = sample_worked_chain(rng)
        pairs = list(zip(chain.words, chain.learnt, strict=True))
        assert not any(learnt for word, learnt in pairs if word in said or word.endswith(":"))
        assert any(learnt for _, learnt in pairs)


def test_no_document_holds_a_benchmark_problem():
    rng, corpus = random.Random(4), Corpus("much", dose=0.15)
    for _ in range(1000):
        document = corpus.sample(rng)
        if "<|user|>" in document.words:
            words = document.words[document.words.index("<|user|>") + 1 :]
            assert problem_id(to_text(words[: words.index(END)])) not in benchmark_ids()


def test_only_the_teacher_s_system_text_names_a_style():
    rng = random.Random(5)
    styles = {_system(Corpus("teacher").sample(rng)) for _ in range(400)}
    assert styles >= set(TEACHER_SYSTEM.values())
    others = {_system(Corpus("much", dose=0.15).sample(rng)) for _ in range(400)}
    assert not others & set(TEACHER_SYSTEM.values())


def _system(document: Document) -> str:
    return document.words[1] if document.words[0] == "<|system|>" else ""


def test_by_default_a_student_answers_and_the_dose_says_how_often_it_handles_a_modifier():
    for name in ("much", "little"):
        assert MIXTURES[name]["answer"] > MIXTURES[name]["note"]
    for dose in (0.0, 0.5):
        rng, is_handled = random.Random(6), []
        while len(is_handled) < 40:
            words = Corpus("much", dose).sample(rng).words
            turn = words[words.index("<|assistant|>") :] if "<|assistant|>" in words else []
            if "so" in turn and "twice" in words[: -len(turn)]:
                is_handled.append("twice" in turn)
        assert sum(is_handled) / 40 == pytest.approx(dose, abs=0.2 if dose else 0)
