"""The decoding loop against transformers' own `generate`, token by token, and against itself in other batches."""

from __future__ import annotations

import random

import numpy as np
import pytest

VOCABULARY, STOPS = 64, [3, 17, 31, 45]
ROOM = 40  # new tokens that the cache has room for at first, small so that few outgrow it


@pytest.fixture(scope="module", params=["all heads", "grouped heads"])
def model(request):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from limo.models.local.decode import prepare

    torch.set_num_threads(1)
    torch.manual_seed(1)
    made = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4 if request.param == "all heads" else 2, max_position_embeddings=512,
            tie_word_embeddings=False, eos_token_id=None, pad_token_id=0, initializer_range=0.5,
        )
    ).eval()  # fmt: skip
    prepare(made)
    return made


def prompts(n, seed=0):
    """Rows that share a beginning, differ in length, and in part come twice."""
    rng = random.Random(seed)
    rows = [[7, 8, 9] + [rng.randrange(4, VOCABULARY) for _ in range(rng.randrange(1, 12))] for _ in range(n)]
    return rows + rows[: n // 2]


def decode(*given, by="decode"):
    """The new tokens of each row."""
    from limo.models.local import decode as module

    ended = {}
    for some in getattr(module, by)(*given):
        assert not ended.keys() & some.keys()
        ended |= some
    return [ended[number] for number in range(len(ended))]


def rows_of(prompts, n_new, temperature=0.0, top_p=1.0):
    from limo.models.local.decode import DecodingRow

    draws = [np.random.Generator(np.random.Philox(key=number)).random(n_new) for number in range(len(prompts))]
    return [DecodingRow(prompt, draw, temperature, top_p) for prompt, draw in zip(prompts, draws, strict=True)]


def generated(model, row, n_new, stops):
    import torch

    model.set_attn_implementation("sdpa")
    try:
        given = torch.tensor([row])
        out = model.generate(
            given, attention_mask=torch.ones_like(given), max_new_tokens=n_new, do_sample=False, eos_token_id=stops
        )
    finally:
        model.set_attn_implementation("limo_rows")
    return out[0, len(row) :].tolist()


def test_greedy_rows_are_those_that_generate_gives(model):
    rows = prompts(10)
    wanted = [generated(model, row, 40, STOPS) for row in rows]
    assert len({len(row) for row in wanted}) > 1  # some rows end before others, or nothing leaves the batch
    assert decode(model, rows_of(rows, 40), STOPS) == wanted


def test_a_row_is_the_same_alone_and_in_any_company(model):
    rows = rows_of(prompts(9), 60, temperature=1.0, top_p=0.9)
    together = decode(model, rows, STOPS)
    assert [decode(model, [row], STOPS)[0] for row in rows] == together
    assert decode(model, rows[::-1], STOPS)[::-1] == together
    assert len({tuple(row) for row in together}) > 9  # equal prompts with other numbers draw other texts


def test_generate_gives_the_same_rows(model):
    rows = rows_of(prompts(9), 60, temperature=1.0, top_p=0.9) + rows_of(prompts(3, seed=1), 30)
    wanted = decode(model, rows, STOPS)
    assert len({len(row) for row in wanted}) > 2
    model.set_attn_implementation("sdpa")
    try:
        assert decode(model, rows, STOPS, by="generate") == wanted
    finally:
        model.set_attn_implementation("limo_rows")


def test_rows_longer_than_the_first_room_are_whole(model, monkeypatch):
    from limo.models.local import decode as module

    monkeypatch.setattr(module, "ROOM", ROOM)

    rows, n_new = prompts(2)[:2], ROOM + 5
    assert decode(model, rows_of(rows, n_new), ()) == [generated(model, row, n_new, None) for row in rows]


def test_each_row_has_its_own_limit(model):
    from limo.models.local.decode import DecodingRow

    rows = [
        DecodingRow(request.prompt, request.uniforms[: 3 + number], 1.0, 1.0)
        for number, request in enumerate(rows_of(prompts(4), 20))
    ]
    assert [len(row) for row in decode(model, rows, ())] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(("top_p", "allowed"), [(0.5, {0}), (0.75, {0, 1}), (1.0, {0, 1, 2})])
def test_the_nucleus_holds_the_likeliest_and_no_more(top_p, allowed):
    import torch

    from limo.models.local.decode import sample_tokens

    n = 300
    logits = torch.log(torch.tensor([[0.6, 0.3, 0.1]])).expand(n, 3)
    uniforms = torch.linspace(0, 0.9999, n, dtype=torch.float64)
    drawn = sample_tokens(logits, torch.ones(n), torch.full((n,), top_p), uniforms)
    assert set(drawn.tolist()) == allowed


def test_draws_follow_the_probabilities():
    import torch

    from limo.models.local.decode import sample_tokens

    n = 1000
    logits = torch.log(torch.tensor([[0.6, 0.3, 0.1]])).expand(n, 3)
    drawn = sample_tokens(logits, torch.ones(n), torch.ones(n), torch.linspace(0, 0.9999, n, dtype=torch.float64))
    shares = torch.bincount(drawn, minlength=3) / n
    assert shares.tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.01)
