"""The premise of a pocket model, measured on fresh problems of no benchmark: what it does, what it can do.

LIMO's premise is that a model can do what it does not do by default.  For a student:

- `default`, `begun`: right answers (greedy) as it is, and with its note begun by the statement's first label; by number
  of modifiers.  `steps`: lines of the notes begun whose value is right.
- `able`, `willing`: along right notes, by modifier: the share of notes in which every number behind the modifier is the
  most likely one, and the mean probability of the word by which the modifier is handled.
- `facts`: table entries known, by quarters of the machines' frequency, forward and inverse.
- `pass_1`, `pass_256`: of rollouts at temperature 1, by the unbiased estimate; `sound_256`: with every step right too,
  since there are only 32 numbers and 4 letters to answer with, and 256 guesses reach nearly every answer.

Of the teacher: right answers by style, and its facts.

    measure_premise(model_path("pocket-rich"), PLANS["pocket-rich"])["begun"]["all"]
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from limo.core.prompts import SYSTEM, Message, messages
from limo.core.records import Problem, Sampling
from limo.core.stats import pass_at_k
from limo.experiments.pocket.corpus import INVERSE, TEACHER_SYSTEM, Document, chat, write_note
from limo.experiments.pocket.tokenizer import PAD, vocabulary
from limo.experiments.pocket.world import (
    LABELS,
    LANGUAGES,
    MODIFIERS,
    N_VALUES,
    World,
    families,
    held_out_problems,
    sample_story,
    wording,
)
from limo.models.completer import Request
from limo.models.local.completer import LocalCompleter
from limo.models.local.config import check_model
from limo.verify.checker import Checker

if TYPE_CHECKING:
    import torch

    from limo.experiments.pocket.models import PretrainPlan

Prompt = Callable[[Problem], list[Message]]
MAX_TOKENS = 160  # of a completion
N_BY_FAMILY, N_NOTES = 30, 64
SAMPLED_EVERY = 14  # problems: of all families, depths and numbers of modifiers
N_ROLLOUTS = 256
BATCH = 512  # rows of a forward pass, and of decoding
_LABEL = re.compile("|".join(LABELS))


def measure_premise(path: Path, plan: PretrainPlan, n_rollouts: int = N_ROLLOUTS) -> dict[str, Any]:
    """Every measure of a model; shares in 0..1."""
    check_model(path)
    world = plan.world
    problems = [p for family in families() for p in held_out_problems(family, N_BY_FAMILY, f"premise/{family}", world)]
    model = _load(path)
    with Checker() as checker:
        rollouts = Rollouts(LocalCompleter(path, "model", BATCH), checker)
        if plan.mixture == "teacher":
            by_style = {style: rollouts.greedy(problems, _with_system(text)) for style, text in TEACHER_SYSTEM.items()}
            return {**by_style, "facts": known_facts(model, world)}
        return {
            "default": rollouts.greedy(problems, lambda problem: messages(problem.problem)),
            "begun": rollouts.greedy(problems, begun),
            **able_and_willing(model, world),
            "facts": known_facts(model, world),
            **rollouts.sampled(problems[::SAMPLED_EVERY], n_rollouts),
        }


def _load(path: Path) -> torch.nn.Module:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def _with_system(system: str) -> Prompt:
    return lambda problem: messages(problem.problem, system)


def begun(problem: Problem) -> list[Message]:
    """The prompt of a problem whose note is begun by the statement's first label: what a model can do."""
    return [*messages(problem.problem), {"role": "assistant", "content": problem.problem.partition(" ")[0]}]


def step_accuracy(problem: Problem, completion: str) -> float:
    """The share of a statement's lines behind which a note says the right value; 0 where it does not say the line.

    A line's value is the last number behind its label, checks left out; a line without one leaves the value as it is.
    """
    labels = _LABEL.findall(problem.problem)[1:-1]
    parts = _LABEL.split(completion)
    said: dict[str, list[str]] = {}
    for label, part in zip(_LABEL.findall(completion), parts[1:], strict=True):
        said.setdefault(label, re.findall(r"\d+", _WITHOUT_CHECKS.sub("", part)))
    value, n_right = str(problem.meta["start"]), 0
    values: Any = problem.meta["values"]
    for label, right in zip(labels, values, strict=True):
        value = said[label][-1] if said.get(label) else value
        n_right += label in said and value == str(right)
    return n_right / len(labels)


_CHECK_WORDS = "|".join(wording()["words"][language]["check"] for language in LANGUAGES)
_WITHOUT_CHECKS = re.compile(rf"(?:{_CHECK_WORDS})(?: {INVERSE})? \S+ \d+ \d+")


