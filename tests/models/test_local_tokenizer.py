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
from limo.models.local.tokenizer import load_tokenizer, panics_told
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
