"""An update: exactly so many examples, each weighing alike or each token, on the fast path, and finite."""

import copy
import json

import pytest
from train_rows import chat

from limo.core.errors import InputError, ModelError
from limo.core.progress import NoProgress
from limo.core.recipe import load
from limo.stages.train import Recipe
from limo.train.compute import speed_line
from limo.train.data import IGNORED, Encoded, Example, encode
from limo.train.methods.sft import SftSettings, check_layout, make_trainer, train
from limo.train.model import load_model
from limo.train.trainer import last_checkpoint

SMALL = {
    "bf16": False, "use_cpu": True, "gradient_checkpointing": False, "save_strategy": "no", "max_length": 256,
    "learning_rate": 1e-2, "max_steps": 1,
}  # fmt: skip
UNEQUAL = [chat("q", "a"), chat("1 plus 2", "so " * 40), chat("r", "it is 3"), chat("s", "so " * 9)]


def gradients_of_update(model_dir, tokenizer, work, settings, encoded=None):
    """The gradients that one update of our trainer makes, before they are clipped, and its encoded rows."""
    encoded = encoded or encode(UNEQUAL, tokenizer, 256)
    model = load_model(model_dir, "float32", "", encoded.longest, encoded.end_token_id)
    trainer = make_trainer(model, tokenizer, encoded, settings, work)
    seen = {}

    from transformers import TrainerCallback

    class Looks(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, **kwargs):
            seen.update({name: p.grad.clone() for name, p in trainer.model.named_parameters()})

    trainer.add_callback(Looks())
    trainer.train()
    return seen, encoded, trainer.state.log_history[0]["loss"]


def gradients_by_hand(model_dir, encoded, weight, loss_type="nll"):
    """The gradients of a loop over the examples, written without any trainer: plain logits and cross entropy."""
    import torch

    model = load_model(model_dir, "float32", "")
    n_learnt = sum(label != IGNORED for example in encoded.examples for label in example.labels)
    total = 0.0
    for example in encoded.examples:
        logits = model(torch.tensor([example.input_ids])).logits[0, :-1]
        targets = torch.tensor(example.labels[1:])
        losses = torch.nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
        losses = (losses * (-losses).detach().exp() if loss_type == "dft" else losses).sum()
        own = sum(label != IGNORED for label in example.labels)
        loss = losses / own / len(encoded.examples) if weight == "example" else losses / n_learnt
        loss.backward()
        total += loss.item()
    return {name: p.grad for name, p in model.named_parameters()}, total


LAYOUTS = {
    "one a row": {"per_device_train_batch_size": 1},
    "two padded": {"per_device_train_batch_size": 2},
    "two without padding": {"per_device_train_batch_size": 2, "padding_free": True},
}
FAST_UPDATES = {("example", "two without padding"), ("token", "two padded")}


@pytest.mark.parametrize(
    ("weight", "layout"),
    [
        pytest.param(weight, layout, marks=[] if (weight, layout) in FAST_UPDATES else pytest.mark.slow)
        for weight in ("example", "token")
        for layout in LAYOUTS
    ],
)
def test_the_gradient_of_an_update_is_that_of_a_hand_written_loop(model_dir, tokenizer, tmp_path, weight, layout):
    import torch

    settings = SftSettings(**SMALL, loss_weight=weight, examples_per_update=4, max_grad_norm=0, **LAYOUTS[layout])
    ours, encoded, loss = gradients_of_update(model_dir, tokenizer, tmp_path, settings)
    by_hand, total = gradients_by_hand(model_dir, encoded, weight)
    assert loss == pytest.approx(total, abs=1e-4)
    assert all(torch.allclose(ours[name], by_hand[name], atol=1e-5) for name in by_hand)
    other, _ = gradients_by_hand(model_dir, encoded, "token" if weight == "example" else "example")
    assert not all(torch.allclose(ours[name], other[name], atol=1e-5) for name in other), "the two differ here"