class Rollouts:
    """Completions of one model and their verdicts."""

    def __init__(self, completer: LocalCompleter, checker: Checker) -> None:
        self.completer, self.checker = completer, checker

    def greedy(self, problems: Sequence[Problem], prompt: Prompt) -> dict[str, float]:
        """Right answers of all problems and by number of modifiers, steps, and the mean number of tokens."""
        sampling = Sampling(temperature=0.0, max_tokens=MAX_TOKENS)
        is_correct: dict[str, list[float]] = defaultdict(list)
        rows = self._complete(Request(problem, prompt(problem), sampling, 0) for problem in problems)
        steps, lengths = [], []
        for request, text, n_tokens, correct in rows:
            modifiers: Any = request.problem.meta["modifiers"]
            is_correct["all"].append(correct)
            is_correct[f"{min(len(modifiers), 2)} modifiers"].append(correct)
            is_begun = request.messages[-1]["role"] == "assistant"
            steps.append(step_accuracy(request.problem, request.messages[-1]["content"] * is_begun + " " + text))
            lengths.append(n_tokens)
        rates = {name: round(mean(flags), 3) for name, flags in sorted(is_correct.items(), reverse=True)}
        return {**rates, "steps": round(mean(steps), 3), "tokens": round(mean(lengths), 1)}

    def sampled(self, problems: Sequence[Problem], n: int) -> dict[str, float]:
        """pass@1 and pass@n of rollouts at temperature 1; `sound_n`: pass@n where every step has to be right too."""
        sampling = Sampling(temperature=1.0, max_tokens=MAX_TOKENS)
        requests = (Request(p, messages(p.problem), sampling, index) for p in problems for index in range(n))
        n_correct, n_sound = (dict.fromkeys((problem.id for problem in problems), 0) for _ in range(2))
        for request, text, _, correct in self._complete(requests):
            n_correct[request.problem.id] += correct
            n_sound[request.problem.id] += correct and step_accuracy(request.problem, text) == 1

        def share(counts: dict[str, int], k: int) -> float:
            return round(mean(pass_at_k([n] * len(counts), list(counts.values()), k)), 3)

        return {"pass_1": share(n_correct, 1), f"pass_{n}": share(n_correct, n), f"sound_{n}": share(n_sound, n)}

    def _complete(self, requests: Iterable[Request]) -> Iterable[tuple[Request, str, int, bool]]:
        for group in self.completer.complete(iter(requests)):
            for request, completion in group:
                outcome = self.checker.verify(request.problem, completion).outcome
                yield request, completion.text, completion.n_completion_tokens, outcome == "correct"


def able_and_willing(model: torch.nn.Module, world: World, n: int = N_NOTES) -> dict[str, dict[str, float]]:
    """Modifier -> how often a model computes right behind it, and how likely it handles it, along right notes."""
    able, willing = {}, {}
    for modifier in MODIFIERS:
        rng = random.Random(f"able/{modifier}")
        documents, n_prompts, said = [], [], []
        for _ in range(n):
            family = rng.choice([name for name in families() if name != "choice"])
            story = sample_story(family, rng.choice(range(2, 5)), rng, [modifier], world)
            note = write_note(story, "steps", rng)
            documents.append(chat(SYSTEM, story, note))
            n_prompts.append(len(documents[-1].words) - len(note.words) - 1)
            said.append(wording()["words"][story.language][modifier])
        probabilities, likeliest = _predictions(model, world, documents)
        is_able, p_handled = [], []
        for row, (document, n_prompt, word) in enumerate(zip(documents, n_prompts, said, strict=True)):
            at = document.words.index(word, n_prompt)
            p_handled.append(float(probabilities[row, at]))
            end = next(i for i in range(at + 1, len(document.words)) if document.words[i][-1] in ":}")
            numbers = [i for i in range(at + 1, end) if document.words[i] not in world.machines]
            is_able.append(all(bool(likeliest[row, i]) for i in numbers))
        able[modifier], willing[modifier] = round(mean(is_able), 3), round(mean(p_handled), 3)
    return {"able": able, "willing": willing}


def known_facts(model: torch.nn.Module, world: World) -> dict[str, list[float]]:
    """Share of table entries known, by quarters of the machines' frequency, the most frequent first."""
    known = {}
    for name, tables in (("forward", world.tables), ("inverse", world.inverses)):
        documents = []
        for machine in range(world.n_machines):
            for value in range(N_VALUES):
                entry = Document()
                entry.add(LABELS[0], str(value), LABELS[1], *([INVERSE] if name == "inverse" else []))
                entry.add(world.machines[machine], str(value), str(tables[machine][value]))
                documents.append(entry)
        _, likeliest = _predictions(model, world, documents)
        is_known = likeliest[:, len(documents[0].words) - 1].view(world.n_machines, -1).float().mean(1).tolist()
        quarter = -(-world.n_machines // 4)
        known[name] = [round(mean(is_known[at : at + quarter]), 3) for at in range(0, world.n_machines, quarter)]
    return known


def _predictions(
    model: torch.nn.Module, world: World, documents: Sequence[Document]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each word of each document, given those before it: its probability, and whether it is the most likely one."""
    import torch

    words = vocabulary(world)
    rows = [torch.tensor([words[word] for word in document.words]) for document in documents]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=words[PAD])
    probabilities, likeliest = torch.zeros(ids.shape), torch.zeros(ids.shape, dtype=torch.bool)
    with torch.no_grad():
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            logits = model(input_ids=part).logits[:, :-1]
            targets = part[:, 1:, None]
            probabilities[start : start + BATCH, 1:] = logits.softmax(-1).gather(-1, targets)[..., 0]
            likeliest[start : start + BATCH, 1:] = logits.argmax(-1) == targets[..., 0]
    return probabilities, likeliest
