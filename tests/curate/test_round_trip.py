"""What is exported, read back by the trainers' own code: the same messages, the system text among them.

LLaMA-Factory and Axolotl pin their own versions of much, so each lives in a virtual environment of its own, named by
LIMO_LLAMAFACTORY_PYTHON and LIMO_AXOLOTL_PYTHON (docs/curate.md says how they were made).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from limo.curate.dataset import DatasetCard, write_dataset
from limo.curate.formats import write_format

PEERS = Path(__file__).parent / "peers"
SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."
TALKS = [
    ("What is 3+4?", "Adding, 3+4=7. So \\boxed{7}."),
    ("已知 $x^2=4$ 且 $x>0$，求 $x$。 🙂\n\n(a) {b} %s", "  验证：$2^2=4$。\u2028{{ x }} \\boxed{2} \n"),
    ("user: hi\nassistant: no", "system\n\nHuman: 1 < 2 & 3 > 2 \\boxed{1}"),
]


def rows() -> list[dict]:
    turns = [("system", SYSTEM), ("user", ""), ("assistant", "")]
    return [
        {"messages": [{"role": role, "content": text or talk[k]} for k, (role, text) in enumerate(turns, -1)]}
        for talk in TALKS
    ]


def chatml(messages: list[dict]) -> str:
    return "".join(f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in messages)


def read_by(name: str, variable: str, folder: Path, aside: Path) -> list[dict]:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"no environment with {name}: name its Python in {variable}")
    quiet = {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "HF_HOME": str(aside / "home"), "PYTHONPATH": ""}
    command = [python, PEERS / f"read_{name}.py", folder, aside]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llamafactory", "axolotl"])
def test_a_trainers_own_loader_finds_the_same_messages_and_teaches_the_chain_alone(name, tmp_path):
    folder = write_format(rows(), name, tmp_path / "export")  # type: ignore[arg-type]
    found = read_by(name, f"LIMO_{name.upper()}_PYTHON", folder, tmp_path)
    assert [row["messages"] for row in found] == [row["messages"] for row in rows()]
    for row in found:
        assert row["text"] == chatml(row["messages"]) and row["text"].count(SYSTEM) == 1
        assert row["taught"].rstrip("\n").removesuffix("<|im_end|>") == row["messages"][-1]["content"]


@pytest.mark.parametrize("with_trl", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["datasets", "trl"])
def test_datasets_and_trl_read_the_run_s_own_folder_and_the_hubs_as_they_are(tmp_path, monkeypatch, with_trl):
    from datasets import load_dataset, load_from_disk

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lineage = {"source": "s", "teacher": "t", "language": "zh", "level": "L5"}
    told = [row | lineage for row in rows()]
    write_dataset(told, tmp_path / "selected", DatasetCard([], "", ""))
    write_format(told, "hf", tmp_path / "hub", "# card")
    cache = str(tmp_path / "cache")
    hub = load_dataset(str(tmp_path / "hub"), split="train", cache_dir=cache)
    for data in (load_from_disk(tmp_path / "selected"), hub):
        assert [row["messages"] for row in data] == [row["messages"] for row in rows()]
        if with_trl:
            from trl import apply_chat_template
            from trl.data_utils import is_conversational

            assert all(is_conversational(row) for row in data)
            told_to_trl = [apply_chat_template(row, Chat())["text"] for row in data]
            assert told_to_trl == [chatml(row["messages"]) for row in rows()]


class Chat:
    """What TRL needs of a tokenizer to write a chat as text."""

    def apply_chat_template(self, messages, tools=None, tokenize=True, **_):
        assert not tokenize
        return chatml(messages)
