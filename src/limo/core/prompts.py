"""Every string that a model reads is made here.

A prompt is the list of chat messages before the assistant's turn.  The system text is the one that LIMO was trained and
tested with (official repository); it stands in every row of training data too, because some trainers' Qwen templates
otherwise insert another.  Chat templates are applied by the model's tokenizer or server.
"""

from __future__ import annotations

import json
import re
import unicodedata

from limo.core.files import shipped_yaml
from limo.core.text import content_hash

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."

CHOICE_SYSTEM = "Think step by step. End with a line 'Answer: ' followed by the letter of the right option alone."
NUMERIC_SYSTEM = "Reason step by step. End with a line 'Answer: ' followed by the number and its unit alone."
EXACT_SYSTEM = "Think step by step. End with a line 'Answer: ' followed by the answer alone."

Message = dict[str, str]
JUDGE_SYSTEM = "You are a careful grader of mathematical reasoning."
ANSWER_JUDGE_SYSTEM = "You compare a candidate's final answer with the known answer of a problem."
_VERDICT_WORD = re.compile(r"\b(?:in)?correct\b|\bunsure\b", re.IGNORECASE)
CANDIDATE_END = 3000  # characters of a completion that the judge of answers reads


def messages(problem: str, system: str = SYSTEM) -> list[Message]:
    """The chat before the answer: system text (left out when empty), then the problem."""
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": problem}]


def rubric(problem: str, chain: str) -> str:
    """The prompt of a judge of reasoning; neither text can close the markers around it."""
    return _judge_prompt("rubric").format(problem=_fenced(problem), chain=_fenced(chain))


def same_answer(problem: str, answer: str, found: str, completion: str) -> str:
    """The prompt of a judge of answers; none of the texts can close the markers around it.

    In what the candidate wrote the words of a verdict are spelt with spaces: a judge that obeys it says none.
    """
    end = completion if len(completion) <= CANDIDATE_END else "... " + completion[-CANDIDATE_END:]
    found, end = (_VERDICT_WORD.sub(lambda match: " ".join(match.group()), text) for text in (found, end))
    texts = {"problem": problem or "(not given)", "answer": answer, "found": found or "(nothing)", "candidate": end}
    number = content_hash("\0".join(texts.values()))  # texts that differ in a sign or a space are other questions
    return _judge_prompt("same_answer").format(number=number, **{name: _fenced(text) for name, text in texts.items()})


def _judge_prompt(name: str) -> str:
    return str(shipped_yaml(__file__, "judge_prompts.yaml")[name])


def _fenced(text: str) -> str:
    """The text without anything that could be taken for a marker, and without what cannot be seen."""
    seen = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    return re.sub("[<＜﹤]{3,}|[>＞﹥]{3,}", lambda match: " ".join(match.group()), seen)


def plain_text(chat: list[Message]) -> str:
    """The chat as one text, for models without a chat template."""
    return "".join(f"{message['content']}\n\n" for message in chat)


def prompt_hash(system: str = SYSTEM) -> str:
    """Names everything about a prompt except the problem itself."""
    return content_hash(json.dumps(messages("{problem}", system), sort_keys=True))
