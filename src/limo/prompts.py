"""Every string that a model reads is made here.

A prompt is the list of chat messages before the assistant's turn.  The system text is the one that LIMO was
trained and tested with (official repository); it stands in every row of training data too, because some trainers'
Qwen templates otherwise insert another.

    >>> [message["role"] for message in messages("What is 1+1?")]
    ['system', 'user']

What it does not do: apply a chat template (the model's tokenizer does), or hold text a person reads.
"""

from __future__ import annotations

import json

from limo.text import content_hash

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."

Message = dict[str, str]


def messages(problem: str, system: str = SYSTEM) -> list[Message]:
    """The chat before the answer: system text (left out when empty), then the bare problem."""
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": problem}]


def prompt_hash(system: str = SYSTEM) -> str:
    """Names everything about a prompt except the problem itself."""
    return content_hash(json.dumps(messages("{problem}", system), sort_keys=True))
