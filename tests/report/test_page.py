"""The page: self-contained, in two languages, complete, and unmoved by anything a model writes."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from limo.core.errors import InputError
from limo.core.records import Provenance
from limo.report import cases, page, tables
from limo.report.content import (
    ArmRow,
    AverageRow,
    BenchmarkRow,
    Case,
    CaseRollout,
    ChartRow,
    DataTable,
    HitRow,
    LocalizedText,
    OverlapRow,
    Report,
    ScoreRow,
    Section,
    SeriesRow,
)

VOID = {"meta", "br", "img", "path", "use", "rect", "link", "input", "hr"}


class Reader(HTMLParser):
    """Tags, ids, attributes and text of a page; `open` holds what was not closed."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.ids, self.attributes, self.open, self.crossed = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID and self.open.pop() != tag:
            self.crossed.append(tag)


@pytest.fixture(scope="module")
def html(full):
    return page.render(full)


@pytest.fixture
def plain(full):
    """The example without anything to draw: most of a page's time goes into its charts."""
    return replace(full, averages=[], scores=[], comparisons=[], levels=[], funnel=[])


def test_the_page_is_well_formed_and_its_ids_are_unique(html):
    reader = Reader(html)
    assert not reader.open and not reader.crossed
    assert len(reader.ids) > 50 and len(reader.ids) == len(set(reader.ids))


def test_the_page_fetches_nothing(html):
    reader = Reader(html)
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(reader.tags)
    addresses = [value for name, value in reader.attributes if name in ("src", "href", "xlink:href", "action")]
    assert addresses and all(value.startswith(("#", "http://127.0.0.1:8910/?")) for value in addresses)
    assert "@import" not in html and not re.search(r"url\((?!#)", html)


def test_every_link_inside_the_page_leads_somewhere(html):
    reader = Reader(html)
    links = [value[1:] for name, value in reader.attributes if name == "href" and value[0] == "#"]
    assert len(links) == 18 and set(links) <= set(reader.ids)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_navigation_names_a_chapter_by_the_words_that_its_heading_begins_with(full, plain, language):
    question = Section("rq1", LocalizedText("RQ1, quality: does it matter?", "RQ1 质量：重要吗？"), kind="question")
    for report in (full, replace(plain, sections=[question])):
        text = page.render(report, language)
        entries = re.findall(r'<a href="#([\w-]+)">([^<]+)</a>', "".join(re.findall(r"<nav.*?</nav>", text, re.DOTALL)))
        assert len(entries) > 6
        for name, entry in entries:
            heading = re.search(rf'id="{name}".*?<h2[^>]*>(.*?)</h2>', text, re.DOTALL)[1]
            assert re.search(rf"(^|>){re.escape(entry)}(: |：|<|$)", heading), (entry, heading)


def test_only_the_page_s_own_script_may_run(html):
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html and "default-src 'none'" in html
    assert not [name for name, _ in Reader(html).attributes if name.startswith("on")]


def test_a_completion_is_text_and_what_would_not_show_is_spelled_out(html):
    assert "&lt;script&gt;alert(&#39;pwned&#39;)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in html
    for spelled in ("⟨U+0000⟩", "⟨U+202E⟩", "⟨U+200B⟩", "⟨U+D800⟩"):
        assert spelled in html
    assert not {"\x00", "\u202e", "\u200b"} & set(html)
    assert "{{ 7*7 }}" in html, "a template in a completion is not run"


@pytest.mark.parametrize("field", ["title", "subtitle", "notes", "headline"])
def test_labels_are_as_harmless_as_completions(plain, field):
    bad = LocalizedText("<script>alert(2)</script>\ud800", "\"'><script>alert(2)</script>")
    hostile = replace(
        plain,
        **{field: [bad] if field in ("notes", "headline") else bad},
        environment={"<b>": "</dd><script>"},
        recipe="</pre><script>",
        rebuild="</pre><script>",
    )
    text = page.render(hostile)
    text.encode("utf-8")
    assert Reader(text).tags.count("script") == 1 and not Reader(text).crossed


def test_a_name_of_an_arm_hides_nothing_in_any_place_of_the_page(plain):
    odd = "strong\u202ekaew\x1b[31m"
    text = page.render(replace(plain, arms=[replace(arm, label_en=odd, label_zh=odd) for arm in plain.arms]))
    assert not {"\u202e", "\x1b"} & set(text) and text.count("strong⟨U+202E⟩kaew⟨U+001B⟩[31m") > 3


