"""The report's tree: what goes in comes out, and what cannot be is refused with every fault named."""

import csv
import io
import json
from dataclasses import replace

import pytest

from limo.core.errors import InputError, MissingFileError
from limo.report.content import (
    AverageRow,
    ChartRow,
    ComparisonRow,
    LocalizedText,
    Prediction,
    Report,
    Section,
    SeriesRow,
)
from limo.report.store import check, load, save
from limo.report.tables import Table, to_csv


def test_a_saved_report_is_the_same_when_loaded_hostile_text_included(full, tmp_path):
    save(full, tmp_path / "report.json")
    assert load(tmp_path / "report.json") == full


def test_a_report_of_format_1_is_still_read(full, tmp_path):
    path = tmp_path / "report.json"
    save(full, path)
    values = json.loads(path.read_text())
    for row in values["scores"] + values["averages"] + values["comparisons"] + values["levels"]:
        del row["provenance"]
    for case in values["cases"]:
        case["attempts"] = case.pop("rollouts")
        for rollout in case["attempts"]:
            del rollout["provenance"]
    path.write_text(json.dumps(values | {"format": 1}))
    old = load(path)
    assert old.format == 3 and old.arms == full.arms
    assert [rollout.completion for rollout in old.cases[0].rollouts] == [r.completion for r in full.cases[0].rollouts]
    assert full.scores[0].provenance and not old.scores[0].provenance


def test_what_held_in_a_size_outside_the_range_is_read_as_held_in_part(full, tmp_path):
    said = LocalizedText("A above B, by +20 to +60 points; it came to +12.0 [+9.0, +14.9], outside that range")
    sides = [Prediction(said, "held"), Prediction(said, "failed"), Prediction(LocalizedText("A above B"), "held")]
    save(replace(full, sections=[Section("q", said, predictions=sides)]), tmp_path / "report.json")
    (section,) = load(tmp_path / "report.json").sections
    assert [row.outcome for row in section.predictions] == ["partly", "failed", "held"]


def test_missing_chinese_falls_back_to_english():
    assert LocalizedText("only").text("zh") == "only"
    assert LocalizedText("a", "甲").text("zh") == "甲"


@pytest.mark.parametrize(
    "low, value, high",
    [
        (0.5, 0.4, 0.6),
        (0.1, 0.2, 0.15),
        (-0.1, 0.2, 0.3),
        (0.9, 1.0, 1.1),
        (float("nan"), 0.5, 0.6),
        (0.4, float("nan"), 0.6),
        (20, 30, 40),
    ],
)
def test_a_share_outside_its_interval_or_outside_0_to_1_is_refused(full, low, value, high):
    with pytest.raises(InputError, match="does not hold together"):
        check(replace(full, averages=[AverageRow("limo", "all", value, low, high)]))


def test_a_difference_outside_its_interval_is_refused(full):
    with pytest.raises(InputError):
        check(replace(full, comparisons=[ComparisonRow("limo", "base", "all", 0.5, 0.1, 0.4, True)]))


def test_names_that_stand_for_nothing_are_all_named(full):
    broken = replace(full, averages=[AverageRow("ghost", "all", 0.5, 0.4, 0.6)], arms=[*full.arms, full.arms[0]])
    with pytest.raises(InputError) as fault:
        check(broken)
    assert "'ghost'" in str(fault.value) and "'base' is defined twice" in str(fault.value)


def test_an_unknown_key_a_later_format_and_broken_json_are_refused(full, tmp_path):
    path = tmp_path / "report.json"
    save(full, path)
    values = json.loads(path.read_text())
    for broken, words in (
        (values | {"colour": 1}, "colour"),
        (values | {"format": 99}, "later format"),
        (values | {"arms": 3}, "arms"),
        ([], "does not fit"),
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(InputError, match=words):
            load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load(path)
    with pytest.raises(MissingFileError):
        load(tmp_path / "nowhere.json")


def test_a_report_that_does_not_hold_together_leaves_the_old_file(full, tmp_path):
    path = tmp_path / "report.json"
    save(full, path)
    before = path.read_bytes()
    with pytest.raises(InputError):
        save(replace(full, averages=[AverageRow("limo", "all", 2, 2, 2)]), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_stage_knows_what_it_cannot_account_for(full):
    assert [stage.n_unexplained for stage in full.funnel] == [0] * len(full.funnel)
    assert replace(full.funnel[0], n_kept=20_000).n_unexplained == 3640


def test_an_empty_report_is_a_report(bare, tmp_path):
    save(bare, tmp_path / "r.json")
    assert load(tmp_path / "r.json") == Report(LocalizedText("Bare", "空"))


def test_a_section_keeps_its_charts_and_predictions_and_its_columns_must_fit(full, tmp_path):
    text = LocalizedText("Loss", "损失")
    series = SeriesRow("seed 0", "", [1, 2], [0.5, 0.25], [0.4, 0.2], [0.6, 0.3])
    chart = ChartRow(text, "lines", [series], text, text)
    section = Section("rq4", text, predictions=[Prediction(text, "held")], charts=[chart], kind="question")
    report = replace(full, sections=[section])
    save(report, tmp_path / "report.json")
    assert load(tmp_path / "report.json") == report
    for bad in (replace(series, y=[0.5]), replace(series, high=[]), replace(series, y=[0.5, float("inf")])):
        with pytest.raises(InputError, match="Loss"):
            check(replace(full, sections=[replace(section, charts=[replace(chart, series=[bad])])]))
    with pytest.raises(InputError, match="twice"):
        check(replace(full, sections=[section, section]))
    with pytest.raises(InputError, match="plain name"):
        check(replace(full, sections=[replace(section, name='x"><script>')]))


def test_the_csv_of_a_table_holds_no_control_characters_and_no_formulas():
    table = Table("scores", ["arm", "=HYPERLINK(1)"])
    for cells in [("=cmd|x!A0", "+3.0"), ("-1+2\x1b[31m", "-2,000.5%"), ("@x", "1e-5"), ("\t=1", "−2.5"), ("+a", "-")]:
        table.add(*cells)
    heads, *rows = csv.reader(io.StringIO(to_csv(table)))
    assert heads == ["arm", "'=HYPERLINK(1)"]
    assert [row[0] for row in rows] == ["'=cmd|x!A0", "'-1+2⟨U+001B⟩[31m", "'@x", "'\t=1", "'+a"]
    assert [row[1] for row in rows] == ["+3.0", "-2,000.5%", "1e-5", "−2.5", "-"]
