"""The docs as a site: every page has its place, and the pages link to what exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = "docs/index.zh.md"
CHINESE = ("README.zh-CN.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.zh.md")))
PAIRS = [page for page in CHINESE if page not in ("README.zh-CN.md", GLOSSARY)]  # those that follow their English page
PAGES = sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def listed(entries):
    for entry in entries:
        for value in entry.values():
            yield from listed(value) if isinstance(value, list) else [value]


def test_every_page_of_the_docs_stands_in_the_navigation_once():
    assert PAGES, "no page was found"
    assert sorted(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])) == PAGES


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", *(f"docs/{name}" for name in PAGES)]
)
def test_links_inside_the_project_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("#"):
            assert ((ROOT / page).parent / target.partition("#")[0]).exists(), f"{page} links to {target}"


def shared_parts(readme):
    """What does not depend on the language: links, commands, names in code style, the figures of tables."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    blocks, prose = re.findall(r"```sh\n(.*?)```", text, re.DOTALL), re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    links = {link.replace(".zh.md", ".md") for link in re.findall(r"\]\(([^)\s]+)\)", prose)}
    links -= {"README.md", "README.zh-CN.md", "docs/index.md"}
    commands = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return links, commands, set(re.findall(r"`([^`\n]+)`", prose))


def test_the_readmes_of_both_languages_say_the_same():
    english, chinese = shared_parts("README.md"), shared_parts("README.zh-CN.md")
    assert english[0] == chinese[0]
    assert english[1] == chinese[1] and len(english[1]) > 8
    assert english[2] == chinese[2] and len(english[2]) > 20
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 200


@pytest.mark.parametrize("page", CHINESE)
def test_a_link_from_a_chinese_page_to_an_english_one_says_so(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"(?<!\[English)\]\(([\w/.-]+\.md)\)(.{0,4})", text)
    assert links
    assert not [target for target, after in links if (after == "（英文）") == target.endswith(".zh.md")]


def banned_words():
    """The third column of the glossary."""
    rows = re.findall(r"^\|.*\|.*\|(.*)\|$", (ROOT / GLOSSARY).read_text(encoding="utf-8"), re.MULTILINE)
    glossary = rows[[row.strip() for row in rows].index("不用") + 2 :]
    return [word for row in glossary for word in row.strip().split("、") if word]


def test_chinese_texts_use_one_word_for_a_thing():
    banned, package = banned_words(), ROOT / "src" / "limo"
    assert {"作答", "不可区分", "样本"} <= set(banned)
    texts = {page: (ROOT / page).read_text(encoding="utf-8").partition("## 术语")[0] for page in CHINESE}
    files = [*package.glob("core/language.*.yaml"), *package.glob("report/**/*.yaml"), *package.glob("report/**/*.j2")]
    files += [*package.glob("stages/reports/*.yaml"), *package.glob("experiments/**/*.yaml")]
    files += [*package.glob("experiments/*.py"), *package.glob("cli/*.py"), ROOT / "docs" / "results.py"]
    texts |= {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}
    assert len(texts) > 20
    assert not [(name, word) for name, text in texts.items() for word in banned if word in text]


@pytest.mark.parametrize("page", PAIRS)
def test_a_chinese_page_follows_its_english_one(page):
    """The same headings, code, tables, links and names in code style; `<!-- run -->` blocks to the letter."""
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in (page.replace(".zh.md", ".md"), page))
    assert shared_parts(page.replace(".zh.md", ".md")) == shared_parts(page)
    for shape in (r"^#+ ", r"^\|", r"^```\w*$", r"<!-- run -->\n```.*?```"):
        of_each = [re.findall(shape, text, re.MULTILINE | re.DOTALL) for text in (english, chinese)]
        assert of_each[0] == of_each[1], shape


def test_the_first_pages_are_in_chinese_too():
    assert {"docs/start.zh.md", "docs/tutorial.zh.md", "docs/view.zh.md"} <= set(PAIRS)


def chinese_texts():
    """Name -> every Chinese text that a reader meets, without code and names in code style: pages, pack, reports."""
    for page in CHINESE:
        text = (ROOT / page).read_text(encoding="utf-8").partition("## 术语")[0]
        text = re.sub(r"```.*?```|^    .*$|<!--.*?-->|`[^`\n]+`", "", text, flags=re.DOTALL | re.MULTILINE)
        yield from ((page, line) for line in text.splitlines() if HAN.search(line))
    package = ROOT / "src" / "limo"
    files = [package / "core" / "language.zh.yaml", *package.glob("report/words.yaml")]
    files += [*package.glob("stages/reports/*.yaml"), *package.glob("experiments/**/*.yaml")]
    for file in files:
        for text in leaves(yaml.safe_load(file.read_text(encoding="utf-8"))):
            if HAN.search(text):
                yield file.name, re.sub(r"`[^`\n]+`|\{[^}]*\}", "", text)


def leaves(value):
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    elif isinstance(value, str):
        yield value


HAN = re.compile("[\u4e00-\u9fff]")
# What no Chinese text holds, and what stands there instead.
FAULTS = {
    "推理链, not 链 alone": r"(?<!推理)链(?!接)",
    "词元, not token": r"(?i)(?<![\w./-])tokens?(?![\w./=-])",
    "section.key, as it is typed": r"节\.键",
    "a minus sign": r"(?<=[ (（\[|至])-\d",
    "“quotes”": r"\"(?!短语)[^\"]*[\u4e00-\u9fff ][^\"]*\"",
}


def test_chinese_texts_name_and_write_a_thing_one_way():
    texts = list(chinese_texts())
    assert len(texts) > 1500 and {"README.zh-CN.md", "docs/start.zh.md", "words.yaml"} <= {name for name, _ in texts}
    tried = ((name, text, fault, shape) for name, text in texts for fault, shape in FAULTS.items())
    found = [f"{name}: {fault}: {text}" for name, text, fault, shape in tried if re.search(shape, text)]
    assert not found, "\n".join(found)
    wrong = ("更好的链", "每 token 一次", "节.键=值", "差 -2.5", '"少即是多"')
    assert all(re.search(shape, text) for text, shape in zip(wrong, FAULTS.values(), strict=True))


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", *(f"docs/{name}" for name in PAGES)])
def test_negative_numbers_have_a_true_minus_sign(page):
    """In prose and tables; code and what is typed keep the hyphen."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"```.*?```|^    .*$|`[^`\n]+`|kill -9", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r".*[ (（\[|]-\d.*", text)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.zh.html").is_file()
