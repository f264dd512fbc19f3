"""A model in this process: a folder without a model is one line; text follows from the rollout, not from the batch."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress

import pytest

from limo.core.errors import InputError, ModelError
from limo.core.files import model_identity
from limo.core.prompts import messages
from limo.core.records import Problem, Sampling, Verdict
from limo.ledger.store import Ledger
from limo.models.completer import Request
from limo.models.local.completer import LocalCompleter, device_of
from limo.models.settings import LocalModelSettings
from limo.rollouts.collect import collect_rollouts

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROBLEMS = [Problem.make(f"{'One and ' * (i % 5)}{i} is what?", str(i)) for i in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random Qwen2 of two layers over single bytes, loud enough that its rows end at different lengths."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    ends = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: i for i, letter in enumerate([*ends, *letters])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(ends)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=ends[2], pad_token=ends[0])
    tokenizer.chat_template = CHAT
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=400, eos_token_id=2, pad_token_id=0, initializer_range=0.3,
        )
    )  # fmt: skip
    model.lm_head.weight.data[2] *= 2
    where = tmp_path_factory.mktemp("tiny") / "tiny"
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


def requests(sampling, n=2, problems=PROBLEMS):
    return [Request(p, messages(p.problem), sampling, index) for index in range(n) for p in problems]


def answers(completer, requested):
    pairs = [pair for group in completer.complete(iter(requested)) for pair in group]
    assert [request for request, _ in pairs] == requested
    return {(request.problem.id, request.index): completion for request, completion in pairs}


def text_of(completions):
    return {name: (c.text, c.finish_reason, c.n_completion_tokens) for name, c in completions.items()}


def test_an_answer_that_is_begun_is_gone_on_from(folder):
    completer = LocalCompleter(folder, batch_size=8)
    chat = messages("What is 1+1?")
    open_, begun = completer._tokenize([chat, [*chat, {"role": "assistant", "content": "It is"}]])
    assert begun == open_ + completer.tokenizer("It is")["input_ids"]


def test_a_completion_carries_its_text_its_end_and_its_counts(folder):
    completer = LocalCompleter(folder, batch_size=8)
    found = list(answers(completer, requests(Sampling(max_tokens=30))).values())
    assert {c.finish_reason for c in found} == {"stop", "length"}
    for c in found:
        assert 1 <= c.n_completion_tokens <= 30 and c.n_prompt_tokens > 100 and c.elapsed_s > 0
        assert "<|im_end|>" not in c.text
        if c.finish_reason == "length":
            assert c.n_completion_tokens == 30


@pytest.mark.parametrize("sampling", [Sampling(0.0, max_tokens=30), Sampling(1.0, 0.9, 30)], ids=["greedy", "drawn"])
def test_text_does_not_depend_on_the_order_or_size_of_batches(folder, sampling):
    requested = requests(sampling)
    wanted = text_of(answers(LocalCompleter(folder, batch_size=20), requested))
    assert text_of(answers(LocalCompleter(folder, batch_size=3), requested[::-1])) == wanted


def test_a_completion_ends_before_the_first_stop_text(folder):
    completer = LocalCompleter(folder, batch_size=8)
    whole = answers(completer, requests(Sampling(1.0, 1.0, 40, 3)))
    longest = max((c.text for c in whole.values()), key=len)
    late, early = longest[8], longest[3]
    cut = answers(completer, requests(Sampling(1.0, 1.0, 40, 3, (late, early))))
    assert any(early in c.text or late in c.text for c in whole.values())
    assert all(c.finish_reason == "stop" for name, c in cut.items() if early in whole[name].text)
    assert not any(early in c.text or late in c.text for c in cut.values())


def test_another_index_seed_or_name_is_another_draw_and_greedy_is_not(folder):
    one = PROBLEMS[:1]
    completer, renamed = LocalCompleter(folder), LocalCompleter(folder, "other")
    drawn = [c.text for c in answers(completer, requests(Sampling(max_tokens=20), n=4, problems=one)).values()]
    again = [c.text for c in answers(completer, requests(Sampling(max_tokens=20, seed=1), n=4, problems=one)).values()]
    other = [c.text for c in answers(renamed, requests(Sampling(max_tokens=20), n=4, problems=one)).values()]
    assert len({*drawn, *again, *other}) == 12
    greedy = answers(completer, requests(Sampling(0.0, max_tokens=20), n=4, problems=one)).values()
    assert len({c.text for c in greedy}) == 1


def test_a_prompt_that_leaves_no_room_fails_alone_and_a_long_one_ends_at_the_context(folder):
    completer = LocalCompleter(folder)
    short, long, longer = (Problem.make("x" * n, "1") for n in (3, 255, 500))
    found = answers(completer, requests(Sampling(max_tokens=500), n=1, problems=[short, long, longer]))
    assert found[longer.id, 0].finish_reason == "error" and "no room" in found[longer.id, 0].error
    kept = found[long.id, 0]
    assert kept.finish_reason != "error" and kept.n_prompt_tokens + kept.n_completion_tokens <= 400
    assert found[short.id, 0].finish_reason != "error"


def test_a_folder_that_is_no_model_is_named_in_one_line(folder, tmp_path):
    with pytest.raises(ModelError, match="holds no model"):
        LocalCompleter(tmp_path)
    with pytest.raises(ModelError, match="no such model"):
        LocalCompleter(tmp_path / "nowhere")
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="head of these weights is damaged") as error:
        LocalCompleter(broken)
    assert "\n" not in str(error.value)


def test_a_model_that_could_not_complete_rightly_is_refused(folder, tmp_path):
    silent = tmp_path / "no-template"
    shutil.copytree(folder, silent)
    (silent / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="chat template"):
        LocalCompleter(silent)
    with pytest.raises(InputError, match="rows"):
        LocalCompleter(folder, batch_size=0)


def test_a_model_with_other_layers_runs_through_generate_and_says_so_once(folder, tmp_path, caplog):
    sliding = tmp_path / "sliding"
    shutil.copytree(folder, sliding)
    config = json.loads((sliding / "config.json").read_text())
    config |= {"layer_types": ["full_attention", "sliding_attention"], "use_sliding_window": True, "sliding_window": 8}
    (sliding / "config.json").write_text(json.dumps(config))
    requested = requests(Sampling(1.0, 0.9, 30))
    completer = LocalCompleter(sliding, "tiny", batch_size=7)
    found = text_of(answers(completer, requested))
    assert [record.getMessage() for record in caplog.records if "sliding_attention" in record.getMessage()] == [
        "tiny has layers (sliding_attention) that only transformers' slower `generate` runs"
    ]
    assert text_of(answers(completer, requested[::-1])) == found != text_of(answers(LocalCompleter(folder), requested))
    assert {reason for _, reason, _ in found.values()} == {"stop", "length"}


def test_only_a_recipe_that_names_the_model_again_lets_its_code_run():
    assert LocalModelSettings(name="m", path="a/b", trust_remote_code="a/b").trust_remote_code
    with pytest.raises(ValueError, match="names another model"):
        LocalModelSettings(name="m", path="a/b", trust_remote_code="yes")


def test_the_identity_is_that_of_the_weights(folder, tmp_path):
    same, other = tmp_path / "same", tmp_path / "other"
    shutil.copytree(folder, same)
    shutil.copytree(folder, other)
    (same / "card.json").write_text("{}")
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    wanted = LocalCompleter(folder).capabilities.identity
    assert len(wanted) == 16 and model_identity(same) == wanted != model_identity(other)


class Undecided:
    """A checker that looks at nothing."""

    identity = "none"

    def verify_many(self, pairs):
        for _ in pairs:
            yield Verdict("undecided")


def test_stopped_between_groups_and_started_again_it_writes_the_same_text(folder, tmp_path):
    class CollectionStopped(LocalCompleter):
        """Stops after its second group."""

        def complete(self, requests):
            for number, group in enumerate(super().complete(requests)):
                if number == 2:
                    raise KeyboardInterrupt
                yield group

    def rollouts(path, *completers):
        for completer in completers:
            with Ledger(path) as ledger:
                try:
                    collect_rollouts(ledger, completer, PROBLEMS, Undecided(), sampling=Sampling(max_tokens=20), n=3)
                except KeyboardInterrupt:
                    assert len(ledger) == 14
        with Ledger(path) as ledger:
            return [(r.key, r.completion.text) for r in ledger.rollouts()]

    wanted = rollouts(tmp_path / "a.sqlite", LocalCompleter(folder, batch_size=7))
    assert len(wanted) == 30
    stopped, again = CollectionStopped(folder, batch_size=7), LocalCompleter(folder, batch_size=7)
    assert rollouts(tmp_path / "b.sqlite", stopped, again) == wanted


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_whose_weights_are_no_numbers_neither_completes_nor_learns(folder, tmp_path, value):
    from safetensors.torch import load_file, save_file

    from limo.train.model import load_model

    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    weights = load_file(damaged / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = value
    save_file(weights, damaged / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"damaged \(model.layers.1.mlp.up_proj.weight\)"):
        LocalCompleter(damaged)
    with pytest.raises(ModelError, match="damaged"):
        load_model(damaged, "float32", "")
    LocalCompleter(folder)


def test_weights_that_are_numbers_and_give_none_are_no_model_either(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    wild = tmp_path / "wild"
    shutil.copytree(folder, wild)
    weights = load_file(wild / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"].fill_(3e38)
    save_file(weights, wild / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="computes no numbers"):
        answers(LocalCompleter(wild), requests(Sampling(max_tokens=4), n=1))


def test_weights_of_other_shapes_and_pickles_are_said_in_plain_words(folder, tmp_path):
    import json

    import torch

    other, pickled = tmp_path / "other", tmp_path / "pickled"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    with pytest.raises(ModelError, match="other shapes than"):
        LocalCompleter(other)
    shutil.copytree(folder, pickled)
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors") as error:
        LocalCompleter(pickled)
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize("has_gpu", [True, False])
def test_a_gpu_is_used_where_there_is_one_and_nothing_else_is_said(monkeypatch, has_gpu):
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_gpu)
    setting = LocalModelSettings(name="m", path="x").device
    assert [device_of(name) for name in (setting, "cpu", "cuda:1")] == ["cuda" if has_gpu else "cpu", "cpu", "cuda:1"]


def test_rows_that_are_decoded_say_how_far_they_are(folder, monkeypatch):
    from limo.models.local import decode

    completer, told, original = LocalCompleter(folder, "m"), [], decode.decode

    def decoded(model, rows, stop, tell):
        yield from original(model, rows, stop, lambda n: (tell(n), told.append(completer.waits_for())))

    monkeypatch.setattr(decode, "decode", decoded)
    completer.complete_tokens(requests(Sampling(temperature=1.0, max_tokens=9), n=1))
    pattern = r"10 completions in this process: 2 of at most 9 tokens each; at most [0-9.]+ m?s left"
    assert re.fullmatch(pattern, told[1]) and completer.waits_for() == ""


def test_what_has_ended_is_stored_while_others_of_its_batch_are_decoded(folder, tmp_path, monkeypatch):
    """A stop in the middle of a batch keeps it, and the next start writes what one start would have written."""

    class Stopped(LocalCompleter):
        def complete(self, requests):
            for number, group in enumerate(super().complete(requests)):
                if number == 2:
                    raise KeyboardInterrupt
                yield group

    def rollouts(path, completer):
        with Ledger(path) as ledger:
            with suppress(KeyboardInterrupt):
                collect_rollouts(ledger, completer, PROBLEMS, Undecided(), sampling=Sampling(max_tokens=60), n=3)
            return {r.key: (r.completion.text, r.completion.n_completion_tokens) for r in ledger.rollouts()}

    wanted = rollouts(tmp_path / "a.sqlite", LocalCompleter(folder, "m"))
    monkeypatch.setattr("limo.models.local.completer.GROUP_S", 0.0)
    begun = rollouts(tmp_path / "b.sqlite", stopped := Stopped(folder, "m"))
    assert 0 < len(begun) < len(wanted) and stopped.waits_for() == ""
    assert rollouts(tmp_path / "b.sqlite", LocalCompleter(folder, "m")) == wanted


def test_a_stop_gives_up_what_has_not_ended_and_keeps_what_has(folder, tmp_path, monkeypatch):
    from limo.models.local import decode

    completer = LocalCompleter(folder, "m")
    told = []

    def decoded(model, rows, stop, tell):
        for some in original(model, rows, stop, tell):
            yield some
            if some and not told:
                told.append(completer.stop_waiting())

    original = decode.decode
    monkeypatch.setattr(decode, "decode", decoded)
    groups = [pair for group in completer.complete(iter(requests(Sampling(max_tokens=60), n=3))) for pair in group]
    reasons = [completion.finish_reason for _, completion in groups]
    assert len(groups) == told[0] and 0 < reasons.count("cancelled") < len(reasons)
    again = [pair for group in completer.complete(iter(requests(Sampling(max_tokens=60), n=3))) for pair in group]
    assert "cancelled" not in [completion.finish_reason for _, completion in again]
