"""The page in a browser: Debian's Chromium driven by Playwright.  Skipped where one of them is absent."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from limo.report import page
from limo.report.content import Case, CaseRollout, HitRow, LocalizedText, OverlapRow, Prediction, Section
from limo.stages.reports.cases import cut_completion

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (dependency group dev)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM:
    pytest.skip("there is no chromium on this machine (apt-get install chromium)", allow_module_level=True)

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
HOSTILE = (
    '</script><!--<script>window.pwned=1</script><img src=x onerror="window.pwned=2">'
    "[a](javascript:window.pwned=3) $\\href{javascript:window.pwned=4}{x}$ \u202egnp.exe\u2066 </div></details></li>"
    "<style>*{display:none}</style><iframe src=http://127.0.0.1:9/></iframe>\ud800\x00 {{7*7}} "
)


@pytest.fixture(scope="module")
def file(full, tmp_path_factory):
    """A page with a grid, a question with predictions, contamination pairs, and hostile texts at every place."""
    arms = ("base", "bulk", "limo")
    long = HOSTILE + "\u200b\u202e" * 100_000 + "word " * 20_000
    cases = [
        Case(
            f"{HOSTILE if n == 3 else ''}What is ${n} + {n}^2$?",
            str(n + n * n),
            [
                CaseRollout(arm, text := f"First {n}.\nLet me check: {n}.\n" + (long if n < 2 else ""), outcome,
                            HOSTILE, HOSTILE, steps=cut_completion(text))
                for arm, outcome in zip(arms, ("wrong", "truncated", "correct" if n % 2 else "wrong"), strict=True)
            ],
            "baskets",
            remark_en=HOSTILE if n == 0 else "",
        )
        for n in range(9)
    ]  # fmt: skip
    question = Section("rq1", LocalizedText("Does it?"), claims=[LocalizedText(HOSTILE)], kind="question",
                       predictions=[Prediction(LocalizedText("It does."), "held")])  # fmt: skip
    report = replace(
        full,
        cases=cases,
        sections=[question],
        hits=[HitRow("MATH500", HOSTILE, "same text", "drop", 1.0, "word word", long, long)],
        overlaps=[OverlapRow("MATH500", "web", "same text", "drop", 1)],
    )
    path = tmp_path_factory.mktemp("browser") / "report.html"
    page.write(report, path)
    assert path.stat().st_size < 5_000_000
    return path


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Opened:
    """A tab with the page, what it complained of and what it requested."""

    def __init__(self, chromium, file, width=1440, **how):
        self.complaints, self.requests = [], []
        self.tab = chromium.new_context(viewport={"width": width, "height": 900}, **how).new_page()
        self.tab.set_default_timeout(300_000)  # ms: a page of 5 MB on a machine with other work
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(file.as_uri())


@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_without_complaint_or_request_fits_the_screen_and_nothing_hostile_runs(chromium, file, width):
    opened = Opened(chromium, file, width)
    for button in ("中文", "English"):
        opened.tab.get_by_role("button", name=button).click()
        assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    for details in opened.tab.locator("details").all()[:40]:
        details.evaluate("node => node.open = true")
    assert opened.tab.evaluate("window.pwned") is None
    assert opened.tab.evaluate("document.querySelectorAll('iframe, img, object, a[href^=javascript]').length") == 0
    assert opened.complaints == [] and opened.requests == [file.as_uri()]


def test_both_languages_and_both_themes_show(chromium, file):
    opened = Opened(chromium, file, color_scheme="dark")
    assert opened.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    assert opened.tab.locator("h2:visible").first.inner_text() == "Average scores"
    opened.tab.get_by_role("button", name="中文").click()
    assert opened.tab.locator("h2:visible").first.inner_text() == "平均得分"
    assert opened.tab.title() == "报告示例" and opened.tab.evaluate("document.documentElement.lang") == "zh-CN"
    light = Opened(chromium, file)
    assert light.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 252, 250)"


def test_tables_sort_by_a_click_and_by_the_keyboard_within_their_groups(chromium, file):
    tab = Opened(chromium, file).tab
    table = tab.locator("#en-benchmarks table.data").first
    head = table.locator("thead th").nth(3)

    def column():
        return [
            float(t.split("\n")[0]) for t in table.locator("tbody tr:not(.group) td:nth-child(4)").all_inner_texts()
        ]

    before = column()
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column() == [*sorted(before[:3], reverse=True), *sorted(before[3:], reverse=True)]
    head.locator("button").focus()
    tab.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending" and column() == [*sorted(before[:3]), *sorted(before[3:])]


def test_the_grid_filters_and_a_cell_opens_its_text_by_the_keyboard_alone(chromium, file):
    tab = Opened(chromium, file).tab
    right, wrong = tab.locator("select[data-filter]").all()
    right.focus()
    tab.keyboard.press("End")  # the last arm: limo
    wrong.select_option("1")
    assert tab.locator(".cells tbody tr:visible").count() == 4
    assert tab.locator("[data-count]").inner_text() == "4"
    box = tab.locator("#grid .scroll").bounding_box()
    assert box and box["height"] <= 0.8 * tab.evaluate("innerHeight") + 1
    cell = tab.locator(".cells tbody tr:visible a.cell").last
    target = cell.get_attribute("href")
    assert not tab.locator(target).is_visible()
    cell.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("name => document.querySelector(name).closest('details').open", arg=target)
    assert tab.locator(target).is_visible()


def test_long_texts_fold_and_open(chromium, file):
    tab = Opened(chromium, file).tab
    fold = tab.locator("#evidence details").first
    body = fold.locator(".chain").first
    assert not body.is_visible()
    fold.locator("summary").focus()
    tab.keyboard.press("Enter")
    assert body.is_visible() and "are not on this page" in fold.inner_text()


def test_without_script_the_page_is_whole_and_has_no_dead_control(chromium, file):
    tab = Opened(chromium, file, java_script_enabled=False).tab
    assert tab.locator("h2:visible").count() > 8 and not tab.locator(".filters").is_visible()
    assert tab.locator(".cells a.cell").count() == 27 and tab.locator("th button").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(chromium, file, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    opened = Opened(chromium, file, color_scheme=scheme)
    found = axe.Axe().run(opened.tab).response["violations"]
    worst = [one for one in found if one["impact"] in ("serious", "critical")]
    serious = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in worst]
    assert serious == []