def test_both_languages_stand_in_the_page_and_the_parameter_picks_the_first_shown(plain, html):
    chinese = page.render(plain, "zh")
    assert '<html lang="en">' in html and '<html lang="zh-CN">' in chinese
    for text in (html, chinese):
        assert "Case studies" in text and "案例对照" in text
    assert "<title>报告示例</title>" in chinese
    with pytest.raises(InputError, match="language"):
        page.render(plain, "fr")


def test_the_same_report_gives_the_same_bytes(full):
    small = replace(full, scores=[], comparisons=[], funnel=[], paper=False)
    assert page.render(small) == page.render(small)


def test_every_chart_has_its_table(html):
    reader = Reader(html)
    assert reader.tags.count("table") == 2 * 7, "averages, scores, comparisons, levels, budget, funnel, paper"
    assert reader.tags.count("figure") == 2 * 11, (
        "averages, radar, dots, forest, levels, funnel; paper: bars, two pairs"
    )


def test_what_is_missing_leaves_its_section_out_and_is_said(bare, html):
    text = page.render(bare)
    for name in ("levels", "cases", "funnel", "comparisons", "scores", "averages"):
        assert page.words.word(f"missing_{name}", "en") in text and page.words.word(f"missing_{name}", "zh") in text
        assert page.words.word(f"missing_{name}", "en") not in html
    assert Reader(text).tags.count("figure") == 0 and 'id="en-levels"' not in text and 'id="en-levels"' in html


def test_one_missing_part_takes_only_itself_away(full):
    text = page.render(
        replace(
            full,
            levels=[],
            averages=[],
            comparisons=[],
            benchmarks=full.benchmarks[:2],
            scores=[row for row in full.scores if row.benchmark in ("ledger", "steps")],
        )
    )
    assert page.words.word("missing_levels", "en") in text and page.words.word("missing_radar", "en") in text
    assert 'id="en-benchmarks"' in text and 'id="en-funnel"' in text


def test_the_paper_s_numbers_are_marked_as_the_paper_s_and_can_be_left_out(full, html):
    section = html[html.index('id="en-paper"') : html.index('id="en-appendix"')]
    assert "The paper&#39;s numbers, not ours" in section and "78.1" in section
    assert "not measured here" in section
    few = replace(full, scores=[], comparisons=[], levels=[], funnel=[], paper=False)
    assert 'id="en-paper"' not in page.render(few)


