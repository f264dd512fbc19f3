"""A model folder is data: whatever program it asks for is not run, by no road and no answer on a terminal."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from limo.core.errors import ModelError
from limo.models.local.completer import LocalCompleter
from limo.models.local.config import check_model, read_config
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
