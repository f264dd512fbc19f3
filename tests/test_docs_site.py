"""The docs as a site: every page has its place, and the pages link to what exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
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
    links = set(re.findall(r"\]\(([^)\s]+)\)", prose)) - {"README.md", "README.zh-CN.md"}
    commands = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return links, commands, set(re.findall(r"`([^`\n]+)`", prose))


def test_the_readmes_of_both_languages_say_the_same():
    english, chinese = shared_parts("README.md"), shared_parts("README.zh-CN.md")
    assert english[0] == chinese[0]
    assert english[1] == chinese[1] and len(english[1]) > 8
    assert english[2] == chinese[2] and len(english[2]) > 20
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 200


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.zh.html").is_file()