def test_a_page_that_cannot_be_made_leaves_the_old_one(plain, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(InputError):
        page.write(replace(plain, averages=[AverageRow("limo", "all", 3, 3, 3)]), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    page.write(plain, path, "zh")
    assert path.read_text(encoding="utf-8").startswith('<!DOCTYPE html>\n<html lang="zh-CN">')


def _shown(completion, full, check_words=(), steps=()):
    case = Case("p", "1", [CaseRollout("limo", completion, "wrong", steps=list(steps))])
    return cases.render_cases(replace(full, cases=[case], check_words=list(check_words)))[0].rollouts[0].text


def _text(pieces):
    return Markup("").join(piece.text for piece in pieces)


@pytest.mark.parametrize("n_lines", [1, 10, 14, 15, 19, 40, 400])
def test_folding_loses_no_character(full, n_lines):
    text = "\n".join(f"line {n} <b> & so on" for n in range(n_lines))
    shown = _shown(text, full)
    assert (_text(shown.head) + _text(shown.rest)).unescape() == text
    assert shown.n_rest == len(_text(shown.rest).unescape())
    assert bool(shown.rest) == (n_lines > 19) and shown.n_left_out == 0


def test_one_endless_line_folds_too(full):
    shown = _shown("x" * 5000, full)
    head, rest = _text(shown.head), _text(shown.rest)
    assert len(head) == cases.FOLD_CHARACTERS and head + rest == "x" * 5000


def test_what_a_megabyte_leaves_out_is_counted_and_its_end_is_kept(full, plain):
    text = "a" * 1_000_000 + "\\boxed{7}"
    shown = _shown(text, full)
    parts = [_text(part).striptags() for part in (shown.head, shown.rest, shown.tail)]
    assert sum(map(len, parts)) + shown.n_left_out == len(text)
    assert _text(shown.tail).endswith("<mark>\\boxed{7}</mark>")
    report = replace(plain, cases=[Case("p", "1", [CaseRollout("limo", text, "wrong")])])
    assert "960,009 characters in the middle are not on this page" in page.render(report)


def test_answers_are_marked_and_checking_words_underlined_only_where_whole(full):
    shown = _text(_shown("Check this <checkers> 检查一下 \\boxed{\\frac{1}{2}}", full, ["check", "检查"]).head)
    assert shown.count("<u>") == 2 and "<u>Check</u>" in shown and "&lt;checkers&gt;" in shown
    assert "<mark><math><mfrac><mn>1</mn><mn>2</mn></mfrac></math></mark>" in shown


def test_nothing_written_is_said_and_piles_of_accents_do_not_climb(plain):
    assert "(the model wrote nothing)" in page.render(
        replace(plain, cases=[Case("p", "1", [CaseRollout("limo", "", "no_answer")])])
    )
    piled = cases.escape_text("e" + "\u0301" * 50)
    assert piled.count("⟨U+0301⟩×46") == 1 and "⟨" not in cases.escape_text("tiếng Việt é ก็")


def test_the_terminal_shows_every_score_with_its_interval_in_both_languages(full):
    for language, word in (("en", "not separable"), ("zh", "无法区分")):
        text = tables.to_text(full, language, 140)
        assert "60.7 [56.8, 64.6]" in text and word in text and "\x1b" not in text
    assert "Bare" in tables.to_text(replace(full, title=LocalizedText("Bare")), "en")


@pytest.mark.parametrize(("language", "words"), [("en", "more words "), ("zh", "更多的字")])
def test_a_claim_in_the_terminal_begins_at_its_bullet_and_goes_on_under_itself(full, language, words):
    claims = [LocalizedText(words * 40 + end) for end in "ab"]
    lines = tables.to_text(replace(full, headline=claims), language, width=60).splitlines()
    marked = [number for number, line in enumerate(lines) if line.startswith("•")]
    assert len(marked) == 2 and all(lines[number].startswith("• " + words[:4]) for number in marked)
    assert re.match(r"  \S", lines[marked[0] + 1])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_terminal_shows_at_most_forty_lines_no_claim_twice_and_names_the_tables_it_leaves_out(full, language):
    claims = [LocalizedText(f"Claim {n}.", f"结论 {n}。") for n in range(12)]
    table = DataTable(LocalizedText("Long", "长表"), [LocalizedText("n")] * 2, [[LocalizedText("1")] * 2] * 60)
    sections = [Section("s", LocalizedText("S"), claims=claims, tables=[table])]
    lines = tables.to_text(replace(full, headline=claims[:4], sections=sections), language).splitlines()
    assert len(lines) <= tables.MAX_LINES and len(lines) == len({line for line in lines if line}) + lines.count("")
    assert lines[1] == f"• {claims[0].text(language)}" and sum(line.startswith("•") for line in lines) == 9
    assert ("Long" if language == "en" else "长表") in lines[-1]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([540.5, 558.0, 598.222], ["540.5", "558.0", "598.2"]),
        ([0.589219, 0.3975], ["0.5892", "0.3975"]),
        ([0.0, 1.0, 1200.0], ["0", "1", "1,200"]),
        ([2.4e11, 1e10], ["2.400e+11", "1.000e+10"]),
        ([0.0, 0.0], ["0", "0"]),
        ([1e-5, 2e-5], ["1.000e-05", "2.000e-05"]),
    ],
)
def test_the_numbers_of_a_chart_have_as_many_decimals_in_a_column(values, texts):
    own = SeriesRow("s", "s", list(range(len(values))), values)
    chart = ChartRow(LocalizedText("C"), "lines", [own], LocalizedText("x"), LocalizedText("y"))
    assert [row[1].text for row in tables.chart_table(chart, "en").rows] == texts


def test_words_stand_at_the_left_of_their_column_and_a_figure_apart_from_its_interval():
    rows = [["a", "yes", "36.2 [31.9, 40.5]", "—"], ["b", "", "9.3 [7.0, 11.7]", "−1.5"]]
    cells = [[LocalizedText(cell) for cell in row] for row in rows]
    table = tables.data_table(DataTable(LocalizedText("T"), [LocalizedText("h")] * 4, cells), "en")
    assert [table.is_words(k) for k in range(4)] == [True, True, False, False]
    assert [(row[2].text, row[2].interval) for row in table.rows] == [("36.2", "[31.9, 40.5]"), ("9.3", "[7.0, 11.7]")]


@pytest.mark.parametrize(("n", "columns"), [(1, [1, 1]), (4, [4, 2]), (5, [5, 3]), (6, [3, 3]), (10, [5, 3])])
def test_the_cards_of_the_headline_stand_in_rows_as_even_as_can_be(plain, n, columns):
    arms = [ArmRow(f"a{k}", f"A{k}") for k in range(n)]
    averages = [AverageRow(arm.name, "all", 0.5, 0.4, 0.6) for arm in arms]
    text = page.render(replace(plain, arms=arms, averages=averages, comparisons=[], scores=[], levels=[], cases=[]))
    assert f"--columns: {columns[0]}; --narrow: {columns[1]}" in text


