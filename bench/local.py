"""Tokens a second of the local completer, beside transformers' `generate` as people call it.

    python bench/local.py                             # the shipped pocket models, one core
    python bench/local.py pocket-teacher --rows 512

The work is that of the pocket lab: several rollouts of each of fresh problems, by the careful prompt.  Peers:

- one rollout at a time: `generate` in a loop;
- one problem at a time: the same with `num_return_sequences=n`;
- batches: the same rows a batch as ours, padded on the left, `num_return_sequences=n`.

All run on one thread in this process, in turns, twice, and are counted by processor time.  A token counts when it comes
before its row's end or is that end.  Then our own texts are sampled again in other batches, and must be the same.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from limo.core.prompts import messages
from limo.core.records import Problem, Sampling
from limo.experiments.pocket.models import model_path
from limo.experiments.pocket.world import DEPTHS, families, sample_problems
from limo.models.completer import Request
from limo.models.local.completer import LocalCompleter

SYSTEM = "Write every step and check it."


def ours(completer: LocalCompleter, requests: list[Request]) -> dict[tuple[str, int], tuple[str, int]]:
    return {
        (request.problem.id, request.index): (completion.text, completion.n_completion_tokens)
        for group in completer.complete(iter(requests))
        for request, completion in group
    }


class Peer:
    """A model and its tokenizer as transformers loads them."""

    def __init__(self, name: str, n: int, max_tokens: int) -> None:
        path = model_path(name)
        self.tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        self.n, self.max_tokens = n, max_tokens

    @torch.inference_mode()
    def draw(self, problems: list[Problem], rows: int) -> int:
        """New tokens of `n` rollouts each, `rows` at once (1: one rollout each)."""
        n = min(self.n, rows)
        chats = [messages(problem.problem, SYSTEM) for problem in problems]
        texts = [self.tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in chats]
        size, total = rows // n, 0
        for start in range(0, len(texts), size):
            inputs = self.tokenizer(
                texts[start : start + size], return_tensors="pt", padding=True, add_special_tokens=False
            )
            out = self.model.generate(
                **inputs, do_sample=True, temperature=1.0, top_p=1.0, top_k=0, num_return_sequences=n,
                max_new_tokens=self.max_tokens,
            )  # fmt: skip
            new = out[:, inputs["input_ids"].shape[1] :]
            ended = new == self.tokenizer.eos_token_id
            total += int(torch.where(ended.any(1), ended.int().argmax(1) + 1, new.shape[1]).sum())
        return total


def speed(work: Callable[[], int]) -> tuple[float, int]:
    began = time.process_time()
    n = work()
    return n / (time.process_time() - began), n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["pocket-teacher", "pocket-rich"])
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--n", type=int, default=8, help="rollouts of each")
    parser.add_argument("--rows", type=int, default=256, help="in one batch")
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    problems = sample_problems(families(), given.problems, DEPTHS, 7, "fresh")
    problems.sort(key=lambda problem: len(problem.problem))
    requests = [
        Request(p, messages(p.problem, SYSTEM), Sampling(max_tokens=given.max_tokens), k)
        for p in problems
        for k in range(given.n)
    ]
    few = problems[:: max(1, len(problems) // 12)]
    for name in given.models:
        completer, peer = LocalCompleter(model_path(name), name, given.rows), Peer(name, given.n, given.max_tokens)
        arms: dict[str, Callable[[], int]] = {
            "ours": lambda completer=completer: sum(n for _, n in ours(completer, requests).values()),
            f"generate, {given.rows} rows a batch": lambda peer=peer: peer.draw(problems, given.rows),
            "generate, a problem at a time": lambda peer=peer: peer.draw(few, given.n),
            "generate, a rollout at a time": lambda peer=peer: peer.draw(few, 1),
        }
        best: dict[str, float] = {}
        for _ in range(given.rounds):
            for arm, work in arms.items():
                rate, n = speed(work)
                best[arm] = max(best.get(arm, 0.0), rate)
                print(f"{name}, {arm}: {rate:,.0f} tokens a second of one core ({n:,} tokens)", flush=True)
        mine = best.pop("ours")
        print(f"{name}: " + "; ".join(f"{mine / rate:.2f} times {arm}" for arm, rate in best.items()))
        first = ours(completer, requests)
        completer.batch_size = given.rows // 2 + 5
        again = ours(completer, random.Random(1).sample(requests, len(requests)))
        same = sum(first[key] == again[key] for key in first)
        print(f"{name}: {same:,} of {len(first):,} texts are the same in other batches", flush=True)


if __name__ == "__main__":
    main()
