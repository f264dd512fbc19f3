"""Who is let in, what the pages hold, and that a model's text does nothing there."""

from __future__ import annotations

import re
import socket
from urllib.parse import quote

import pytest

from limo.core import language
from limo.core.errors import InputError
from limo.report.view import app
from limo.report.view.query import MAX_FILTER
from limo.report.words import verdict_reason
from view_cases import HOSTILE, PROBLEMS, TOKEN

testclient = pytest.importorskip("starlette.testclient")


def client(browser, **how):
    return testclient.TestClient(app.make_app(browser, TOKEN), base_url="http://127.0.0.1:8910", **how)


@pytest.fixture
def get(one_run):
    """Gets a page with the token in its cookie."""
    let_in = client(one_run)
    let_in.cookies.set("limo-view", TOKEN)
    return lambda path: let_in.get(path, follow_redirects=False)


def test_without_the_token_nothing_is_shown(one_run):
    for path in ("/", "/problem?id=x", "/view.css", "/?token=", "/?token=wrong", "/?token=%C3%BC", "/nothing"):
        reply = client(one_run).get(path, follow_redirects=False)
        assert (reply.status_code, "Ship" in reply.text) == (403, False), path


def test_the_token_becomes_a_cookie_and_leaves_the_address(one_run):
    reply = client(one_run).get(f"/?token={TOKEN}&q=ship", follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (303, "/?q=ship")
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert client(one_run).get(f"/?token={TOKEN}&q=ship").status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/%2f%2fevil.example"])
def test_the_token_sends_nobody_elsewhere(one_run, path):
    reply = client(one_run).get(f"http://127.0.0.1:8910{path}?token={TOKEN}", follow_redirects=False)
    assert not re.match(r"(https?:)?[/\\]{2}|.*evil.*:", reply.headers.get("location", "/"))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "evil.example:8910", "[::1]"])
def test_another_name_for_this_machine_is_refused(one_run, host):
    reply = client(one_run).get(f"/?token={TOKEN}", headers={"host": host}, follow_redirects=False)
    assert reply.status_code == 400


@pytest.mark.parametrize("path", ["/", "/view.css", "/nothing", "/?after=x", "/problem?id=unknown"])
def test_every_reply_forbids_what_the_pages_do_not_need(get, path):
    policy = get(path).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy and "unsafe" not in policy and "http" not in policy


@pytest.mark.parametrize(
    ("chosen", "stage", "level", "why"),
    [
        ("en", "decided at stage", "L1 to L5", "compared as integers"),
        ("zh", "决定去留的阶段", "L1 至 L5", "按整数比较"),
    ],
)
def test_what_became_of_a_problem_what_levels_are_and_why_a_verdict_fell_are_said(get, chosen, stage, level, why):
    page = get(f"/problem?id={PROBLEMS[0].id}&lang={chosen}").text
    assert f"<dt>{stage}</dt>" in page and level in get(f"/?lang={chosen}").text
    assert verdict_reason("integers").text(chosen) == why and "why(" in (app._TEMPLATES / "problem.html.j2").read_text()


def test_only_get_is_answered(one_run):
    let_in = client(one_run)
    let_in.cookies.set("limo-view", TOKEN)
    assert let_in.post("/").status_code == 405


def test_a_port_that_is_taken_is_one_line(one_run):
    with socket.socket() as taken:
        taken.bind((app.HOST, 0))
        taken.listen()
        with pytest.raises(InputError, match="--port; 0 takes one"):
            app.listen(taken.getsockname()[1])


def test_a_list_shows_problems_verdicts_and_a_link_to_each(get):
    page = get("/").text
    assert "Ship 0 carries" in page and "2/3" in page and "121 problems" in page
    assert page.count('<th scope="row">') == 50


def test_a_click_leads_to_two_texts_side_by_side(get):
    link = re.search(r'<th scope="row"><a href="([^"]+)"', get("/").text)[1].replace("&amp;", "&")
    page = get(link).text
    assert page.count("Let me check number 0 of") == 2
    assert "number 0 of weak" in page and "number 0 of strong" in page


def test_a_problem_opens_on_what_was_compared(get):
    page = get(f"/problem?id={PROBLEMS[2].id}&solved=1:strong&unsolved=1:weak").text
    left, right = (re.sub(r"<[^>]+>", "", section) for section in page.split("<section")[1:])
    assert "✓ correct" in left and "strong, rollout 0" in left
    assert "weak, rollout 0" in right


def test_two_runs_open_with_the_same_model_of_both(browser):
    let_in = client(browser)
    let_in.cookies.set("limo-view", TOKEN)
    page = let_in.get(f"/problem?id={PROBLEMS[70].id}&model=weak").text
    heads = [re.sub(r"<[^>]+>", "", head) for head in re.findall(r"<h2>(.*?)</h2>", page)]
    assert heads == ["1 weak, rollout 0", "2 weak, rollout 0"]


def test_hostile_text_is_shown_letter_by_letter(get):
    page = get(f"/problem?id={PROBLEMS[3].id}").text
    assert "<script" not in page and "<img" not in page and 'onerror="' not in page
    assert "⟨U+202E⟩" in page and "⟨U+200B⟩" in page and "\u202e" not in page
    assert "&lt;/script&gt;" in page and HOSTILE not in page
    assert "show all: 19" in page


