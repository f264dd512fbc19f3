"""Rows of chat messages as tokens, with labels that say which tokens are learnt.

The text is what the model's own chat template renders.  It is checked for three things that trainers get wrong without
an error: the template adds no words of its own (Qwen's inserts another system text when a row has none), only
assistant turns are learnt, and so is their end token, without which the model never stops.  Prompt and answer are
tokenized apart, as they are when the model is prompted.  Nothing is cut: a row longer than `max_length` is an error, or
dropped with its reason when the recipe says so.

    encoded = encode(rows, tokenizer, max_length=16384)
    encoded.examples[0].labels      # -100 on the prompt, the tokens themselves on the answer and its end token
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from limo.core import prompts
from limo.core.errors import InputError, ModelError
from limo.core.records import Dropped
from limo.core.rows import text_of, values_of
from limo.core.text import join_thought, shorten
from limo.models.local.chat_template import ChatTemplate
from limo.models.local.tokenizer import encode as encode_texts
from limo.pool.sources.readers import rows as source_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

READ = 200  # texts that are looked at
UNREAD = 0.02  # share of tokens that are unknown or bytes, from which on it is said; ours
_BYTE = re.compile("<0x[0-9A-F]{2}>")
IGNORED = -100  # the label that PyTorch's cross entropy leaves out
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """One row as tokens; the lists are equally long, `labels` is -100 where nothing is learnt."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True)
class Encoded:
    """All rows as tokens.  `n_tokens` is one pass over them, `n_loss_tokens` those of it that are learnt."""

    examples: list[Example]
    dropped: list[Dropped]
    end_token_id: int
    n_tokens: int = field(init=False)
    n_loss_tokens: int = field(init=False)
    longest: int = field(init=False)

    def __post_init__(self) -> None:
        lengths = [len(example.input_ids) for example in self.examples]
        object.__setattr__(self, "n_tokens", sum(lengths))
        object.__setattr__(self, "longest", max(lengths))
        learnt = sum(label != IGNORED for example in self.examples for label in example.labels)
        object.__setattr__(self, "n_loss_tokens", learnt)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of rendered text, and whether it is learnt."""

    text: str
    learnt: bool


def read_rows(source: str | Path | Iterable[Row], system: str = prompts.SYSTEM) -> list[Row]:
    """Rows of `messages` from a dataset folder, a file of rows, a data set on the hub, or an iterable.

    Messages without a system text get `system`; rows of `conversations`, or of a problem and its solution, as GAIR/LIMO
    and others publish them, become messages with it.  Raises what `limo.pool.sources.readers` does, InputError for a
    malformed row.
    """
    if not isinstance(source, str | Path):
        return list(source)
    return [_as_messages(row, system) for row in values_of(source_rows(source), source)]


def _as_messages(row: Row, system: str) -> Row:
    """The row with `messages` that begin with a system text, made of its other columns where it has none."""
    given = row.get("messages")
    roles = [turn.get("role") for turn in given if isinstance(turn, Mapping)] if isinstance(given, list) else []
    if roles[:1] == ["system"]:
        return row
    if "assistant" in roles:
        return {**row, "messages": [{"role": "system", "content": system}, *given]}  # type: ignore[misc]
    problem, solution = text_of(row), text_of(row, _SOLUTIONS)
    turns: list[Any] = [problem, solution] if problem and solution else []
    if isinstance(row.get("conversations"), list):
        turns = [turn.get("value") if isinstance(turn, Mapping) else turn for turn in row["conversations"]]
    if not turns or not all(isinstance(turn, str) for turn in turns):
        return row  # `encode` says what is wrong with it
    chat = [{"role": ("user", "assistant")[k % 2], "content": turn} for k, turn in enumerate(turns)]
    return {**row, "messages": [{"role": "system", "content": system}, *chat]}


_SOLUTIONS = ("solution", "completion", "response", "output")


def encode(
    rows: Iterable[Row],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    on_too_long: Literal["error", "drop"] = "error",
    join_reasoning: Literal["", "think", "plain"] = "",
) -> Encoded:
    """Every row as tokens and labels, in order; reasoning that a message keeps apart is joined to its text or refused.

    Raises InputError for a row that cannot be learnt from (the message says which), ModelError for a chat template
    that cannot be trusted.
    """
    template = _Template(tokenizer)
    rows = [_joined(number, row, join_reasoning) for number, row in enumerate(rows)]
    pieces = [template.pieces(number, row) for number, row in enumerate(rows)]
    if not pieces:
        raise InputError("there is nothing to train on", "0 rows", "at least one row of messages", "check the dataset")
    texts = [piece.text for row_pieces in pieces for piece in row_pieces]
    ids = iter(encode_texts(tokenizer, texts))
    examples, dropped = [], []
    for number, row_pieces in enumerate(pieces):
        example = _join(row_pieces, ids)
        if len(example.input_ids) <= max_length:
            examples.append(example)
        else:
            dropped.append(_too_long(number, rows[number], len(example.input_ids), max_length, on_too_long))
    if not examples:
        raise InputError("every row is too long", f"{len(dropped)} rows", f"{max_length} tokens", "raise max_length")
    return Encoded(examples, dropped, template.end_token_id)


def _joined(number: int, row: Row, how: str) -> Row:
    """The row with the reasoning of its messages in their text.  Raises InputError where `how` is not said."""
    messages = row.get("messages")
    keys = ("reasoning_content", "reasoning", "thinking")
    if not isinstance(messages, list) or not any(isinstance(m, Mapping) and m.get(k) for m in messages for k in keys):
        return row
    if not how:
        value = next(key for key in keys for m in messages if isinstance(m, Mapping) and m.get(key))
        do = "set join_reasoning=think or plain"
        raise InputError(f"row {number} keeps reasoning apart from its text", value, "texts with all they hold", do)
    joined = []
    for message in messages:
        thought = next((str(message[key]) for key in keys if message.get(key)), "")
        text = str(message.get("content") or "")
        plain = f"{thought}\n\n{text}" if thought else text
        joined.append({**message, "content": join_thought(thought, text) if how == "think" else plain})
    return {**row, "messages": joined}


def _join(pieces: list[_Piece], ids: Iterator[list[int]]) -> Example:
    input_ids: list[int] = []
    labels: list[int] = []
    for piece in pieces:
        tokens = next(ids)
        input_ids += tokens
        labels += tokens if piece.learnt else [IGNORED] * len(tokens)
    return Example(input_ids, labels)


def _too_long(number: int, row: Row, n_tokens: int, max_length: int, on_too_long: str) -> Dropped:
    if on_too_long == "error":
        raise InputError(
            f"row {number} is longer than max_length", f"{n_tokens} tokens", f"up to {max_length}",
            "raise max_length, or set on_too_long=drop to leave such rows out and on record",
        )  # fmt: skip
    detail: dict[str, object] = {"row": number, "n_tokens": n_tokens, "max_length": max_length}
    return Dropped(str(row.get("problem_id", "")), "train", "too_long", detail)


def reading_note(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> str:
    """What the tokenizer cannot read of the texts, with the share and an example; "" where it reads them.

    Tokens that stand for anything unknown, or for a single byte; or more tokens than characters.
    """
    texts = [text for text in islice(texts, READ) if text.strip()]
    if not texts:
        return ""
    ids = encode_texts(tokenizer, texts)
    tokens = [tokenizer.convert_ids_to_tokens(of_text) for of_text in ids]
    odd = [sum(t == tokenizer.unk_token or bool(_BYTE.fullmatch(t)) for t in of_text) for of_text in tokens]
    per_character = [len(of_text) / len(text) for of_text, text in zip(tokens, texts, strict=True)]
    n_tokens, n_characters = sum(map(len, tokens)), sum(map(len, texts))
    advice = "a base model that knows this language would learn more from it"
    if sum(odd) > UNREAD * n_tokens:
        share, worst = f"{sum(odd) / n_tokens:.0%}", shorten(texts[odd.index(max(odd))], 40)
        return f"{share} of the tokens are unknown to this model, or single bytes, as in {worst!r}; {advice}"
    if n_tokens > n_characters:
        worst = shorten(texts[per_character.index(max(per_character))], 40)
        return f"this model needs {n_tokens / n_characters:.1f} tokens for a character, as in {worst!r}; {advice}"
    return ""


def texts_of(rows: Iterable[Row]) -> Iterator[str]:
    """The texts of the messages of rows, the system's left out."""
    for row in rows:
        yield from (str(turn.get("content")) for turn in row.get("messages") or () if turn.get("role") != "system")


