"""Pre-training: what is learnt is masked right, a tiny model learns, and a killed run ends with the same weights."""

from __future__ import annotations

import itertools
import json
import random

import pytest

from limo.core.errors import InputError
from limo.core.progress import NoProgress
from limo.experiments.pocket.corpus import Corpus
from limo.experiments.pocket.models import PretrainPlan
from limo.experiments.pocket.pretrain import (
    CURRICULUM,
    IGNORED,
    StackedMuon,
    _batches,
    _rate,
    _step,
    build_model,
    encode,
    pretrain,
)
from limo.experiments.pocket.tokenizer import vocabulary
from limo.experiments.pocket.world import WORLD

TINY = PretrainPlan("much", hidden=32, layers=1, n_steps=150, batch_tokens=512, warmup=5)
STATE = {"step": 0, "n_tokens": 0, "n_learnt": 0, "loss": 0.0, "seconds": 0.0}


def test_only_what_a_document_says_is_learnt():
    rng, words = random.Random(5), vocabulary(WORLD)
    for _ in range(100):
        document = Corpus("teacher").sample(rng)
        ids, labels = encode(document, words)
        assert ids == [words[word] for word in document.words]
        assert labels == [i if learnt else IGNORED for i, learnt in zip(ids, document.learnt, strict=True)]


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no pocket model.*pocket-rich"):
        pretrain("pocket-rihc", tmp_path / "m", NoProgress())


def test_the_rates_rise_and_then_fall_to_zero():
    plan = PretrainPlan("much", n_steps=100, warmup=10)
    rates = [_rate(plan, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(0.91) == max(rates)
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.01)


def test_the_most_frequent_machines_come_first():
    plan = PretrainPlan("much", n_steps=10, batch_tokens=2048)
    words = vocabulary(WORLD)
    machines = [words[name] for name in WORLD.machines]
    batches = [batch for batch, _ in itertools.islice(_batches(plan, 0), 3)]
    # Statements that are read aloud hold machines alike often from the start: copying is learnt with them.
    counts = sum((batch[..., None] == batch.new_tensor(machines)).sum((0, 1)) for batch in batches)
    n_first = CURRICULUM[0][1]
    assert counts[:n_first].sum() > 2 * counts[n_first:].sum() > 0


def test_a_learnt_token_weighs_the_same_in_a_short_batch_and_in_a_long_one():
    import torch

    plan = PretrainPlan("much", hidden=32, layers=1, n_steps=10, batch_tokens=256)
    torch.manual_seed(0)
    model = build_model(plan)
    ids, labels = torch.full((4, 8), 100), torch.full((4, 8), IGNORED)
    labels[:, 4:] = 101

    class Looks(torch.optim.SGD):
        def step(self):
            seen.append(model.lm_head.weight.grad.clone())

    seen = []
    looks = [Looks(model.parameters()), torch.optim.SGD([torch.zeros(1)])]
    for rows in ((ids, labels), (ids[:1], labels[:1])):
        _step(model, looks, plan, dict(STATE), rows)
    assert 0 < seen[0].norm() < 1, "not clipped"
    assert torch.allclose(seen[0], 4 * seen[1], rtol=1e-3, atol=1e-7)


def test_stacked_muon_makes_the_updates_of_torch_s_own():
    import torch

    class Pair(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(3)
            self.wide = torch.nn.Parameter(torch.randn(16, 48))
            self.tall = torch.nn.Parameter(torch.randn(48, 16))
            self.other = torch.nn.Parameter(torch.randn(48, 16))

    ours, theirs = Pair(), Pair()
    optimisers = (StackedMuon(ours, 0.02), torch.optim.Muon(theirs.parameters(), lr=0.02, weight_decay=0.01))
    for step in range(3):
        for model, optimiser in zip((ours, theirs), optimisers, strict=True):
            torch.manual_seed(step)
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape)
            optimiser.step()
            optimiser.zero_grad()
    for mine, other, start in zip(ours.parameters(), theirs.parameters(), Pair().parameters(), strict=True):
        assert torch.allclose(mine, other, atol=2e-3), "bfloat16 is theirs"
        assert not torch.allclose(mine, start, atol=1e-2)


@pytest.mark.slow
def test_a_tiny_model_learns_and_loads_like_any_other(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = pretrain("tiny", tmp_path / "tiny", NoProgress(), TINY)
    card = json.loads((out / "card.json").read_text())
    assert card["loss"] < 0.75 * 5.5, "a uniform guess over 247 tokens costs 5.5 nats"
    assert AutoModelForCausalLM.from_pretrained(out).config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(out).chat_template


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path, monkeypatch):
    import limo.experiments.pocket.pretrain as module

    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 4)
    plan = PretrainPlan("little", hidden=32, layers=1, n_steps=10, batch_tokens=512, warmup=2)
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
