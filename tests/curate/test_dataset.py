import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from limo.core.errors import InputError, StorageError
from limo.core.records import Chain, Dropped, Grade, PassRate, Problem, Verdict
from limo.curate.dataset import (
    DatasetCard,
    ExportSettings,
    ModelUse,
    count_contaminated,
    dataset_row,
    render_card,
    write_dataset,
)
from limo.curate.funnel import FunnelRow
from limo.curate.select import Candidate

FUNNEL = [FunnelRow("weak", "problems", 3, 1, 1, {"solved | too <often>": 2})]
CARD = DatasetCard(FUNNEL, "select:\n  k: 2\n", "abc", ExportSettings(name="tiny", license="mit"))
TRAITS = {"elaboration": 1.0, "verification": 0.0, "exploration": 0.0, "granularity": 0.5}


def example(name: str = "a", text: str = "so \\boxed{7}") -> dict:
    problem = Problem(name, "What is 3+4?", "7", source="school", topic="sums", language="en")
    chain = Chain(name, text, "teacher", "ph", "sh", 2, 9, Verdict("correct", "7", tier="text"))
    prompt = [{"role": "system", "content": "be careful"}, {"role": "user", "content": problem.problem}]
    return dataset_row(Candidate(problem, chain, Grade(TRAITS, 0.5, "L4"), (PassRate("m", 8, 8, 2),)), 1, prompt)


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_what_is_exported_loads_with_its_messages_and_lineage(tmp_path):
    from datasets import load_from_disk

    write_dataset([example("a"), example("b", "b \\boxed{7}")], tmp_path / "selected", CARD)
    back = load_from_disk(tmp_path / "selected")
    assert [m["role"] for m in back[0]["messages"]] == ["system", "user", "assistant"]
    assert back[0] == example("a")
    assert back[1]["pass_rates"] == [asdict(PassRate("m", 8, 8, 2))]


def test_the_same_rows_give_the_same_bytes_and_replace_what_was_there(tmp_path):
    write_dataset([example("z", "z \\boxed{7}")], tmp_path / "one", CARD)
    before = hashes(tmp_path / "one")
    write_dataset([example()], tmp_path / "one", CARD)
    write_dataset([example()], tmp_path / "two", CARD)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two") != before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]


def test_the_sources_own_columns_and_the_stages_of_pass_rates_are_exported():
    problem = Problem("a", "What is 3+4?", "7", meta={"id": "algebra-17", "note": "三加四"})
    rates = (PassRate("m", 4, 4, 0, stage="weak_filter"), PassRate("m", 32, 32, 2, stage="strong_filter"))
    chain = Chain("a", "so \\boxed{7}", "teacher", "ph", "sh", 2, 9, Verdict("correct", "7", tier="text"))
    row = dataset_row(Candidate(problem, chain, Grade(TRAITS, 0.5, "L4"), rates), 1, [])
    assert [rate["stage"] for rate in row["pass_rates"]] == ["weak_filter", "strong_filter"]
    assert json.loads(row["meta"]) == problem.meta and "三加四" in row["meta"]


def test_hostile_text_is_stored_and_cannot_break_the_card(tmp_path):
    from datasets import load_from_disk

    bad = example(text="lone \ud800 surrogate\x00 \\boxed{7}")
    bad["teacher"] = "evil | model\n# heading"
    write_dataset([bad], tmp_path / "selected", CARD)
    assert "lone ? surrogate" in load_from_disk(tmp_path / "selected")[0]["messages"][2]["content"]
    assert "| evil \\| model # heading | 1 |" in (tmp_path / "selected" / "README.md").read_text()


def test_the_card_has_a_header_counts_reasons_hashes_and_the_recipe():
    text = render_card([example()], CARD)
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "mit" and head["language"] == ["en"] and head["size_categories"] == ["n<1K"]
    assert "| weak | problems | 3 | 1 | solved \\| too &lt;often> 2 |" in text
    assert "| teacher | 1 |" in text and "| L4 | 1 |" in text and "| recipe | `abc` |" in text
    assert "```yaml\nselect:\n  k: 2\n```" in text
    assert "license" not in yaml.safe_load(render_card([example()], DatasetCard([], "", "")).split("---\n")[1])


def test_the_card_names_every_model_that_was_used_and_the_scorer():
    models = [
        ModelUse("weak_filter", "small | model", 4, "temperature 1, seed 0"),
        ModelUse("teacher", "large", 32, "greedy"),
    ]
    told = render_card([example()], replace(CARD, models=models, scorer="structure"))
    assert (
        "| weak_filter | small \\| model | 4 | temperature 1, seed 0 |" in told and "| teacher | large | 32 |" in told
    )
    assert "those of the scorer `structure`" in told
    assert "did not say which models" in render_card([example()], CARD)


@pytest.mark.parametrize("name", ["x" * 201, "a\nb", "a\u200b", " "])
def test_a_name_that_is_no_line_of_a_card_is_refused_with_the_recipe(name):
    with pytest.raises(ValidationError, match="one line of at most 200 characters"):
        ExportSettings(name=name)
    assert ExportSettings(name="我的 data-1.0").name == "我的 data-1.0"


def test_the_card_names_the_licence_of_each_source_and_what_contamination_was_kept_out():
    told = render_card([example()], replace(CARD, settings=ExportSettings(licenses={"school": "CC-BY-4.0"})))
    assert "| school | 1 | CC-BY-4.0 |" in told and "No problem of the pool was found in a benchmark" in told
    assert "| school | 1 | not stated |" in render_card([example()], CARD)
    hits = [Dropped(n, "decontaminate", "in a benchmark", {"method": "same text", "hits": [{"benchmark": "AIME24"}]})
            for n in "ab"]  # fmt: skip
    found = count_contaminated(hits)
    assert found == {"AIME24: same text": 2}
    told = render_card([example()], replace(CARD, contamination=found))
    assert "2 problems of the pool stand in a benchmark" in told and "| AIME24: same text | 2 |" in told
    assert "limo curate recipe.yaml data=FOLDER" in told


def test_the_card_is_what_the_hub_takes_for_one_and_its_markdown_is_tables_and_code(tmp_path):
    from huggingface_hub import DatasetCard
    from markdown_it import MarkdownIt

    write_dataset([example()], tmp_path / "selected", replace(CARD, recipe="a: |\n  ```\n  # no heading\n  ```\n"))
    card = DatasetCard.load(tmp_path / "selected" / "README.md")
    assert card.data.license == "mit" and card.data.language == ["en"] and card.data.pretty_name == "tiny"
    page = MarkdownIt("commonmark").enable("table").parse(card.text)
    heads = [page[at + 1].content for at, token in enumerate(page) if token.type == "heading_open"]
    assert heads[0] == "tiny" and heads[1:] == sorted(set(heads[1:]), key=heads[1:].index)
    assert {"From pool to selection", "Teachers", "Levels", "Hashes", "How to rebuild", "Recipe"} <= set(heads)
    assert "no heading" not in heads  # the recipe cannot end its block
    assert sum(token.type == "table_open" for token in page) == 5
    assert len([token for token in page if token.type == "tr_open"]) == 5 + 1 + 1 + 1 + 5 + 2


def test_nothing_to_export_and_no_place_are_said_plainly(tmp_path):
    with pytest.raises(InputError, match="no chain is left"):
        write_dataset([], tmp_path / "selected", CARD)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_dataset([example()], tmp_path / "file" / "selected", CARD)
