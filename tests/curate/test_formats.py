import json
from pathlib import Path

import pytest
import yaml

from limo.core.errors import InputError
from limo.curate.formats import FORMATS, write_format

CARD = "---\npretty_name: tiny\n---\n# tiny\n"


def rows(n: int = 2) -> list[dict]:
    turns = [("system", "be careful"), ("user", "What is 3+4?\u2028 é"), ("assistant", "so \\boxed{7}\n\ud800")]
    return [
        {"messages": [{"role": role, "content": f"{text} {i}"} for role, text in turns], "rank": i, "score": 0.5}
        for i in range(n)
    ]


def said(some: list[dict]) -> list[list[dict]]:
    return [row["messages"] for row in some]


def messages(row: dict) -> list[dict]:
    """The messages of a row in either format of JSON lines."""
    if "messages" in row:
        return row["messages"]
    roles = {"human": "user", "gpt": "assistant"}
    turns = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
    return [{"role": "system", "content": row["system"]}, *turns]


@pytest.mark.parametrize("to", ["openai", "sharegpt"])
def test_what_is_read_back_has_the_same_messages_whatever_a_model_wrote(to, tmp_path):
    path = write_format(rows(), to, tmp_path / "out.jsonl")
    back = [json.loads(line) for line in path.read_text().split("\n") if line]
    assert [messages(row) for row in back] == said(rows())
    assert all("be careful" in json.dumps(row) for row in back)  # the system text stands in every row


@pytest.mark.parametrize("to", ["openai", "sharegpt", "llamafactory", "axolotl"])
def test_chinese_stands_as_it_is_and_no_text_ends_a_line(to, tmp_path):
    chat = [{"role": "user", "content": "求\u2028三加四\x85"}, {"role": "assistant", "content": "所以 \\boxed{7}"}]
    path = write_format([{"messages": chat}], to, tmp_path / "out")
    file = {"llamafactory": path / "limo.json", "axolotl": path / "limo.jsonl"}.get(to, path)
    text = file.read_bytes().decode("utf-8")
    assert "三加四" in text and "所以" in text
    assert text.splitlines() == text.rstrip("\n").split("\n")
    found = json.loads(text) if to == "llamafactory" else [json.loads(line) for line in text.splitlines()]
    contents = [turn.get("content") or turn["value"] for turn in found[0].get("messages") or found[0]["conversations"]]
    assert contents == [turn["content"] for turn in chat]


def test_llamafactory_gets_a_registered_dataset_whose_tags_name_its_own_keys(tmp_path):
    folder = write_format(rows(), "llamafactory", tmp_path / "lf")
    entry = json.loads((folder / "dataset_info.json").read_text())["limo"]
    data = json.loads((folder / entry["file_name"]).read_text())
    assert entry["formatting"] == "sharegpt"
    tags, column = entry["tags"], entry["columns"]["messages"]
    roles = [turn[tags["role_tag"]] for turn in data[0][column]]
    assert roles == [tags["system_tag"], tags["user_tag"], tags["assistant_tag"]]
    assert [row[column] for row in data] == said(rows())


def test_axolotl_gets_its_rows_and_the_lines_for_its_config(tmp_path):
    folder = write_format(rows(), "axolotl", tmp_path / "ax")
    (entry,) = yaml.safe_load((folder / "datasets.yaml").read_text())["datasets"]
    back = [json.loads(line) for line in (folder / entry["path"]).read_text().split("\n") if line]
    assert [row[entry["field_messages"]] for row in back] == said(rows())
    assert entry["type"] == "chat_template" and entry["roles_to_train"] == ["assistant"]


def test_the_hubs_folder_is_loaded_by_load_dataset_with_its_other_tables_beside(tmp_path, monkeypatch):
    from datasets import load_dataset

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sound = [
        {"messages": [{**one, "content": one["content"].replace("\ud800", "?")} for one in r["messages"]]}
        for r in rows()
    ]
    rates = [{"problem_id": "a", "n": 8, "n_correct": 1}]
    folder = write_format(sound, "hf", tmp_path / "hub", CARD, {"pass_rates": rates})
    cache = str(tmp_path / "cache")
    back = load_dataset(str(folder), split="train", cache_dir=cache)
    assert [list(row["messages"]) for row in back] == said(sound)
    assert load_dataset(str(folder), "pass_rates", split="train", cache_dir=cache)[0] == rates[0]
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert head["pretty_name"] == "tiny" and [one["config_name"] for one in head["configs"]] == [
        "default",
        "pass_rates",
    ]
    assert (folder / "README.md").read_text().endswith("# tiny\n")


def test_nothing_is_written_over_and_nothing_is_left_half_done(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="new or an empty folder"):
        write_format(rows(), "llamafactory", folder)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["mine"]
    (folder / "thesis.tex").unlink()
    assert write_format(rows(), "llamafactory", folder) == folder


def test_a_format_that_there_is_not_and_rows_without_messages_are_said_plainly(tmp_path):
    with pytest.raises(InputError, match="no such format") as raised:
        write_format(rows(), "xml", tmp_path / "x")  # type: ignore[arg-type]
    assert all(name in str(raised.value) for name in FORMATS)
    with pytest.raises(InputError, match="row 2 has no messages"):
        write_format([*rows(1), {"text": "x"}], "openai", tmp_path / "x")


def test_an_earlier_export_is_replaced_by_the_same_again(tmp_path):
    for _ in range(2):  # as after a kill at the very end
        folder = write_format(rows(), "llamafactory", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes\.txt'"):
        write_format(rows(), "llamafactory", folder)
    assert (folder / "notes.txt").exists()


def test_a_folder_of_somebody_else_with_one_of_our_names_is_not_replaced(tmp_path):
    (tmp_path / "dataset_info.json").write_text('{"theirs": {}}')
    with pytest.raises(InputError, match=r"holds 'dataset_info\.json'"):
        write_format(rows(), "llamafactory", tmp_path)
    assert "theirs" in (tmp_path / "dataset_info.json").read_text()
