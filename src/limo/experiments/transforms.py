"""What is done to chains before an arm is trained on them: controls that take one thing away from good chains.

- `shuffled`: the steps between the first and the last in a random order; the length stays;
- `false_facts`: every number of problem and chain exchanged for another by one fixed permutation, so that the chain is
  sound in another world and its single steps are false in this one;
- `answer_only`: the boxed answer alone;
- `frame`: the first and the last step: the form of a note without its reasoning.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from limo.core.records import Row

# A step ends after a full stop, question mark or line; the space behind belongs to it.  "3.5" is one number.
_STEP = re.compile(r".+?(?:[.!?](?=\s)\s+|[。！？]\s*|\n+|\Z)", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_BOX = re.compile(r"\\boxed\{(?:[^{}]|\{[^{}]*\})*\}")


def split_steps(text: str) -> list[str]:
    """The steps of a text; joined they are the text."""
    return _STEP.findall(text)


def transform_rows(rows: Sequence[Row], change: str, seed: int) -> list[Row]:
    """Training rows (`messages`, the chain last) with their chains changed; '' changes nothing."""
    if not change:
        return list(rows)
    if change == "false_facts":
        return _with_other_numbers(rows, seed)
    edit = {"shuffled": _shuffled, "answer_only": _answer_only, "frame": _frame}[change]
    return [
        {**row, "messages": [*before, {**last, "content": edit(last["content"], random.Random(f"{seed}/{number}"))}]}
        for number, row in enumerate(rows)
        for *before, last in [row["messages"]]
    ]


def _shuffled(text: str, rng: random.Random) -> str:
    first, *middle, last = split_steps(text) if len(split_steps(text)) > 1 else [text, ""]
    before = middle[:]
    while middle == before and len(set(middle)) > 1:
        rng.shuffle(middle)
    return "".join([first, *middle, last])


def _answer_only(text: str, rng: random.Random) -> str:
    return (_BOX.findall(text) or [text])[-1]


def _frame(text: str, rng: random.Random) -> str:
    steps = split_steps(text)
    return steps[0] + steps[-1] if len(steps) > 1 else text


def _with_other_numbers(rows: Sequence[Row], seed: int) -> list[Row]:
    chats = [[message for message in row["messages"] if message["role"] != "system"] for row in rows]
    numbers = sorted({number for chat in chats for m in chat for number in _NUMBER.findall(m["content"])}, key=int)
    others = numbers[:]
    random.Random(seed).shuffle(others)
    names = dict(zip(numbers, others, strict=True))

    def changed(message: Row) -> Row:
        is_system = message["role"] == "system"
        text = message["content"]
        return message if is_system else {**message, "content": _NUMBER.sub(lambda m: names[m.group()], text)}

    return [{**row, "messages": [changed(message) for message in row["messages"]]} for row in rows]