@pytest.mark.slow
@pytest.mark.parametrize("weight", ["example", "token"])
def test_a_row_of_16k_and_one_of_1k_weigh_in_an_update_as_they_do_alone(tokenizer, tmp_path, weight):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 1, "num_key_value_heads": 1}
    config = Qwen2Config(
        vocab_size=len(tokenizer), num_hidden_layers=1, max_position_embeddings=16384, eos_token_id=0, **shape
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path / "model")
    rows = [torch.randint(3, 250, (n,)).tolist() for n in (16384, 1024)]
    encoded = Encoded([Example(ids, [IGNORED] * 100 + ids[100:]) for ids in rows], [], 1)
    how = {"loss_weight": weight, "examples_per_update": 2, "max_grad_norm": 0, "max_length": 16384}
    settings = SftSettings(**{**SMALL, **how})
    ours, _, loss = gradients_of_update(tmp_path / "model", tokenizer, tmp_path / "work", settings, encoded)
    by_hand, total = gradients_by_hand(tmp_path / "model", encoded, weight)
    assert loss == pytest.approx(total, abs=1e-4)
    assert all(torch.allclose(ours[name], by_hand[name], atol=1e-5) for name in by_hand)


@pytest.mark.parametrize("weight", ["example", "token"])
def test_dynamic_fine_tuning_weighs_each_token_by_its_probability(model_dir, tokenizer, tmp_path, weight):
    import torch

    settings = SftSettings(**SMALL, loss_weight=weight, examples_per_update=4, max_grad_norm=0, loss_type="dft")
    ours, encoded, loss = gradients_of_update(model_dir, tokenizer, tmp_path, settings)
    by_hand, total = gradients_by_hand(model_dir, encoded, weight, "dft")
    assert loss == pytest.approx(total, abs=1e-4)
    assert all(torch.allclose(ours[name], by_hand[name], atol=1e-5) for name in by_hand)
    plain, _ = gradients_by_hand(model_dir, encoded, weight)
    assert not all(torch.allclose(ours[name], plain[name], atol=1e-5) for name in plain)


def test_a_row_alone_reaches_the_model_without_a_mask(model_dir, tokenizer, tmp_path):
    encoded = encode(UNEQUAL, tokenizer, 256)
    model = load_model(model_dir, "float32", "", encoded.longest)
    settings = SftSettings(**SMALL, examples_per_update=2)
    trainer = make_trainer(model, tokenizer, encoded, settings, tmp_path)
    seen, forward = [], trainer.model.forward

    def look(*args, **kwargs):
        seen.append(sorted(key for key in kwargs if "mask" in key and kwargs[key] is not None))
        return forward(*args, **kwargs)

    trainer.model.forward = look
    trainer.train()
    assert seen == [[], []]


@pytest.mark.parametrize("recipe", ["train-v1", "train-v2"])
def test_the_papers_recipes_weigh_examples_alike_and_name_their_checkpoint(recipe):
    method = load(Recipe, recipe).method
    assert method.loss_weight == "example" and not method.packing
    assert (method.examples_per_update, method.stop_after_epoch) == ((32, 9) if recipe == "train-v1" else (64, 0))
    assert ("best of 15 on the test benchmarks" in method.checkpoint_label) == (recipe == "train-v1")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"packing": True, "max_length": 16384}, "packing"),
        ({"padding_free": True, "per_device_train_batch_size": 2}, "padding_free"),
        ({"per_device_train_batch_size": 2}, "per_device_train_batch_size"),
    ],
)
def test_a_dense_mask_of_long_rows_is_refused_by_name(change, name):
    with pytest.raises(InputError, match=f"{name} would build a dense attention mask.*flex_attention"):
        check_layout(SftSettings(**change), longest=12_000)
    check_layout(SftSettings(**change, attn_implementation="flash_attention_2"), longest=12_000)
    check_layout(SftSettings(**{**change, "max_length": 512}), longest=500)
    check_layout(SftSettings(max_length=32768), longest=32_000)


