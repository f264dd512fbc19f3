"""Adapters: they learn, the merged model is the model with its adapter, and the base stays as it was."""

import pytest

from limo.core.errors import InputError
from limo.train.methods.lora import LoraSettings
from limo.train.methods.sft import train
from limo.train.model_folder import read_result

SMALL = {
    "bf16": False, "use_cpu": True, "gradient_checkpointing": False, "save_strategy": "no", "max_length": 256,
    "learning_rate": 3e-2, "num_train_epochs": 4, "per_device_train_batch_size": 8, "examples_per_update": 8, "rank": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(model_dir, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("lora") / "model"
    return out, train(model_dir, rows, out, LoraSettings(**SMALL))


def logits(model, tokenizer):
    import torch

    with torch.no_grad():
        return model.eval()(torch.tensor([tokenizer("1 plus 2 so")["input_ids"]])).logits


def test_the_merged_model_is_the_base_with_its_adapter_applied(trained, model_dir, tokenizer):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    out, result = trained
    assert result.losses[-1] < result.losses[0] - 0.1
    base = AutoModelForCausalLM.from_pretrained(model_dir)
    before = logits(base, tokenizer)
    merged = AutoModelForCausalLM.from_pretrained(out)
    applied = PeftModel.from_pretrained(base, str(out / "adapter"))
    assert torch.allclose(logits(merged, tokenizer), logits(applied, tokenizer), atol=1e-5)
    assert not torch.allclose(logits(merged, tokenizer), before, atol=1e-2)
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in merged.generation_config.eos_token_id


def test_every_linear_layer_has_an_adapter_and_nothing_is_a_pickle(trained):
    from safetensors.torch import load_file

    out, _ = trained
    names = load_file(out / "adapter" / "adapter_model.safetensors")
    for layer in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        assert sum(layer in name for name in names) == 2 * 2, layer  # two matrices in each of two layers
    assert not list(out.rglob("*.bin"))


def test_the_record_names_the_method_and_the_cost_of_an_adapter(trained):
    out, result = trained
    assert result.method == "lora" and read_result(out) == result
    assert result.flops == pytest.approx(4 * result.n_tokens_seen * 27_000, rel=0.2)


def test_an_adapter_alone_loads_over_its_base(model_dir, rows, tokenizer, tmp_path):
    from transformers import AutoModelForCausalLM

    train(model_dir, rows, tmp_path / "adapter", LoraSettings(**{**SMALL, "max_steps": 1}, merge=False))
    assert not list((tmp_path / "adapter").glob("model*.safetensors"))
    assert logits(AutoModelForCausalLM.from_pretrained(tmp_path / "adapter"), tokenizer) is not None


def test_the_same_folder_with_another_rank_is_refused(trained, model_dir, rows):
    out, _ = trained
    with pytest.raises(InputError, match="another training"):
        train(model_dir, rows, out, LoraSettings(**{**SMALL, "rank": 4}))


def test_weights_of_4_bits_need_a_gpu_and_say_so(model_dir, rows, tmp_path):
    import torch

    from limo.train.methods.lora import QloraSettings

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match=r"weights of 4 bits cannot be trained here.*no GPU"):
        train(model_dir, rows, tmp_path / "out", QloraSettings(**SMALL))
