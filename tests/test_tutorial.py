"""The page "your own pool" is run as it stands: every block that is marked, in order, in an empty folder."""

import os
import re
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
RUN = re.compile(r"<!-- run -->\n```(python|sh)\n(.*?)```", re.DOTALL)


def blocks():
    return RUN.findall(PAGE.read_text(encoding="utf-8"))


def test_every_block_of_the_tutorial_is_marked_and_python_is_python():
    assert len(blocks()) == PAGE.read_text(encoding="utf-8").count("```") // 2 >= 8
    for kind, code in blocks():
        assert kind == "sh" or compile(code, str(PAGE), "exec")


@pytest.mark.slow
def test_the_tutorial_runs_from_a_file_to_a_report(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("starlette")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)}
    common = {"cwd": tmp_path, "env": environment, "text": True, "stdout": subprocess.PIPE}
    said = []
    with ExitStack() as servers:
        for kind, code in blocks():
            if code.rstrip().endswith("&"):
                words = ["bash", "-c", "exec " + code.rstrip().removesuffix("&")]
                server = servers.enter_context(subprocess.Popen(words, **common))
                servers.callback(server.terminate)
                said.append(server.stdout.readline())
            else:
                words = [sys.executable, "-c", code] if kind == "python" else ["bash", "-e", "-c", code]
                done = subprocess.run(words, **common, stderr=subprocess.PIPE, check=False)
                assert done.returncode == 0, f"{code}\n{done.stderr[-3000:]}"
                said.append(done.stdout)
        view = next(line.split()[0] for line in said if "token=" in line)
        with_cookies = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        page = with_cookies.open(view).read().decode()
        assert "small-1B" in page and "large-7B" in page
    text = "\n".join(said)
    assert "columns: problem=stem, answer=key" in text and "25 are held out" in text
    assert "done" in text and "base" in text and "trained" in text
    for name in ("curation.html", "comparison.html"):
        assert (tmp_path / name).read_text(encoding="utf-8").count("<svg") > 0
