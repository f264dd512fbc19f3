"""A model folder is data: whatever program it asks for is not run, by no road and no answer on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

import limo as package
from limo.core.errors import ModelError
from limo.core.files import model_identity
from limo.models.local.completer import LocalCompleter
from limo.models.local.config import check_model, check_weights, load_weights, read_config
from limo.models.settings import LocalModelSettings, model_hash
from limo.train.model import load_model, load_tokenizer

ROADS = {
    "local": LocalCompleter,
    "config": read_config,
    "tokenizer": load_tokenizer,
    "train": lambda folder: load_model(folder, "float32", "", SimpleNamespace(longest=1, end_token_id=1)),
}
OWN_CODE = {
    "AutoConfig": "modeling_x.Config",
    "AutoModelForCausalLM": "modeling_x.Model",
    "AutoTokenizer": ["modeling_x.Tokenizer", None],
}


def model_folder(folder, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("model_type", ["x", "gpt2"])
@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
def test_code_of_a_folder_is_not_run_even_where_a_yes_waits_on_the_terminal(tmp_path, monkeypatch, road, model_type):
    prompts = []
    monkeypatch.setattr("builtins.input", lambda *_: prompts.append(1) or "y")
    tiny = {"n_embd": 8, "n_layer": 1, "n_head": 1, "vocab_size": 8, "n_positions": 8}
    folder = model_folder(tmp_path / "model", model_type=model_type, architectures=["X"], auto_map=OWN_CODE, **tiny)
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": OWN_CODE}))
    (folder / "modeling_x.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    try:
        road(folder)
        assert model_type == "gpt2"  # transformers' own classes need no code of the folder
    except ModelError as error:
        assert "\n" not in str(error)
        assert model_type == "gpt2" or "brings code of its own" in str(error)
    assert not prompts and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
def test_a_kernel_from_a_hub_repository_is_refused(tmp_path, road, key):
    folder = model_folder(tmp_path / "model", model_type="qwen2", **{key: "kernels-community/x"})
    with pytest.raises(ModelError, match="asks for a kernel from the hub: 'kernels-community/x'"):
        road(folder)


def test_a_kernel_that_a_part_of_the_model_asks_for_is_refused_as_well(tmp_path):
    kernels = {"": "sdpa", "text_config": "a/b"}
    folder = model_folder(tmp_path / "model", model_type="qwen2_5_vl", attn_implementation=kernels)
    with pytest.raises(ModelError, match="asks for a kernel"):
        read_config(folder)


def test_a_config_that_names_an_attention_of_transformers_is_read(tmp_path):
    assert read_config(model_folder(tmp_path / "model", model_type="qwen2", attn_implementation="eager"))


@pytest.mark.parametrize("name", ["", "gone", "./gone", "a/b/c", "../a", "-/..", "a\nb/c"])
def test_what_can_be_no_model_is_refused_before_the_hub_gets_the_request(name):
    with pytest.raises(ModelError, match=r"no such model|holds no model"):
        check_model(name)


POCKET = Path(package.__file__).parent / "experiments" / "pocket" / "weights" / "pocket-rich"


def changed(folder, **config):
    """A copy of a whole model whose config.json says something else."""
    shutil.copytree(POCKET, folder)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | config))
    return folder


FALSE_SIZES = [
    ("num_hidden_layers", 10**9), ("num_hidden_layers", -1), ("num_hidden_layers", 0), ("num_hidden_layers", "3"),
    ("vocab_size", 10**12), ("vocab_size", 1.5), ("hidden_size", 10**7), ("intermediate_size", -4),
    ("head_dim", 10**12), ("num_attention_heads", 0), ("max_position_embeddings", 10**15),
    ("max_position_embeddings", -3), ("num_local_experts", 10**9), ("text_config", {"num_layers": 10**9}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), FALSE_SIZES)
@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
def test_a_size_that_the_weights_do_not_have_is_refused_before_anything_is_built(tmp_path, road, key, value):
    with pytest.raises(ModelError, match=r"config.json claims a size .*an integer up to") as refused:
        road(changed(tmp_path / "model", **{key: value}))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_sizes_that_a_configuration_leaves_out_are_those_of_the_weights_or_it_is_refused(tmp_path, kind):
    folder = changed(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ModelError, match=r"config.json claims a model of [\d,]{9,} numbers: .*as its weights have"):
        LocalCompleter(folder)


def test_weights_that_the_configuration_does_not_use_are_told_in_one_line(tmp_path, caplog):
    LocalCompleter(changed(tmp_path / "model", num_hidden_layers=1, layer_types=["full_attention"]))
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "tensors of its weights are not used (model.layers.1." in told and "\x1b" not in told


def test_a_link_to_nothing_is_no_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "gone").symlink_to("nowhere")
    with pytest.raises(ModelError, match="there is no such model"):
        check_model("models/gone")


def packed(folder, pack, **quantization):
    """A copy of a whole model whose layers are packed into tensors of other shapes, as quantised ones are."""
    shutil.copytree(POCKET, folder)
    tensors = {}
    for name, value in load_file(folder / "model.safetensors").items():
        is_packed = ".layers." in name and value.dim() == 2
        tensors |= pack(name.removesuffix(".weight"), value) if is_packed else {name: value}
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": quantization}))
    return folder


QUANTISED = {
    "bitsandbytes": lambda name, value: {
        f"{name}.weight": torch.zeros(value.numel() // 2, 1, dtype=torch.uint8),
        f"{name}.weight.absmax": torch.ones(value.numel() // 64),
        f"{name}.weight.quant_state.bitsandbytes__nf4": torch.zeros(90, dtype=torch.uint8),
    },
    "gptq": lambda name, value: {
        f"{name}.qweight": torch.zeros(value.shape[1] // 8, value.shape[0], dtype=torch.int32),
        f"{name}.qzeros": torch.zeros(1, value.shape[0] // 8, dtype=torch.int32),
        f"{name}.scales": torch.ones(1, value.shape[0], dtype=torch.float16),
        f"{name}.g_idx": torch.zeros(value.shape[1], dtype=torch.int32),
    },
    "awq": lambda name, value: {
        f"{name}.qweight": torch.zeros(value.shape[1], value.shape[0] // 8, dtype=torch.int32),
        f"{name}.scales": torch.ones(1, value.shape[0], dtype=torch.float16),
    },
}


@pytest.mark.parametrize("method", QUANTISED)
def test_a_quantised_folder_has_sizes_that_can_be(tmp_path, method):
    settings = {"quant_method": method, "bits": 4, "group_size": 64, "load_in_4bit": True}
    folder = packed(tmp_path / "model", QUANTISED[method], **settings)
    assert read_config(folder).hidden_size == 64
    with pytest.raises(ModelError) as refused:  # without the package that unpacks it
        LocalCompleter(folder)
    assert "claims a size" not in str(refused.value) and "lack" not in str(refused.value)


@pytest.mark.parametrize("is_tied", [True, False])
def test_a_model_in_shards_is_read_with_tied_embeddings_or_without(tmp_path, is_tied):
    tiny = {"num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 16, "vocab_size": 300}
    tiny |= {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": is_tied}
    AutoModelForCausalLM.from_config(AutoConfig.for_model("qwen2", **tiny)).save_pretrained(
        tmp_path / "model", max_shard_size="8KB"
    )
    assert len([*(tmp_path / "model").glob("*.safetensors")]) > 1
    weights = load_weights(tmp_path / "model", read_config(tmp_path / "model"))
    assert (weights.lm_head.weight is weights.model.embed_tokens.weight) == is_tied


def test_the_parts_of_a_model_that_are_not_loaded_may_have_no_weights(tmp_path):
    eye = {"num_hidden_layers": 48, "hidden_size": 10**6}
    assert read_config(changed(tmp_path / "model", vision_config=eye))
    with pytest.raises(ModelError, match="an integer up to 10,000"):
        read_config(changed(tmp_path / "deep", vision_config=eye | {"num_hidden_layers": 10**9}))


def test_a_weight_of_8_bits_is_looked_at_as_well():
    model = torch.nn.Linear(2, 2, bias=False)
    for number in (1.0, float("nan")):
        numbers = torch.full((2, 2), number).to(torch.float8_e4m3fn)
        model.weight = torch.nn.Parameter(numbers, requires_grad=False)
        with contextlib.nullcontext() if number == number else pytest.raises(ModelError, match="damaged"):
            check_weights(model, "model")


def test_layers_without_weights_and_weights_of_another_shape_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"lack 13 of the model's tensors \(model.layers.3.input_layernorm.weight\)"):
        LocalCompleter(changed(tmp_path / "more", num_hidden_layers=4))
    with pytest.raises(ModelError, match=r"embed_tokens.weight is \[247, 64\], \[247, 128\] is expected"):
        LocalCompleter(changed(tmp_path / "wide", hidden_size=128))


def test_sizes_without_weights_have_bounds_of_their_own(tmp_path):
    assert read_config(model_folder(tmp_path / "right", model_type="qwen2", num_hidden_layers=80))
    with pytest.raises(ModelError, match="an integer up to 10,000"):
        read_config(model_folder(tmp_path / "deep", model_type="qwen2", num_hidden_layers=10**9))


KINDS = {"fifo": os.mkfifo, "folder": os.mkdir, "link to nothing": lambda path: path.symlink_to("gone"),
         "device": lambda path: path.symlink_to("/dev/zero")}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
                                  "model.safetensors", "chat_template.jinja"])  # fmt: skip
def test_an_entry_that_is_no_file_is_named_and_not_opened(tmp_path, name, kind):
    folder = changed(tmp_path / "model")
    (folder / name).unlink()
    KINDS[kind](folder / name)
    with pytest.raises(ModelError, match=f"no file that can be read: .*{name}"):
        LocalCompleter(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_the_hash_of_a_folder_does_not_open_what_is_no_file(tmp_path, kind):
    folder = changed(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    KINDS[kind](folder / "tokenizer.json")
    assert len(model_identity(folder)) == 16


@pytest.mark.parametrize(
    "content", ["{", "", "\0", "[" * 100_000, "\ud800"], ids=["open", "empty", "0", "deep", "half"]
)
@pytest.mark.parametrize("name", ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_settings_that_are_damaged_are_named_and_not_passed_over(tmp_path, name, content):
    folder = changed(tmp_path / "model")
    (folder / name).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=f"file of a model folder is damaged: .*{name}"):
        LocalCompleter(folder)


@pytest.mark.parametrize("content", ["null", "[]", "3", '"a"'])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json",
                                  "model.safetensors.index.json"])  # fmt: skip
def test_settings_that_are_no_object_are_named(tmp_path, name, content):
    folder = changed(tmp_path / "model")
    (folder / name).write_text(content)
    with pytest.raises(ModelError, match=rf"is damaged: .*{name}.* \(allowed: an object of JSON\)"):
        LocalCompleter(folder)


INDEXES = {
    "no file of the model's folder": [
        "gone.safetensors", "../good/model.safetensors", "/tmp/model.safetensors", "a/model.safetensors", "..", "",
    ],
    "names no file": [None],
    "are pickles": ["evil.bin", "evil.pt"],
}  # fmt: skip


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, names in INDEXES.items() for name in names])
def test_an_index_names_safetensors_of_its_own_folder(tmp_path, what, name):
    folder = changed(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": name} if name is not None else {}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=what):
        LocalCompleter(folder)


@pytest.mark.parametrize("token", [-1, 10**9, [-5, 10**6]])
def test_an_end_token_that_no_token_is_is_named(tmp_path, token):
    folder = changed(tmp_path / "model")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": token}))
    own = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(own | {"eos_token": None}))
    with pytest.raises(ModelError, match=r"no end token of the model is one of its tokens"):
        LocalCompleter(folder)


@pytest.mark.parametrize(("key", "value"), [("rope_parameters", {"rope_type": "evil"}), ("hidden_act", "evil"),
                                            ("layer_types", 3)])  # fmt: skip
def test_a_value_that_transformers_stumbles_over_is_told_as_one(tmp_path, key, value):
    folder = changed(tmp_path / "model", **{key: value})
    told = r"names what transformers does not know: .*'evil'\"|cannot be loaded \(.* .*\).*; download the model again"
    with pytest.raises(ModelError, match=told):
        LocalCompleter(folder)


@pytest.mark.parametrize("token", ["x", [1, "2"], 1.5])
def test_an_end_token_that_is_no_number_is_named(tmp_path, token):
    folder = changed(tmp_path / "model")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": token}))
    with pytest.raises(ModelError, match=r"eos_token_id|end token"):
        LocalCompleter(folder)


HEADS = [
    b"",
    b"hello",
    (1 << 62).to_bytes(8, "little") + b"{}",
    b"\2" + bytes(7) + b"[]",
    b"\x08" + bytes(7) + b'{"a":{}}',
]


@pytest.mark.parametrize("head", HEADS)
def test_weights_whose_head_is_damaged_are_named(tmp_path, head):
    folder = changed(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(head)
    with pytest.raises(ModelError, match=r"the head of these weights is damaged: .*model.safetensors"):
        read_config(folder)


def test_pickles_are_refused_in_a_whole_sentence(tmp_path):
    folder = changed(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="the weights are pickles, which can run code and are not read"):
        LocalCompleter(folder)


@pytest.mark.parametrize("n_bytes", [1 << 38, -1])
@pytest.mark.parametrize(
    "road", [*ROADS.values(), lambda folder: model_hash(LocalModelSettings(name="m", path=str(folder)))]
)
def test_weights_that_are_not_as_long_as_their_head_says_are_refused_before_they_are_read(tmp_path, road, n_bytes):
    folder = changed(tmp_path / "model")
    file = folder / "model.safetensors"
    os.truncate(file, n_bytes if n_bytes > 0 else file.stat().st_size - 1)
    began = time.monotonic()
    with pytest.raises(
        ModelError, match=r"not as long as its head says: .*model\.safetensors: [\d,]+ bytes' \(allowed: 357,712"
    ):
        road(folder)
    assert time.monotonic() - began < 30


NEEDS_PACKAGE = {"quant_method": "bitsandbytes", "load_in_4bit": True}


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="the package is here")
@pytest.mark.parametrize("road", [LocalCompleter, lambda folder: load_model(folder, "float32", "sdpa")])
def test_quantised_weights_without_their_package_are_told_as_such(tmp_path, road):
    with pytest.raises(ModelError, match=r"weights are quantised and cannot be read here \(.*model: bitsandbytes'"):
        road(changed(tmp_path / "model", quantization_config=NEEDS_PACKAGE))


@pytest.mark.parametrize("road", [LocalCompleter, lambda folder: load_model(folder, "float32", "sdpa")])
def test_a_name_that_transformers_does_not_know_is_told_as_such(tmp_path, road):
    with pytest.raises(ModelError, match=r"config.json names what transformers does not know: .*evil.*correct config"):
        road(changed(tmp_path / "model", hidden_act="evil"))


def test_a_link_to_a_file_of_no_model_is_not_followed(tmp_path):
    (tmp_path / "notes").write_text("{{ 'root:x:0:0' }}")
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        folder = changed(tmp_path / name.partition(".")[0])
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(tmp_path / "notes")
        with pytest.raises(ModelError, match=f"links to a file that belongs to no model: .*{name}"):
            check_model(folder)


def test_links_into_the_cache_of_the_hub_and_into_another_model_are_followed(tmp_path):
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "1f", tmp_path / "models--a--b" / "blobs"
    other, whole = tmp_path / "other", changed(tmp_path / "whole")
    for folder in (snapshot, blobs, other):
        folder.mkdir(parents=True)
    for number, file in enumerate(sorted(whole.iterdir())):
        shutil.copy(file, blobs / f"{number:040}")
        (snapshot / file.name).symlink_to(f"../../blobs/{number:040}")
        (other / file.name).symlink_to(file)
    check_model(snapshot)
    check_model(other)


def test_a_template_that_is_no_text_is_named(tmp_path):
    folder = changed(tmp_path / "model")
    with open(folder / "chat_template.jinja", "ab") as file:
        file.write(b"\xff")
    with pytest.raises(ModelError, match=r"is damaged: .*chat_template.jinja.*\(allowed: UTF-8\)"):
        LocalCompleter(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.uint8, torch.bool])
def test_weights_stored_as_integers_are_refused_unless_they_are_quantised(tmp_path, dtype):
    folder = changed(tmp_path / "model")
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    name = max(weights, key=lambda name: weights[name].numel())
    save_file(weights | {name: weights[name].to(dtype)}, file, {"format": "pt"})
    with pytest.raises(ModelError, match=f"stored as integers .{name}"):
        LocalCompleter(folder)
