"""Charts: text stays text, colours stay the page's, every number that should show shows."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from limo.report.charts.drawing import COLORS, Drawing, arm_colors, text_width
from limo.report.charts.funnel import draw_funnel
from limo.report.charts.paper import draw_paper
from limo.report.charts.scores import draw_averages, draw_comparisons, draw_levels, draw_radar, draw_scores
from limo.report.charts.series import draw_chart
from limo.report.content import ArmRow, AverageRow, ChartRow, ComparisonRow, LocalizedText, SeriesRow, StageRow

CHARTS = (draw_averages, draw_scores, draw_comparisons, draw_levels, draw_paper, draw_radar, draw_funnel)


def words_of(drawing: Drawing) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(drawing.svg()).iter() if node.tag.endswith("text")]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.__name__)
@pytest.mark.parametrize("language, width", [("en", 760), ("zh", 344)])
def test_a_chart_is_one_well_formed_element_with_a_description_and_no_colour_of_its_own(full, chart, language, width):
    svg = chart(full, language, width).svg()
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img" and len(root.attrib["aria-label"]) > 20
    assert not re.search(r"#[0-9a-f]{6}\b(?!\))", re.sub(r"(href=\"|url\()#[^\")]*", "", svg))
    assert "font-family" not in svg and "<style" not in svg and "<?xml" not in svg
    assert set(re.findall(r"var\(--(\w+)\)", svg)) <= set(COLORS)


def test_the_same_report_draws_the_same_bytes(full):
    assert draw_scores(full, "en", 760).svg() == draw_scores(full, "en", 760).svg()
    assert draw_scores(full, "en", 760).svg() != draw_scores(full, "zh", 760).svg()


def test_bars_show_each_average_and_the_forest_each_difference_with_its_verdict(full):
    bars = words_of(draw_averages(full, "en", 760))
    assert {"28.2", "31.1", "60.7", "74.0", "55.0", "6,400 examples", "not trained"} <= set(bars)
    forest = words_of(draw_comparisons(full, "en", 760))
    assert {"+32.5", "[+27.1, +37.8]", "+2.6", "not separable"} <= set(forest)
    assert "[−1.4, +6.7]" not in forest, "what is not separable is called so in place of its interval"
    assert forest.count("not separable") == 1


def test_labels_are_never_read_as_mathematics_or_markup(full):
    arms = [ArmRow("limo", "<script>$x_1$</script>&\x00", color="limo")]
    hostile = replace(full, arms=arms, averages=[AverageRow("limo", "all", 0.5, 0.4, 0.6)])
    drawing = draw_averages(hostile, "en", 760)
    assert "<script" not in drawing.svg()
    assert "<script>$x_1$</script>&⟨U+0000⟩" in words_of(drawing)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_ends_of_the_scale_can_be_drawn(full, value):
    edge = replace(
        full,
        averages=[AverageRow("limo", "all", value, value, value)],
        comparisons=[
            ComparisonRow("limo", "base", "all", 0.0, 0.0, 0.0, False),
            ComparisonRow("limo", "bulk", "all", value, value, value, True),
        ],
    )
    assert f"{value * 100:.1f}" in words_of(draw_averages(edge, "en", 760))
    draw_comparisons(edge, "en", 344)


def test_the_funnel_names_every_drop_and_what_it_cannot_account_for(full):
    shown = " ".join(words_of(draw_funnel(full, "en", 760)))
    assert "−16,553 too easy" in shown and "unaccounted" not in shown and "log scale" in shown
    stage = StageRow("x", "Leaky", n_in=100, n_kept=80, dropped={"a": 5}, unit="chains")
    leaky = " ".join(words_of(draw_funnel(replace(full, funnel=[stage]), "en", 760)))
    assert "15 unaccounted for" in leaky and "of 100 chains" in leaky and "log scale" not in leaky


@pytest.mark.parametrize("language, width", [("en", 344), ("zh", 344), ("en", 760)])
def test_every_reason_of_the_funnel_is_whole_in_lines_that_fit(full, language, width):
    dropped = {f"a reason of some length, number {number}": 10 - number for number in range(9)}
    stage = StageRow("x", "Choosy", n_in=100, n_kept=100 - sum(dropped.values()), dropped=dropped)
    lines = [line for line in words_of(draw_funnel(replace(full, funnel=[stage]), language, width)) if "−" in line]
    assert all(reason in " ".join(lines) for reason in dropped) and "…" not in "".join(lines)
    assert len(lines) > 1 and all(text_width(line) <= width for line in lines)


def test_a_single_group_of_benchmarks_has_no_heading(full):
    alone = replace(full, benchmarks=[replace(row, group="all") for row in full.benchmarks])
    assert "Other benchmarks" not in words_of(draw_scores(alone, "en", 760))
    mixed = replace(full, benchmarks=[replace(full.benchmarks[0], group="all"), *full.benchmarks[1:]])
    assert "Other benchmarks" in words_of(draw_scores(mixed, "en", 760))


@pytest.mark.parametrize("kept", [0, 1])
def test_a_funnel_that_ends_in_nothing_is_drawn(full, kept):
    stages = [StageRow("a", "A", n_in=1000, n_kept=kept, dropped={"x": 1000 - kept}), StageRow("b", "B")]
    assert words_of(draw_funnel(replace(full, funnel=stages), "zh", 344))


def test_every_arm_has_a_colour_and_free_ones_do_not_repeat(full):
    arms = [*full.arms, *(ArmRow(f"x{n}", "X") for n in range(4)), ArmRow("y", "Y", color="paper")]
    named = arm_colors(replace(full, arms=arms))
    assert len({named[f"x{n}"] for n in range(4)} | {"base", "bulk", "limo"}) == 7
    assert named["y"] != "paper", "the page's own colours are not for arms"


def _light(colour: str) -> np.ndarray:
    share = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _contrast(a: np.ndarray, b: np.ndarray) -> float:
    high, low = sorted((float(x @ (0.2126, 0.7152, 0.0722)) + 0.05 for x in (a, b)), reverse=True)
    return high / low


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_the_page_in_both_themes(theme):
    for ground in ("paper", "card"):
        on = _light(COLORS[ground][theme])
        for ink, least in (
            ("ink", 12),
            ("muted", 4.5),
            ("limo", 4.5),
            ("brick", 4.5),
            ("green", 4.5),
            ("bulk", 3),
            ("base", 3),
        ):
            assert _contrast(_light(COLORS[ink][theme]), on) >= least, (ground, ink)


# Linear RGB as seen without one kind of cone, full severity (Machado, Oliveira and Fernandes 2009, table 1).
_SEEN = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def _lab(linear: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(linear, 0, 1) / (0.9505, 1, 1.089), 1e-6, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("kind", sorted(_SEEN))
def test_the_three_arms_stay_apart_for_the_colour_blind(kind, theme):
    base, bulk, limo = (_lab(np.array(_SEEN[kind]) @ _light(COLORS[n][theme])) for n in ("base", "bulk", "limo"))
    assert min(np.linalg.norm(a - b) for a, b in ((base, bulk), (base, limo), (bulk, limo))) > 20


@pytest.mark.parametrize("kind", ["lines", "bars"])
@pytest.mark.parametrize("width", [360, 760])
def test_every_series_of_a_chart_is_named_above_it(kind, width):
    rows = [SeriesRow(f"pocket-rich-dose{k}", "", [0.0, 1.0], [0.1, 0.2]) for k in range(8)]
    text = LocalizedText("Score")
    chart = ChartRow(text, kind, rows, text, text, [LocalizedText("a"), LocalizedText("b")] if kind == "bars" else [])
    drawing = draw_chart(chart, "x", "en", width).svg()
    shown = {row.label_en: drawing.count(f">{row.label_en}<") for row in rows}
    assert set(shown.values()) == {1}, shown
