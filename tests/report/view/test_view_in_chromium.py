"""The pages of `limo view` in a real browser: no errors, no other origin, keyboard alone, hostile text inert."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from view_cases import PROBLEMS, TOKEN, served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def chromium():
    how = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
    with sync_api.sync_playwright() as playwright, closing(playwright.chromium.launch(**how)) as chromium:
        yield chromium


@pytest.fixture
def wrong():
    """What the browser complained of, and what it requested from elsewhere."""
    return []


@pytest.fixture
def page(chromium, browser, wrong):
    """A page of the two runs, let in; at the end nothing was complained of and nothing else was requested."""
    with served(browser) as base, closing(chromium.new_context(base_url=base)) as context:
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        context.on("request", lambda request: None if request.url.startswith(base + "/") else wrong.append(request.url))
        page.goto(f"/?token={TOKEN}")
        yield page
        assert [text for text in wrong if not text.startswith("data:,")] == []


def rows(page):
    return page.locator("tbody tr").count()


def test_the_token_leaves_the_address_and_the_list_is_there(page):
    assert TOKEN not in page.url
    assert rows(page) == 50
    assert "122 problems" in page.inner_text(".count")


def test_filters_by_keyboard_alone_give_an_address_that_can_be_kept(page):
    assert page.evaluate("document.activeElement.name") == "q"  # the search has the focus
    page.keyboard.type('"let me check" 17')
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=*")
    kept = page.url
    n = rows(page)
    assert 0 < n < 50
    page.goto("/")
    page.goto(kept)
    assert (rows(page), page.input_value("[name=q]")) == (n, '"let me check" 17')


def test_menus_filter_what_one_model_solves_and_another_does_not(page):
    page.select_option("[name=solved]", "1:strong")
    page.select_option("[name=unsolved]", "1:weak")
    page.click("button")
    page.wait_for_url("**/?*unsolved=1%3Aweak*")
    assert 0 < rows(page) <= 50
    page.locator("tbody th a").first.press("Enter")
    page.wait_for_url("**/problem?*")
    left, right = page.locator("section").all_inner_texts()
    assert "✓ correct" in left and "✓ correct" not in right


def test_pages_follow_each_other_until_the_last(page):
    seen = rows(page)
    while page.locator("a[rel=next]").count():
        page.locator("a[rel=next]").press("Enter")
        page.wait_for_load_state()
        seen += rows(page)
    assert seen == 122


def test_another_rollout_is_a_key_press_away_and_the_other_side_stays(page):
    page.goto(f"/problem?id={PROBLEMS[70].id}")
    before = page.locator("section").nth(0).locator("h2").inner_text()
    page.locator("section").nth(1).locator(".choices a").last.press("Enter")
    page.wait_for_url("**right=*")
    assert page.locator("section").nth(0).locator("h2").inner_text() == before
    assert "weak, rollout 0" in page.locator("section").nth(1).locator("h2").inner_text()


def test_a_hostile_chain_does_nothing_and_is_shown(page):
    page.goto(f"/problem?id={PROBLEMS[3].id}&q=pwned")
    assert "pwned" not in page.title()
    assert page.locator("pre a, pre img, pre script").count() == 0
    assert "<script>document.title" in page.locator("pre.model").all_inner_texts()[1]
    page.locator("details:has(pre) > summary").first.press("Enter")
    assert page.locator("details[open] pre").inner_text().endswith("xxx")


def test_a_script_that_got_through_would_not_run(page, wrong):
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=data:,x onerror=\"window.ran = 1\">')")
    page.wait_for_timeout(50)
    assert page.evaluate("window.ran") is None
    assert "Content Security Policy" in wrong.pop()


def test_a_phone_shows_texts_below_each_other_without_sideways_scrolling(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"/problem?id={PROBLEMS[3].id}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first, second = (section.bounding_box() for section in page.locator("section").all())
    assert second["y"] >= first["y"] + first["height"]


@pytest.mark.parametrize(("lang", "theme"), [("en", "light"), ("zh", "dark")])
def test_a_phone_folds_the_filters_and_shows_the_table_at_once(page, lang, theme):
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=theme)
    page.goto(f"/?verdict=wrong&lang={lang}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("tbody tr").first.bounding_box()["y"] < 844 / 2
    assert not page.locator("[name=verdict]").is_visible()
    page.locator("form summary").press("Enter")
    assert page.input_value("[name=verdict]") == "wrong" and page.locator("[name=verdict]").is_visible()
    page.select_option("[name=source]", "turned ⟨U+202E⟩set⟨U+0000⟩")
    page.locator("form button").press("Enter")
    page.wait_for_url("**source=*")
    assert rows(page) == 1 and page.evaluate("document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[lang]


def test_a_wide_screen_shows_every_filter(page):
    page.set_viewport_size({"width": 1440, "height": 900})
    page.reload()
    fields = page.locator("form select, form input:not([type=hidden])").all()
    assert len(fields) == 11 and all(field.is_visible() for field in fields)
    assert not page.locator("form summary").is_visible()


def test_the_switch_of_languages_is_a_link_that_keeps_the_page(page):
    page.goto(f"/problem?id={PROBLEMS[70].id}")
    page.locator(".switch").press("Enter")
    page.wait_for_url(f"**/problem?id={PROBLEMS[70].id}&lang=zh")
    assert "回到列表" in page.inner_text("nav")
    page.locator("nav a").first.press("Enter")
    page.wait_for_url("**/?lang=zh")
    assert "搜索回答" in page.inner_text("form")


@pytest.mark.parametrize(("scheme", "lang"), [("light", "zh"), ("dark", "en")])
def test_axe_finds_no_serious_violation(page, scheme, lang):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.emulate_media(color_scheme=scheme)
    for path in (f"/?verdict=wrong&lang={lang}", f"/problem?id={PROBLEMS[3].id}&lang={lang}"):
        page.goto(path)
        found = axe.Axe().run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
