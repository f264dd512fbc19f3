"""A tokenizer.json is a program: one that multiplies texts or never ends is told in one line, by every road."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

import limo as package
from limo.core.errors import ModelError
from limo.models.local.chat_template import MAX_TOKENS, SAMPLE
from limo.models.local.completer import LocalCompleter
from limo.models.local.config import read_config
from limo.models.local.tokenizer import encode, load_tokenizer, panics_told, spread
from limo.stages import train_plan
from limo.train import model as training

POCKET = Path(package.__file__).parent / "experiments" / "pocket" / "weights" / "pocket-rich"
REPLACE = {"type": "Replace", "pattern": {"Regex": "."}, "content": "a" * 32}
ENDLESS = "(([a-z ]+)+)+!$|((.*)*)*z$"
EVIL = {
    "multiplies": {"normalizer": {"type": "Sequence", "normalizers": [REPLACE] * 8}},
    "multiplies a little": {"normalizer": REPLACE, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."},
                            "behavior": "Isolated", "invert": False}},
    "panics": {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": ENDLESS}, "behavior": "Isolated",
                                 "invert": False}},
    "multiplies what it reads back": {"decoder": {"type": "Sequence", "decoders": [REPLACE] * 5}},
    "multiplies one token": {"decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "0"}, "content": "0" * 1000}] * 3}},
}  # fmt: skip


def changed(folder, file="tokenizer.json", **parts):
    shutil.copytree(POCKET, folder)
    values = json.loads((POCKET / "tokenizer.json").read_text())
    (folder / file).write_text(json.dumps(values | parts))
    return folder


@pytest.mark.parametrize("parts", EVIL.values(), ids=EVIL)
def test_a_tokenizer_that_is_a_bomb_is_refused_in_one_line(tmp_path, capfd, parts):
    folder = changed(tmp_path / "model", **parts)
    for road in (LocalCompleter, training.load_tokenizer):
        began = time.process_time()
        with pytest.raises(ModelError, match=r"^the tokenizer fails \(.*tokenizer.json") as refused:
            road(folder)
        assert "\n" not in str(refused.value) and time.process_time() - began < 10
    assert "panicked" not in capfd.readouterr().err


def test_a_tokenizer_of_another_version_of_the_package_is_tried_as_well(tmp_path):
    folder = changed(tmp_path / "model", "tokenizer.4.0.json", **EVIL["panics"])
    with pytest.raises(ModelError, match=r"tokenizer fails .*tokenizer\.4\.0\.json"):
        load_tokenizer(folder, read_config(folder))


def test_a_panic_on_another_text_is_a_fault_of_the_model(monkeypatch):
    monkeypatch.setenv("RUST_BACKTRACE", "0")
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(ENDLESS), "isolated")
    with pytest.raises(ModelError, match=r"the tokenizer fails \(Onig: Regex search error"), panics_told("models/m"):
        tokenizer.encode("many words of small letters without the mark that would end them " * 3)
    for other in (KeyboardInterrupt, ValueError):
        with pytest.raises(other), panics_told("models/m"):
            raise other


def test_a_tokenizer_of_bytes_stays_far_below_the_limit():
    alphabet = {letter: n for n, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    assert len(tokenizer.encode(SAMPLE).ids) <= 1.1 * len(SAMPLE.encode()) < MAX_TOKENS * len(SAMPLE.encode())


def test_a_usable_tokenizer_is_loaded_and_reads_as_before():
    assert load_tokenizer(POCKET, read_config(POCKET))("L:")["input_ids"]


def test_a_tokenizer_is_tried_on_the_texts_that_it_will_read(tmp_path):
    replace = REPLACE | {"pattern": {"String": "\u00df"}, "content": "a" * 4096}
    folder = changed(tmp_path / "model", **(EVIL["multiplies a little"] | {"normalizer": replace}))
    tokenizer = load_tokenizer(folder, read_config(folder))
    assert encode(tokenizer, ["L:", "L:"]) == tokenizer(["L:", "L:"])["input_ids"] and encode(tokenizer, []) == []
    with pytest.raises(ModelError, match=r"^the tokenizer fails \(it makes [0-9,]+ tokens of 2 bytes.*tokenizer.json"):
        encode(tokenizer, ["L:" * 1000, "\u00df"])


def test_the_texts_that_are_tried_are_the_longest_the_unusual_and_all_where_they_are_few():
    few = ["a", "bb", "a", ""]
    assert sorted(spread(few)) == ["", "a", "bb"]
    many = [f"{n:06}" * 100 for n in range(2000)]
    chosen = spread([*many, "x" * 3_000_000, "\u00df"])
    assert chosen[0] == "x" * (1 << 20) and "\u00df" in chosen and sum(map(len, chosen[1:])) <= 1 << 18


def test_a_tokenizer_of_the_hub_takes_the_same_road_once_it_is_here(tmp_path, monkeypatch):
    folder = changed(tmp_path / "snapshot", **EVIL["panics"])
    shape = "Qwen/Qwen2.5-3B-Instruct"
    found = lambda name, file: str(folder / file) if name == shape else None  # noqa: E731
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", found)
    with pytest.raises(ModelError, match=r"^the tokenizer fails .*tokenizer.json"):
        train_plan._tokenizer(shape)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **how: str(folder))
    with pytest.raises(ModelError, match=r"^the tokenizer fails .*tokenizer.json"):
        load_tokenizer(shape, read_config(POCKET))


@pytest.mark.parametrize("parts", [
    {"normalizer": {"type": "Replace", "pattern": {"Regex": "[0-9]"}, "content": ""}},
    {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[0-9]"}, "behavior": "Removed", "invert": False}},
], ids=["normaliser", "splitter"])  # fmt: skip
def test_a_tokenizer_that_leaves_out_digits_is_told(tmp_path, caplog, parts):
    folder = changed(tmp_path / "model", **parts)
    load_tokenizer(folder, read_config(folder))
    assert "its tokenizer is odd: it leaves out characters (01234" in caplog.text


def test_tokens_that_share_a_number_are_told(tmp_path, caplog):
    model = json.loads((POCKET / "tokenizer.json").read_text())["model"]
    first, second = [token for token in model["vocab"] if token.isalpha()][:2]
    model["vocab"][second] = model["vocab"][first]
    folder = changed(tmp_path / "model", model=model)
    load_tokenizer(folder, read_config(folder))
    assert "1 tokens share their number with another" in caplog.text
    caplog.clear()
    load_tokenizer(POCKET, read_config(POCKET))
    assert not caplog.records