def test_the_menus_of_the_grid_are_in_one_language_at_a_time(full):
    text = page.render(replace(full, cases=list(full.cases) * 3))
    assert "any 任意" not in text and 'data-en="any" data-zh="任意"' in text


def test_why_a_verdict_fell_is_said_in_both_languages_and_an_unknown_rule_by_its_name(plain):
    rollouts = [CaseRollout("limo", "x", "wrong", reason=reason) for reason in ("integers", "a rule of mine")]
    text = page.render(replace(plain, cases=[Case("p", "1", rollouts)]))
    assert "compared as integers" in text and "按整数比较" in text and "a rule of mine" in text


def test_the_terminal_shows_hostile_labels_as_text(full):
    text = tables.to_text(replace(full, title=LocalizedText("[bold]\x1b[31mred")), "en")
    assert "[bold]⟨U+001B⟩[31mred" in text


def test_bold_is_only_for_an_interval_above_all_others(full):
    rows = {row[0].text: row for row in tables.averages_table(full, "en").rows}
    assert [cell.bold for cell in rows["All"][1:]] == [False, False, True]
    near = replace(full, averages=[AverageRow("base", "all", 0.5, 0.4, 0.6), AverageRow("limo", "all", 0.7, 0.59, 0.8)])
    assert not any(cell.bold for row in tables.averages_table(near, "en").rows for cell in row)


def test_sizes_stand_in_columns_unless_all_are_alike(full):
    table = tables.scores_table(full, "en")
    assert "Problems" not in table.heads and "60 problems" in table.note
    mixed = replace(full, scores=[replace(full.scores[0], n_problems=30), *full.scores[1:]])
    table = tables.scores_table(mixed, "en")
    assert "Problems" in table.heads and table.rows[1][-3].text == "30–60"


def test_a_page_of_contamination_alone_shows_totals_and_both_texts_and_misses_nothing():
    hits = [HitRow("MATH500", "web", "same text", "drop", 1.0, "let us", "<b>let us</b> go\u202e", "Let us go")]
    report = Report(
        LocalizedText("Contamination", "数据污染"),
        paper=False,
        hits=hits,
        overlaps=[OverlapRow("MATH500", "web", "same text", "drop", 7)],
    )
    text = page.render(report, "zh")
    reader = Reader(text)
    assert not reader.open and not reader.crossed and reader.tags.count("article") == 1
    assert "&lt;b&gt;<u>let us</u>&lt;/b&gt; go" in text and "⟨U+202E⟩" in text and "文本相同" in text
    assert 'class="missing"' not in text and "MATH500 · web" in text
    assert "MATH500" in tables.to_text(report)
    with pytest.raises(InputError, match="below 0"):
        page.render(replace(report, overlaps=[OverlapRow("MATH500", "web", "same text", "drop", -1)]))


def test_formulas_are_typeset_money_is_not_and_hostile_ones_stay_text(full):
    shown = _text(_shown(r"So $x^2$ and \(y\), for $5 and $6. \[\begin{pmatrix}1&2\end{pmatrix}\]", full).head)
    assert shown.count("<math") == 3 and "for $5 and $6." in shown and "<mtable" in shown
    hostile = [r"$\href{javascript:alert(1)}{x}$", r"$\class{x\" onload=\"y}{z}$", "$x\u202ey$", r"$\frac{1}$"]
    for text in [*hostile, "$" + "{" * 3000 + "$", r"\def\a{\a\a}$\a$", "$\ud800$"]:
        shown = _text(_shown(text, full).head)
        assert "<math" not in shown and "<script" not in shown
    assert "&lt;script&gt;" in _text(_shown(r"$\text{<script>alert(1)</script>}$", full).head)


def test_steps_are_numbered_and_marked_and_the_fold_cuts_none(full):
    lines = [f"Step {n}: {n} + 1 = {n + 1}.\n" for n in range(80)]
    ends = [sum(map(len, lines[: n + 1])) for n in range(80)]
    steps = [(end, "check" if n == 3 else "turn" if n == 5 else "step") for n, end in enumerate(ends)]
    shown = _shown("".join(lines), full, steps=steps)
    assert [piece.number for piece in shown.head + shown.rest] == list(range(1, 81))
    assert (shown.head[3].kind, shown.head[5].kind, shown.head[4].kind) == ("check", "turn", "step")
    assert _text(shown.head + shown.rest) == "".join(lines).replace("\n", "")
    text = page.render(replace(full, scores=[], comparisons=[], levels=[], funnel=[], averages=[], cases=[
        Case("p", "1", [CaseRollout("limo", "".join(lines), "wrong", steps=steps)])]))  # fmt: skip
    assert '<li class="check" value="4">' in text and "step that checks" in text


