"""A small model in this process: transformers loads it, `decode` runs it in batches.

Made for models that fit one core or one GPU with room to spare (the pocket lab's have 200,000 parameters); large models
are better served over HTTP.  Each rollout is sampled with random numbers seeded by its own identity
(problem, model, prompt, sampling, index), and a batch is completed as a whole before the next is pulled, so the same
requests in the same batches give the same text, whatever ran before.  Completions of a batch that takes longer than
`GROUP_S` are yielded, and so stored, as they end.

    completer = LocalCompleter("models/pocket-rich", batch_size=256)
    for group in completer.complete(iter(requests)):
        ...
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

from limo.core.errors import InputError, ModelError
from limo.core.files import model_identity
from limo.core.progress import duration
from limo.core.prompts import Message
from limo.core.records import Completion
from limo.core.text import content_hash, shorten
from limo.models.completer import CANCELLED, Capabilities, Completer, CompletionGroup, Request
from limo.models.local.chat_template import ChatTemplate
from limo.models.local.config import load_weights, loading_error, read_config
from limo.models.local.tokenizer import encode, load_tokenizer, panics_told

LOG = logging.getLogger(__name__)
GROUP_S = 5.0  # between two groups of one batch: what a stop may cost of completions that have ended


class TokenCompletion(NamedTuple):
    """A completion with the tokens of its prompt and its own, the end token among them."""

    prompt: list[int]
    tokens: list[int]
    completion: Completion


class _Stopped(Exception):
    """The rows that are being decoded are given up."""


class LocalCompleter(Completer):
    """A causal language model from a folder, or a name on the Hugging Face hub.

    `name` is what the ledger calls it (default: the folder's name).  `batch_size` rows are decoded at once; text
    depends on it only by rounding.  `device` as in `LocalModelSettings`.  Code that comes with a model runs only with
    `trust_remote_code`.  Raises ModelError when there is no usable model.
    """

    def __init__(
        self,
        model: str | Path,
        name: str | None = None,
        batch_size: int = 128,
        device: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        if batch_size < 1:
            raise InputError("a batch needs rows", batch_size, "1 or more", "try 128 for a small model")
        device = device_of(device)
        loaded, tokenizer = _load(str(model), device, trust_remote_code)
        self._set_up(loaded, tokenizer, name or Path(model).name, batch_size)
        self.capabilities = Capabilities(stop_texts=True, identity=model_identity(model))
        if self._is_fast and device == "cpu":
            from limo.models.local.decode import prepare

            prepare(self.model)

    @classmethod
    def of(cls, model: Any, tokenizer: Any, name: str) -> Self:
        """A model in training, which is decoded with the weights it has at each call and is left as it was."""
        completer = cls.__new__(cls)
        completer._set_up(model, tokenizer, name, 128)
        completer._is_borrowed = True
        return completer

    _is_borrowed = False
    _under_way: tuple[int, int, int, float] | None = None  # rows, new tokens of each, most of them, when they began
    _n_left, _is_stopped = 0, False

    def stop_waiting(self) -> int:
        """Give up the rows that have not ended, which are decoded anew, and alike, at the next start; how many."""
        self._is_stopped = True
        return self._n_left

    def waits_for(self) -> str:
        """How far the rows that are decoded now are."""
        if self._under_way is None or not self._under_way[1]:
            return ""
        n_rows, n, most, _ = self._under_way
        left = duration(self.longest_s())
        return f"{n_rows:,} completions in this process: {n:,} of at most {most:,} tokens each; at most {left} left"

    def longest_s(self) -> float:
        """Seconds until these rows are whole, at their speed so far."""
        _, n, most, began = self._under_way or (0, 0, 0, 0.0)
        return (time.perf_counter() - began) / n * (most - n) if n else 0.0

    def _set_up(self, model: Any, tokenizer: Any, name: str, batch_size: int) -> None:
        self.model, self.tokenizer, self.name, self.batch_size = model, tokenizer, name, batch_size
        self._template = ChatTemplate(tokenizer, model.config.name_or_path)
        self._stop_tokens = _stop_tokens(model, tokenizer)
        layers = set(getattr(model.config, "layer_types", None) or ["full_attention"])
        self._is_fast = layers == {"full_attention"}
        if not self._is_fast:
            others = ", ".join(sorted(layers - {"full_attention"}))
            LOG.warning("%s has layers (%s) that only transformers' slower `generate` runs", self.name, others)

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """Pull `batch_size` requests, complete them all; yield them as one group, or every `GROUP_S` what has ended."""
        self._is_stopped = False
        while batch := list(islice(requests, self.batch_size)):
            self._n_left = len(batch)
            for completed in self._complete(batch):
                self._n_left -= len(completed)
                yield [(batch[place], completed[place].completion) for place in sorted(completed)]

    def complete_tokens(self, batch: Sequence[Request]) -> list[TokenCompletion]:
        """Complete these requests at once, whatever `batch_size` says."""
        completed: dict[int, TokenCompletion] = {}
        self._is_stopped = False
        for some in self._complete(batch):
            completed |= some
        return [completed[place] for place in range(len(batch))]

    def _complete(self, batch: Sequence[Request]) -> Iterator[dict[int, TokenCompletion]]:
        """The completions of a batch, by place in it."""
        from limo.models.local.decode import DecodingRow, borrowed, decode, generate

        began = yielded = time.perf_counter()
        prompts = self._tokenize([request.messages for request in batch])
        rows: dict[int, DecodingRow] = {}  # by place in the batch: those whose prompts leave room
        ended: dict[int, list[int]] = {}  # the new tokens, by place; none for the others
        for place, (request, prompt) in enumerate(zip(batch, prompts, strict=True)):
            sampling = request.sampling
            if (n_new := min(sampling.max_tokens, self._room(len(prompt)))) > 0:
                uniforms = _uniforms(self._seed(request), n_new)
                rows[place] = DecodingRow(prompt, uniforms, sampling.temperature, sampling.top_p)
            else:
                ended[place] = []
        run, places = decode if self._is_fast else generate, list(rows)
        most = max((len(row.uniforms) for row in rows.values()), default=0)

        def tell(n: int) -> None:
            self._under_way = len(rows), n, most, began
            if self._is_stopped:
                raise _Stopped

        left = set(rows)
        try:
            with borrowed(self.model, self._is_fast) if self._is_borrowed else nullcontext():
                for some in run(self.model, list(rows.values()), self._stop_tokens, tell) if rows else ():
                    ended |= {places[number]: tokens for number, tokens in some.items()}
                    left -= ended.keys()
                    if ended and time.perf_counter() - yielded > GROUP_S:
                        yield self._read(batch, prompts, ended, began)
                        ended, yielded = {}, time.perf_counter()
        except _Stopped:
            yield {place: TokenCompletion(prompts[place], [], Completion("", CANCELLED)) for place in left}
        finally:
            self._under_way = None
        if ended:
            yield self._read(batch, prompts, ended, began)

    def _read(
        self, batch: Sequence[Request], prompts: list[list[int]], ended: dict[int, list[int]], began: float
    ) -> dict[int, TokenCompletion]:
        """The completions of the rows that ended, by place in the batch, from their new tokens."""
        elapsed_s = (time.perf_counter() - began) / len(batch)
        texts, completed = self._texts(list(ended.values())), dict[int, TokenCompletion]()
        for (place, new), whole in zip(ended.items(), texts, strict=True):
            n_prompt = len(prompts[place])
            if not new:
                error = f"the prompt's {n_prompt} tokens leave no room in the model's context"
                completion = Completion("", "error", n_prompt, 0, elapsed_s, error)
            else:
                text = _before_stop_text(whole, batch[place].sampling.stop)
                has_ended = new[-1] in self._stop_tokens or len(text) < len(whole)
                completion = Completion(text, "stop" if has_ended else "length", n_prompt, len(new), elapsed_s)
            completed[place] = TokenCompletion(prompts[place], new, completion)
        return completed

    def _tokenize(self, chats: list[list[Message]]) -> list[list[int]]:
        """Each chat by the model's own template, equal ones once: ready for the assistant's turn, or inside it where
        the chat ends with an assistant's words, which are then continued."""
        keys = [tuple((message["role"], message["content"]) for message in chat) for chat in chats]
        distinct = dict(zip(keys, chats, strict=True))
        texts: dict[tuple[tuple[str, str], ...], str] = {}
        for is_begun in (False, True):
            some = {key: chat for key, chat in distinct.items() if (chat[-1]["role"] == "assistant") == is_begun}
            texts |= zip(some, self._template.render(list(some.values()), not is_begun, is_begun), strict=True)
        ids = encode(self.tokenizer, [texts[key] for key in distinct])
        tokens = dict(zip(distinct, ids, strict=True))
        return [tokens[key] for key in keys]

    def _texts(self, rows: list[list[int]]) -> list[str]:
        """Tokens as text, without the token that ended them."""
        cut = [row[:-1] if row and row[-1] in self._stop_tokens else row for row in rows]
        with panics_told(self.model.config.name_or_path):
            return list(self.tokenizer.batch_decode(cut, skip_special_tokens=True))

    def _room(self, n_prompt: int) -> int:
        """New tokens that fit behind a prompt."""
        return int(getattr(self.model.config, "max_position_embeddings", 0) or 1 << 30) - n_prompt

    def _seed(self, request: Request) -> str:
        chat = [part for message in request.messages for part in (message["role"], message["content"])]
        return content_hash(request.problem.id, self.name, request.sampling.hash, str(request.index), *chat)


def _before_stop_text(text: str, stop: tuple[str, ...]) -> str:
    """The text before the first of the stop texts; the tokens after it were sampled and are counted."""
    return text[: min((at for stop_text in stop if stop_text and (at := text.find(stop_text)) >= 0), default=len(text))]


def _uniforms(seed: str, n: int) -> Any:
    """`n` numbers in [0, 1) that belong to a rollout."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=int(seed, 16))).random(n)


def device_of(setting: str) -> str:
    """The device that a setting means: cuda for `auto` where torch finds a GPU, else cpu; any other as it is."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if setting == "auto" else setting


def check_device(device: str) -> None:
    """Raise ModelError for a device that torch does not have here."""
    import torch

    n_cuda = torch.cuda.device_count()
    with suppress(RuntimeError):  # no name of a device
        named = torch.device(device)
        if named.type != "cuda" or (named.index or 0) < n_cuda:
            return
    allowed = ", ".join(["cpu", *(f"cuda:{k}" for k in range(n_cuda))])
    do = "set device=cpu, or see what is here: limo doctor"
    raise ModelError("torch finds no such device here", device, allowed, do)


def _load(model_path: str, device: str, trust_remote_code: bool) -> tuple[Any, Any]:
    """The model, ready to decode, and its tokenizer."""
    config = read_config(model_path, trust_remote_code)
    import torch

    check_device(device)
    dtype = torch.float32 if device == "cpu" else "auto"
    trust: dict[str, Any] = {"config": config, "trust_remote_code": trust_remote_code}
    tokenizer = load_tokenizer(model_path, **trust)
    try:
        model = load_weights(model_path, **trust, dtype=dtype).to(device).eval()
    except Exception as error:  # whatever transformers, safetensors or torch found wrong with the files
        raise loading_error("model", model_path, error) from error
    return model, tokenizer


def _stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a completion: those of the generation settings and the tokenizer's own."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    tokens = {*(ends if isinstance(ends, list | tuple) else [ends]), tokenizer.eos_token_id} - {None}
    if not tokens:
        raise ModelError(
            "the model has no end token", model.config.name_or_path, "eos_token_id", "set it in the tokenizer"
        )
    if not all(isinstance(token, int) for token in tokens):
        what, shown = "an end token of the model is no number", shorten(str(sorted(map(str, tokens))))
        raise ModelError(what, shown, "ids of tokens", "correct eos_token_id in generation_config.json")
    n_tokens = model.get_input_embeddings().num_embeddings
    if not any(0 <= token < n_tokens for token in tokens):
        what, shown = "no end token of the model is one of its tokens", shorten(str(sorted(tokens)))
        raise ModelError(what, shown, f"0 to {n_tokens - 1:,}", "correct eos_token_id in generation_config.json")
    return frozenset(tokens)
