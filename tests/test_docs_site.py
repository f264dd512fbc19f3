"""The docs as a site: every page has its place, and the pages link to what exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CHINESE = ("README.zh-CN.md", "docs/index.zh.md")
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
    links = set(re.findall(r"\]\(([^)\s]+)\)", prose)) - {"README.md", "README.zh-CN.md", "docs/index.zh.md"}
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
    links = re.findall(r"(?<!\[English)\]\(([\w/-]+\.md)\)(.{0,4})", text)
    assert len(links) > 5
    assert not [target for target, after in links if target != "docs/index.zh.md" and after != "（英文）"]


def banned_words():
    """The third column of the glossary."""
    rows = re.findall(r"^\|.*\|.*\|(.*)\|$", (ROOT / CHINESE[1]).read_text(encoding="utf-8"), re.MULTILINE)
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


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.zh.html").is_file()
