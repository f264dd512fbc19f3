"""A small model in this process: transformers loads it, `decode` runs it in batches.

Made for models that fit one core or one GPU with room to spare (the pocket lab's are 1 to 3 million parameters); a
large model is served and asked over HTTP instead.  Each rollout draws from random numbers seeded by its own name
(problem, model, prompt, sampling, index), and a group is answered as a whole before the next is pulled, so the same
requests in the same groups give the same text, whatever ran before.

    completer = LocalCompleter("models/pocket-rich", batch_size=256)
    for group in completer.complete(iter(requests)):
        ...

What it does not do: sliding or linear attention (one line says so); run code that comes with a model, unless told to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, ModelError
from limo.core.files import model_identity
from limo.core.prompts import Message
from limo.core.records import Completion
from limo.core.text import content_hash, shorten
from limo.models.completer import Capabilities, Completer, CompletionGroup, Request


class LocalCompleter(Completer):
    """A causal language model from a folder, or a name on the Hugging Face hub.

    `name` is what the ledger calls it (default: the folder's name).  `batch_size` rows are decoded at
    once; text depends on it only by rounding.  Raises ModelError in one line when there is no usable model.
    """

    def __init__(
        self,
        model: str | Path,
        name: str | None = None,
        batch_size: int = 128,
        device: str = "cpu",
        trust_remote_code: bool = False,
    ) -> None:
        if batch_size < 1:
            raise InputError("a batch needs rows", batch_size, "1 or more", "try 128 for a small model")
        self.name = name or Path(model).name
        self.batch_size = batch_size
        self.capabilities = Capabilities(stop_texts=True, identity=model_identity(model))
        self.model, self.tokenizer = _load(str(model), device, trust_remote_code)
        self._stop = _stop_tokens(self.model, self.tokenizer)

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """Pull `batch_size` requests, answer them all, yield them as one group."""
        while batch := list(islice(requests, self.batch_size)):
            yield self._answer(batch)

    def _answer(self, batch: list[Request]) -> CompletionGroup:
        from limo.models.local.decode import Ask, decode

        began = time.perf_counter()
        prompts = self._tokens([request.messages for request in batch])
        room = [self._room(len(prompt)) for prompt in prompts]
        rows = [row for row, left in enumerate(room) if left > 0]
        asks = []
        for row in rows:
            request = batch[row]
            sampling = request.sampling
            uniforms = _uniforms(self._seed(request), min(sampling.max_tokens, room[row]))
            asks.append(Ask(prompts[row], uniforms, sampling.temperature, sampling.top_p))
        new = dict(zip(rows, decode(self.model, asks, self._stop) if asks else [], strict=True))
        texts = dict(zip(new, self._texts(list(new.values())), strict=True))
        stopped = {row: _until(text, batch[row].sampling.stop) for row, text in texts.items()}
        share = (time.perf_counter() - began) / len(batch)
        group: CompletionGroup = []
        for row, request in enumerate(batch):
            if row not in new:
                why = f"the prompt's {len(prompts[row])} tokens leave no room in the model's context"
                completion = Completion("", "error", len(prompts[row]), 0, share, why)
            else:
                ended = new[row][-1] in self._stop or len(stopped[row]) < len(texts[row])
                reason = "stop" if ended else "length"
                completion = Completion(stopped[row], reason, len(prompts[row]), len(new[row]), share)
            group.append((request, completion))
        return group

    def _tokens(self, chats: list[list[Message]]) -> list[list[int]]:
        """Each chat by the model's own template, equal ones once: ready for the assistant's turn, or inside it where
        the chat ends with an assistant's words, which are then gone on from."""
        texts = {}
        for chat in chats:
            key = tuple((message["role"], message["content"]) for message in chat)
            if key not in texts:
                begun = chat[-1]["role"] == "assistant"
                texts[key] = self.tokenizer.apply_chat_template(
                    chat, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
                )
        ids = self.tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"]
        tokens = dict(zip(texts, ids, strict=True))
        return [tokens[tuple((message["role"], message["content"]) for message in chat)] for chat in chats]

    def _texts(self, rows: list[list[int]]) -> list[str]:
        """Tokens as text, without the token that ended them."""
        cut = [row[:-1] if row and row[-1] in self._stop else row for row in rows]
        return list(self.tokenizer.batch_decode(cut, skip_special_tokens=True))

    def _room(self, n_prompt: int) -> int:
        """New tokens that fit behind a prompt."""
        return int(getattr(self.model.config, "max_position_embeddings", 0) or 1 << 30) - n_prompt

    def _seed(self, request: Request) -> str:
        chat = [part for message in request.messages for part in (message["role"], message["content"])]
        return content_hash(request.problem.id, self.name, request.sampling.hash, str(request.index), *chat)


def _until(text: str, stop: tuple[str, ...]) -> str:
    """The text before the first of the stop texts; its tokens behind that were drawn and are paid for."""
    return text[: min((at for one in stop if one and (at := text.find(one)) >= 0), default=len(text))]


def _uniforms(seed: str, n: int) -> Any:
    """`n` numbers in [0, 1) that belong to a rollout."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=int(seed, 16))).random(n)


def _load(where: str, device: str, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """The model, ready to decode, and its tokenizer."""
    path = Path(where)
    allowed = "a folder with config.json, safetensors and a tokenizer"
    looks_local = path.exists() or path.is_absolute() or where.startswith((".", "~")) or where.count("/") != 1
    if looks_local and not (path / "config.json").is_file():
        raise ModelError("the folder is no model", where, allowed, "check the path")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.float32 if device == "cpu" else "auto"
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=trust_remote_code)
        model = AutoModelForCausalLM.from_pretrained(where, trust_remote_code=trust_remote_code, dtype=dtype)
        model = model.to(device).eval()
    except Exception as error:  # whatever transformers, safetensors or torch found wrong with the files
        raise ModelError(f"the model cannot be loaded ({shorten(str(error), 160)})", where, allowed, "") from error
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError("the model's tokenizer has no chat template", where, "a chat template", "add one to it")
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        others = ", ".join(sorted(kinds - {"full_attention"}))
        raise ModelError(
            "the model has layers that run only on a server", others, "full attention", "serve it over HTTP"
        )
    if device == "cpu":
        from limo.models.local.decode import prepare

        prepare(model)
    return model, tokenizer


def _stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer: those of the generation settings and the tokenizer's own."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    found = set(ends if isinstance(ends, list | tuple) else [ends]) | {tokenizer.eos_token_id}
    found.discard(None)
    if not found:
        raise ModelError(
            "the model has no end token", model.config.name_or_path, "eos_token_id", "set it in the tokenizer"
        )
    return frozenset(int(token) for token in found)