def test_examples_that_do_not_divide_are_refused(model_dir, rows, tmp_path):
    settings = SftSettings(**SMALL, examples_per_update=5, per_device_train_batch_size=2)
    with pytest.raises(InputError, match=r"do not divide over the devices.*multiples of 2"):
        train(model_dir, rows, tmp_path / "out", settings)


def test_a_loss_that_is_not_finite_stops_in_one_line_and_keeps_the_last_whole_checkpoint(model_dir, rows, tmp_path):
    settings = SftSettings(**{
        **SMALL, "max_steps": 60, "save_strategy": "steps", "save_steps": 1, "examples_per_update": 4, "optim": "sgd",
        "learning_rate": 1e30, "max_grad_norm": 0, "warmup_steps": 0,
    })  # fmt: skip
    with pytest.raises(ModelError, match=r"diverged.*lower learning_rate") as caught:
        train(model_dir, rows, tmp_path / "out", settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    left = last_checkpoint(next(tmp_path.glob(".out.training-*")))
    from safetensors.torch import load_file

    assert ("no checkpoint had been saved" if left is None else "checkpoint is kept") in str(caught.value)
    assert left is None or all(w.isfinite().all() for w in load_file(f"{left}/model.safetensors").values())


def test_weights_that_are_not_finite_are_never_saved(model_dir, rows, tmp_path, monkeypatch):
    import torch

    import limo.train.trainer as module

    def break_model(trainer, *args):
        torch.nn.init.constant_(next(trainer.model.parameters()), float("inf"))
        module.check_finite(trainer.model, 1, tmp_path)

    monkeypatch.setattr("limo.train.methods.sft.run_trainer", break_model)
    with pytest.raises(ModelError, match=r"weights of .* are not finite after update 1.*no checkpoint had been saved"):
        train(model_dir, rows, tmp_path / "out", SftSettings(**SMALL, examples_per_update=4))
    assert not (tmp_path / "out").exists()


def test_a_training_logs_its_speed_and_its_cost(model_dir, rows, tmp_path):
    progress = NoProgress()
    result = train(model_dir, rows, tmp_path / "out", SftSettings(**SMALL, examples_per_update=24), progress)
    model = load_model(model_dir, "float32", "")
    assert result.flops == 6 * model.num_parameters() * result.n_tokens
    assert any("tokens/s" in line for line in progress.logged)


def test_mfu_is_stated_where_the_peak_is_known():
    assert "MFU 50.0% of 989 TFLOP/s" in speed_line(494.5e12, 1000, 1.0, "NVIDIA H100 80GB HBM3")
    assert "MFU" not in speed_line(1e12, 1000, 1.0, "a CPU")


@pytest.mark.parametrize("key", ["reasoning_content", "thinking"])
def test_reasoning_kept_apart_is_joined_by_recipe_or_refused_and_never_dropped(tokenizer, key):
    row = chat("1 plus 2", "it is 3")
    row["messages"][2][key] = "one and two"
    with pytest.raises(InputError, match=r"row 0 keeps reasoning apart.*join_reasoning"):
        encode([row], tokenizer, 256)
    texts = {
        how: tokenizer.decode(encode([row], tokenizer, 256, "error", how).examples[0].input_ids)
        for how in ("think", "plain")
    }
    assert "<think>\none and two\n</think>\n\nit is 3<|im_end|>" in texts["think"]
    assert "assistant\none and two\n\nit is 3<|im_end|>" in texts["plain"]


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('System role not supported') }}",
        "{% for m in messages %}{{ m.content ",
        "{{ tools | length }}",
    ],
)
def test_a_template_that_fails_is_one_clear_line(tokenizer, template):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    with pytest.raises(ModelError, match="the chat template fails") as caught:
        encode([chat("q", "a")], changed, 256)
    assert "\n" not in str(caught.value)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    from limo.train.data import read_rows

    (tmp_path / "rows.jsonl").write_text(json.dumps(chat("q", "a")) + "\n", encoding="utf-8-sig")
    assert read_rows(tmp_path / "rows.jsonl") == [chat("q", "a")]
