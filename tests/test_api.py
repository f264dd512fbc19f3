"""The Python API: its page is run, its names are all there, and importing it costs nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import limo

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"


def python(code, folder):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)


def test_the_example_of_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 4
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "api"})
    assert "every-second is 50.0 points above never" in capsys.readouterr().out


@pytest.mark.parametrize("name", limo.__all__)
def test_every_name_is_there_documented_and_on_the_page(name):
    value = getattr(limo, name)
    doc = value.__doc__ or ""
    assert doc and not doc.startswith(f"{value.__name__}("), "no docstring of its own"  # dataclasses make one up
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_the_names_and_their_homes_are_the_same_list():
    assert sorted(limo._addresses()) == sorted(limo.__all__)


def test_no_name_hides_a_room():
    """`limo.train` is a room; a function of that name would vanish as soon as somebody imported the room."""
    package = Path(limo.__file__).parent
    assert [name for name in limo.__all__ if (package / f"{name}.py").exists() or (package / name).is_dir()] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'traim'"):
        limo.traim  # noqa: B018


def test_before_signals_are_handled_nothing_is_imported_but_the_entry_point(tmp_path):
    code = "import sys; before = {*sys.modules}; import limo.__main__; print(sorted({*sys.modules} - before))"
    done = python(code, tmp_path)
    assert done.stdout.strip() == "['__future__', 'limo', 'limo.__main__']", done.stderr