class _Template:
    """A tokenizer's chat template, used only after its rendering has been checked."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._template = ChatTemplate(tokenizer, tokenizer.name_or_path)
        self._tokenizer = tokenizer
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        special = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
        self._special = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"(?!)")
        self._gaps_by_roles: dict[tuple[str, ...], list[str]] = {}
        self._end = ""

    @property
    def end_token_id(self) -> int:
        """The token that ends an assistant turn, as rendered."""
        return int(self._tokenizer.convert_tokens_to_ids(self._end))

    def pieces(self, number: int, row: Row) -> list[_Piece]:
        """The rendered row, cut where learning begins and ends; what follows the last end token is left out."""
        chat = self._chat(number, row)
        gaps = self._gaps(tuple(message["role"] for message in chat))
        text = "".join(gap + message["content"] for gap, message in zip(gaps, chat, strict=False)) + gaps[-1]
        if self._render(chat) != text:
            allowed = "a template that renders texts as they are"
            raise ModelError(f"the chat template changes the texts of row {number}", "", allowed, "give it another")
        pieces: list[_Piece] = []
        prompt = ""
        for gap, message in zip(gaps, chat, strict=False):
            prompt += gap.removeprefix(self._end) if pieces and not prompt else gap  # the end token was learnt already
            if message["role"] == "assistant":
                pieces += [_Piece(prompt, False), _Piece(message["content"] + self._end, True)]
                prompt = ""
            else:
                prompt += message["content"]
        return pieces

    def _chat(self, number: int, row: Row) -> list[dict[str, str]]:
        """The row's messages if they are a system text followed by turns of user and assistant."""
        given: Any = row.get("messages")
        chat: list[Any] = given if isinstance(given, list) else []
        fits = all(isinstance(m, Mapping) and isinstance(m.get("content"), str) for m in chat)
        roles = [m.get("role") for m in chat] if fits else []
        n_turns = (len(roles) - 1) // 2
        if n_turns < 1 or roles != ["system", *["user", "assistant"] * n_turns]:
            value = ", ".join(map(str, roles)) or shorten(repr(given), 60)
            allowed = "one system message, then user and assistant in turn, each with its text"
            raise InputError(f"row {number} is not a chat to learn from", value, allowed, "correct the dataset")
        for message in chat:
            token = self._special.search(message["content"])
            if token or not message["content"].strip():
                what = f"holds the special token {token.group()}" if token else "is empty"
                raise InputError(
                    f"row {number}: the {message['role']} text {what}", shorten(message["content"], 60),
                    "plain text", "leave this row out: it would break the chat apart",
                )  # fmt: skip
        return [{"role": m["role"], "content": m["content"]} for m in chat]

    def _render(self, chat: list[dict[str, str]], prompt: bool = False) -> str:
        return self._template.render([chat], add_generation_prompt=prompt)[0]

    def _gaps(self, roles: tuple[str, ...]) -> list[str]:
        """What the template puts before each text and after the last; checked, and once for chats of the same shape."""
        if roles not in self._gaps_by_roles:
            chat = [{"role": role, "content": f"limo text {i} omil"} for i, role in enumerate(roles)]
            gaps, rest = [], self._render(chat)
            for message in chat:
                gap, content, rest = rest.partition(message["content"])
                if not content:
                    allowed = "a template that renders texts as they are"
                    raise ModelError("the chat template changes texts", shorten(gap, 60), allowed, "give it another")
                gaps.append(gap)
            self._gaps_by_roles[roles] = [*gaps, rest]
            self._check(chat, self._gaps_by_roles[roles])
        return self._gaps_by_roles[roles]

    def _check(self, chat: list[dict[str, str]], gaps: list[str]) -> None:
        """Check the template's own words: none but roles, and each answer between its prompt and an end token."""
        for gap, role in zip(gaps, [*(message["role"] for message in chat), ""], strict=True):
            words = self._special.sub(" ", gap).split()
            if words not in ([], [role]):
                allowed = "special tokens and the role's name: the row's own system message and no other"
                raise ModelError("the chat template adds words of its own", shorten(gap), allowed, "give it another")
        for i, message in enumerate(chat):
            if message["role"] == "assistant":
                self._check_turn(chat[:i], gaps[: i + 1], gaps[i + 1])

    def _check_turn(self, before: list[dict[str, str]], gaps: list[str], after: str) -> None:
        """Check that an answer begins where a prompt for one ends, and that it ends in an end token."""
        expected = "".join(gap + message["content"] for gap, message in zip(gaps, before, strict=False)) + gaps[-1]
        prompt = self._render(before, prompt=True)
        if prompt != expected:
            raise ModelError(
                "the chat template renders a prompt and an answer differently", shorten(prompt[-60:]),
                f"a prompt that ends in {gaps[-1]!r}", "give it a template that renders both alike",
            )  # fmt: skip
        end = self._special.match(after)
        if end is None or self._end not in ("", end.group()):
            what = "the chat template has no end token after an answer"
            raise ModelError(what, after, "one special token, always the same", "give it another")
        self._end = end.group()
