"""Pre-training: what is learnt is masked right, a tiny model learns, and a killed run ends with the same weights."""

from __future__ import annotations

import random

import pytest

from limo.core.errors import InputError
from limo.core.progress import NoProgress
from limo.experiments.pocket.corpus import Part, sample_document
from limo.experiments.pocket.models import PretrainPlan, model_path
from limo.experiments.pocket.pretrain import (
    END,
    IGNORED,
    _optimisers,
    _rate,
    _step,
    build_model,
    encode,
    pretrain,
    world_tokenizer,
)

TINY = PretrainPlan("rich", hidden=32, layers=1, n_steps=150, batch_tokens=512, warmup=5)


@pytest.fixture(scope="module")
def tokenizer():
    """The shipped one, which a slow test compares with one that is learnt anew."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_path("pocket-rich"))


@pytest.fixture(autouse=True)
def _nothing_learns_the_tokenizer_anew(tokenizer, monkeypatch):
    monkeypatch.setattr("limo.experiments.pocket.pretrain.world_tokenizer", lambda: tokenizer)


@pytest.mark.slow
def test_the_shipped_tokenizer_is_the_one_that_is_learnt_from_the_corpora(tokenizer):
    learnt = world_tokenizer()
    assert learnt.get_vocab() == tokenizer.get_vocab()
    assert learnt.chat_template == tokenizer.chat_template
    rng = random.Random(7)
    for _ in range(300):
        parts = sample_document("teacher", rng)
        assert encode(parts, learnt) == encode(parts, tokenizer)


def test_every_number_below_a_hundred_is_one_token(tokenizer):
    assert all(len(tokenizer(str(n))["input_ids"]) == 1 for n in range(100))


HARD_TEXTS = ["x=1\nx+=27", "公交车上有23人。", "emoji 🙂 and \u202e", "1234 5 %", " lead", "\\boxed{7 cm}"]


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_any_text_comes_back_as_it_was(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_document_is_rendered_as_the_chat_template_renders_it(tokenizer):
    parts = [Part("system", "Be brief.", False), Part("user", "1+1?", False), Part("assistant", "2", True)]
    chat = [{"role": part.role, "content": part.text} for part in parts]
    ids, _ = encode(parts, tokenizer)
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(chat, tokenize=False)


def test_only_the_solution_and_its_end_are_learnt_and_never_a_slip(tokenizer):
    rng = random.Random(5)
    for _ in range(200):
        parts = sample_document("teacher", rng)
        ids, labels = encode(parts, tokenizer)
        learnt = tokenizer.decode([token for token in labels if token != IGNORED])
        wanted = "".join(part.text for part in parts if part.learn)
        assert learnt == wanted + (END if parts[-1].role == "assistant" else "")
        assert all(label in (token, IGNORED) for token, label in zip(ids, labels, strict=True))


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no pocket model.*pocket-rich"):
        pretrain("pocket-rihc", tmp_path / "m", NoProgress())


@pytest.mark.slow
def test_a_tiny_model_learns_and_loads_like_any_other(tmp_path):
    import json

    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = pretrain("tiny", tmp_path / "tiny", NoProgress(), TINY)
    card = json.loads((out / "card.json").read_text())
    assert card["loss"] < 0.75 * 7.15, "a uniform guess over 1,280 tokens costs 7.15 nats"
    assert AutoModelForCausalLM.from_pretrained(out).config.model_type == "qwen2"
    loaded = AutoTokenizer.from_pretrained(out)
    assert loaded.chat_template
    assert loaded.tokenize("27+5") == ["27", "+", "5"], "Qwen2's own pre-tokenizer alone would split the digits"


def test_the_rates_fall_to_zero_and_then_once_more_from_a_quarter():
    plan = PretrainPlan("rich", hidden=32, layers=1, n_steps=100, warmup=10, decay=0.4, n_anneal=40)
    rates = [_rate(plan, step) for step in range(140)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:61] == [1.0] * 51
    assert rates[80] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(1 / 40)
    assert rates[100] == pytest.approx(0.25)
    assert rates[120] == pytest.approx(0.125)
    assert 0 < rates[139] < 0.01


def test_a_learnt_token_weighs_the_same_in_a_short_batch_and_in_a_long_one(tokenizer):
    import torch

    plan = PretrainPlan("rich", hidden=32, layers=1, n_steps=10, batch_tokens=256)
    torch.manual_seed(0)
    model = build_model(plan, tokenizer)
    ids, labels = torch.full((4, 8), 300), torch.full((4, 8), IGNORED)
    labels[:, 4:] = 301

    class Looks(torch.optim.SGD):
        def step(self):
            seen.append(model.lm_head.weight.grad.clone())

    seen = []
    looks = [Looks(model.parameters()), torch.optim.SGD([torch.zeros(1)])]
    for rows in ((ids, labels), (ids[:1], labels[:1])):
        _step(model, looks, plan, {"step": 0, "n_tokens": 0, "n_learnt": 0, "loss": 0.0, "seconds": 0.0}, rows)
    assert 0 < seen[0].norm() < 1, "not clipped"
    assert torch.allclose(seen[0], 4 * seen[1], rtol=1e-3, atol=1e-7)


def test_a_grown_model_answers_as_the_one_it_grew_from_until_it_learns(tokenizer):
    import torch
    from transformers import AutoModelForCausalLM

    plan = PretrainPlan("rich", hidden=128, layers=8, n_steps=10, batch_tokens=512, warmup=1, grown_from="pocket-rich")
    torch.manual_seed(0)
    grown = build_model(plan, tokenizer)
    smaller = AutoModelForCausalLM.from_pretrained(model_path("pocket-rich"), dtype=torch.float32)
    ids = torch.tensor([tokenizer("A bus carries 23 people. 23+4=")["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(grown(ids).logits, smaller(ids).logits, atol=1e-4)
    fresh = grown.model.layers[1].self_attn.o_proj.weight
    state = {"step": 0, "n_tokens": 0, "n_learnt": 0, "loss": 0.0, "seconds": 0.0}
    _step(grown, _optimisers(grown, plan), plan, state, (ids, ids))
    assert fresh.abs().max() > 0, "what was added learns"


def test_a_model_grows_by_whole_multiples_only(tokenizer):
    with pytest.raises(InputError, match=r"cannot grow.*4 to 6 layers"):
        build_model(PretrainPlan("rich", hidden=128, layers=6, n_steps=1, grown_from="pocket-rich"), tokenizer)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path, monkeypatch):
    import limo.experiments.pocket.pretrain as module

    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 4)
    plan = PretrainPlan("poor", hidden=32, layers=1, n_steps=10, batch_tokens=512, warmup=2)
    whole = pretrain("whole", tmp_path / "whole", NoProgress(), plan)
    step, calls = module._step, []

    def dies_at_seven(*arguments):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        step(*arguments)

    monkeypatch.setattr(module, "_step", dies_at_seven)
    with pytest.raises(KeyboardInterrupt):
        pretrain("killed", tmp_path / "killed", NoProgress(), plan)
    monkeypatch.setattr(module, "_step", step)
    resumed = pretrain("killed", tmp_path / "killed", NoProgress(), plan)
    assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