def test_hidden_characters_beyond_a_bound_are_counted_and_not_spelled_out(full):
    alike, mixed = cases.escape_text("\u200b" * 200_000), cases.escape_text("\u200b\u202e" * 10_000)
    assert "⟨U+200B⟩×200,000" in alike and len(alike) < 200
    assert "⟨+19,800⟩" in mixed and len(mixed) < 30_000


def test_a_contamination_page_of_endless_texts_is_bounded_and_says_what_it_leaves_out(monkeypatch):
    monkeypatch.setattr(page, "MAX_OF_HITS", 20_000)
    long = "word " * 40_000
    hits = [HitRow("MATH500", "web", "same text", "drop", 1.0, long, long, long + str(n)) for n in range(60)]
    text = page.render(Report(LocalizedText("Contamination"), paper=False, hits=hits))
    assert len(text) < 400_000 and "10 more pairs are not on this page" in text
    assert text.count("in the middle are not on this page") == 3 * 50


def test_every_problem_is_a_row_of_the_grid_whose_cells_lead_to_the_texts(full):
    rollouts = [
        CaseRollout("limo", "a", "correct"),
        CaseRollout("limo", "b", "wrong"),
        CaseRollout("base", "c", "wrong"),
    ]
    report = replace(full, averages=[], scores=[], comparisons=[], levels=[], funnel=[], arms=full.arms[:3])
    text = page.render(replace(report, cases=[Case(f"problem {n}", "1", rollouts) for n in range(5)]))
    reader = Reader(text)
    links = [value[1:] for name, value in reader.attributes if name == "href" and value.startswith("#p")]
    assert len(links) == 10 and set(links) <= set(reader.ids)
    assert text.count('class="cell part"') == 5 and text.count(">1/2<") == 5 and 'data-right="0.5"' in text


def test_charts_and_tables_can_be_written_as_files(full, tmp_path):
    few = replace(full, scores=[], comparisons=[], levels=[], funnel=[], paper=False, cases=[])
    files = page.write_charts(few, tmp_path / "charts")
    assert {file.name for file in files} == {
        "averages-en-760.svg", "averages-en-760.png", "headline-1-en.csv", "budget-1-en.csv"
    }  # fmt: skip
    assert "var(--" not in (tmp_path / "charts/averages-en-760.svg").read_text()
    assert (tmp_path / "charts/averages-en-760.png").read_bytes()[:4] == b"\x89PNG"
    assert "All,28.2," in (tmp_path / "charts/headline-1-en.csv").read_text()


def test_charts_in_chinese_need_a_font_and_the_error_names_one(full, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "chinese_fonts", lambda: ())
    with pytest.raises(InputError, match="fonts-noto-cjk"):
        page.write_charts(full, tmp_path / "charts", "zh")
    assert not list(tmp_path.iterdir())


def test_a_score_opens_its_rollouts_in_the_browse_page_and_says_by_which_command():
    source = Provenance("runs/a", "runs/a/led ger.sqlite", "m-0", "p1", "s1", "maths/4")
    scores = [ScoreRow("a", "b", 0.5, 0.4, 0.6, provenance=[source, replace(source, model="m-1")])]
    report = Report(LocalizedText("T"), arms=[ArmRow("a", "A")], benchmarks=[BenchmarkRow("b", "B")], scores=scores)
    html = page.render(report)
    address = "http://127.0.0.1:8910/?model=m-0%2C+m-1&amp;prompt=p1&amp;sampling=s1"
    address += "&amp;verifier=maths%2F4&amp;run=runs%2Fa"
    assert f'<a href="{address}" title="limo view &#39;runs/a/led ger.sqlite&#39;" rel="noreferrer">50.0</a>' in html
    assert "limo view" not in page.render(replace(report, scores=[replace(scores[0], provenance=[])]))


def test_every_headline_arm_has_its_tile(full):
    arms = [replace(full.arms[0], name=f"arm{k}", headline=k != 6) for k in range(7)]
    averages = [AverageRow(arm.name, "all", 0.5, 0.4, 0.6) for arm in arms]
    text = page.render(Report(title=full.title, arms=arms, averages=averages))
    assert text.count('class="tile"') == 2 * 6