def test_options_and_statements_are_escaped(get):
    assert "&lt;b&gt;1&lt;/b&gt;" in get(f"/problem?id={PROBLEMS[120].id}").text


@pytest.mark.parametrize(
    "name", ["q", "problem", "model", "verdict", "reason", "stage", "fate", "source", "run", "prompt"]
)
def test_what_stands_in_the_address_is_escaped(get, name):
    reply = get(f'/?{name}="><script>x</script>')
    assert reply.status_code == 200 and "<script" not in reply.text


@pytest.mark.parametrize("name", ["q", "problem", "source", "reason"])
def test_a_filter_that_is_too_long_is_one_line(get, name):
    assert get(f"/?{name}={'a' * MAX_FILTER}").status_code == 200
    for n in (MAX_FILTER + 1, 60_000):
        reply = get(f"/?{name}={'a' * n}")
        assert reply.status_code == 400 and f"the filter `{name}` has {n:,} characters" in reply.text
        assert reply.text.count("\n") == 1


@pytest.mark.parametrize(
    "path",
    ["/?after=x", "/?solved=9:x", "/problem", "/problem?id=x", "/problem?id={id}&left=1.999", "/problem?id={id}&left=x",
     "/problem?id={id}&left=0.1", "/problem?id={id}&right=9.1", "/problem?id={id}&left=1.99999999999999999999"],
)  # fmt: skip
def test_an_address_that_names_nothing_is_one_line(get, path):
    reply = get(path.format(id=PROBLEMS[0].id))
    assert reply.status_code == 400
    assert reply.text.count("\n") == 1 and "<" not in reply.text


def test_a_figure_of_another_run_or_verifier_is_noted(get):
    page = get("/?run=runs/other_1&verifier=maths/1").text
    assert "of a run that is not open here: runs/other_1" in page and "verified again since" in page


def test_a_chosen_value_that_is_no_longer_there_stays_chosen(get):
    assert '<option value="gone" selected>' in get("/?verdict=gone").text


def test_hidden_characters_of_a_menu_are_marks_and_chosen_by_them(get):
    page = get("/").text
    mark = "turned ⟨U+202E⟩set⟨U+0000⟩"
    assert f'<option value="{mark}">' in page and "\u202e" not in page and "\x00" not in page
    chosen = get(f"/?source={quote(mark)}&q=勾股").text
    assert f'<option value="{mark}" selected>' in chosen and "no problem meets" not in chosen and "\u202e" not in chosen
    assert "source=turned+%E2%80%AE" in chosen


@pytest.mark.parametrize("name", ["q", "problem", "model", "solved", "run", "prompt", "after"])
def test_hidden_characters_of_an_address_are_marks(get, name):
    reply = get(f"/?{name}=a%E2%80%AEb%00%1b⟨U%2BD800⟩")
    assert not re.search("[\u202e\x00\x1b]", reply.text)


ENGLISH = re.compile(r"[A-Za-z]{3,}")
DATA = r"limo view|English|[0-9a-f]{16}|turned .*|set\d|strong|weak|boxed|last line|\w+-a\b|stop|maths/\d.*|/\S*/a\b"


@pytest.mark.parametrize(
    "path", ["/", "/?q=nowhere&prompt=prompt-a&run=/x/a&verifier=maths/1", "/problem?id={id}&left=1.1"]
)
def test_nothing_but_data_is_english_in_chinese(get, path):
    page = get(path.format(id=PROBLEMS[0].id) + "&lang=zh" if "?" in path else "/?lang=zh").text
    assert '<html lang="zh-CN">' in page and "English</a>" in page
    texts = re.sub(r"<pre.*?</pre>|<[^>]+>", "\n", page).split("\n")
    texts += re.findall(r'(?:aria-label|placeholder)="([^"]*)"', page)
    assert [text for text in texts if ENGLISH.search(re.sub(DATA, "", text)) and "Ship" not in text] == []


def test_the_language_stays_in_every_address_and_can_be_changed_back(get):
    page = get("/?verdict=wrong&lang=zh").text
    addresses = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', page)]
    assert {address for address in addresses if "lang=" not in address} == {"data:,", "/view.css"}
    assert "?verdict=wrong&lang=en" in addresses
    assert '<input type="hidden" name="lang" value="zh">' in page


def test_pages_are_in_the_language_of_the_command_until_the_address_names_one(get, monkeypatch):
    monkeypatch.setattr(language, "_chosen", "zh")
    assert "搜索回答" in get("/").text and "没有这个页面" in get("/nothing").text
    assert "请回到列表" in get("/?after=x").text
    assert "search completions" in get("/?lang=en").text and "go back to the list" in get("/?after=x&lang=en").text
    assert "搜索回答" in get("/?lang=none").text


def test_every_field_has_a_label(get):
    page = get("/").text
    for field in re.finditer(r"<(?:select|input)(?![^>]*hidden)", page):
        before = page[: field.start()]
        assert before.rfind("<label") > before.rfind("</label>")
