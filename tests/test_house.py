"""The rules of the house that no tool of others holds: sizes, words, light imports, and a file tree that is true."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "src" / "limo" / "recipes"
MODULES = sorted((ROOT / "src" / "limo").rglob("*.py"))
HEAVY = {"torch", "transformers", "trl", "datasets", "matplotlib", "accelerate", "peft", "scipy", "pandas", "sklearn"}
NOT_OUR_WORDS = {"utils", "common", "helpers", "manager", "misc"}
# The decoding loop is torch from end to end; nothing imports it but functions (checked below).
TORCH_ITSELF = ("src/limo/models/local/decode.py", "src/limo/models/local/kv_cache.py")
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def long_functions(tree: ast.AST, most: int = MOST_LINES_OF_A_FUNCTION) -> list[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"{one.name}: {n}" for one in functions if (n := (one.end_lineno or 0) - one.lineno + 1) > most]


def imports(nodes: list[ast.AST]) -> set[str]:
    """Modules that these statements import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if is_room(node) else {node.module or "."}
    return found


def is_room(node: ast.ImportFrom) -> bool:
    """Whether `from limo import x` names modules, not names that the package offers to the outside."""
    package = ROOT / "src" / "limo"
    return node.module == "limo" and all(
        (package / f"{alias.name}.py").exists() or (package / alias.name).is_dir() for alias in node.names
    )


def at_import(node: ast.AST) -> list[ast.AST]:
    """Statements that run when the module is imported, `if TYPE_CHECKING` left out."""
    inner: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        inner += [child, *at_import(child)]
    return inner


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions and classes of a module without a docstring."""
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [node.name for node in public if not node.name.startswith("_") and not ast.get_docstring(node)]


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def test_there_is_a_house():
    assert len(MODULES) > 50


def test_no_file_and_no_function_is_too_long(trees):
    lines = {name(path): path.read_text(encoding="utf-8").count("\n") for path in trees}
    assert {path: n for path, n in lines.items() if n > MOST_LINES} == {}
    assert {name(path): long for path, tree in trees.items() if (long := long_functions(tree))} == {}


def test_what_is_heavy_is_imported_where_it_is_used(trees):
    found = {name(path): imports(at_import(tree)) for path, tree in trees.items()}
    assert [path for path, names in found.items() if "limo.models.local.decode" in names] == []
    others = {path: names for path, names in found.items() if path not in TORCH_ITSELF}
    assert [path for path, names in others.items() if "limo.models.local.kv_cache" in names] == []
    heavy = {path: {one.split(".")[0] for one in names} & HEAVY for path, names in others.items()}
    assert {path: names for path, names in heavy.items() if names} == {}


def test_nothing_inside_imports_the_package_itself(trees):
    assert [name(path) for path, tree in trees.items() if "limo" in imports(list(ast.walk(tree)))] == []


def test_every_module_and_every_public_name_says_what_it_is(trees):
    assert [name(path) for path, tree in trees.items() if not ast.get_docstring(tree)] == []
    assert {name(path): names for path, tree in trees.items() if (names := undocumented(tree))} == {}


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Module -> the modules that it imports, lazily too, or names in a string (which a child process may import)."""
    edges: dict[str, set[str]] = {}
    for name_, source in sources.items():
        edges[name_] = set()
        for node in ast.walk(ast.parse(source)):
            named: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = re.findall(r"\blimo(?:\.[a-z_]+)+", node.value) if len(node.value) < 200 else []
            edges[name_] |= {one for one in named if one in sources and one != name_}
    return edges


def sources() -> dict[str, str]:
    """Every module but the public API, by dotted name."""
    package = ROOT / "src"
    dotted = {path: str(path.relative_to(package).with_suffix("")).replace("/", ".") for path in MODULES}
    return {name_: path.read_text(encoding="utf-8") for path, name_ in dotted.items() if "__" not in name_}


def test_no_module_imports_itself_over_others_not_even_by_a_name_in_a_string():
    edges = graph(sources())
    assert len(edges) > 100
    list(TopologicalSorter(edges).static_order())


def test_names_of_modules_in_strings_point_downward():
    floors = {"cli": 6, "experiments": 5, "stages": 4, "rollouts": 3, "train": 3, "core": 1}
    edges = graph(sources())
    room = lambda name_: name_.split(".")[1]  # noqa: E731
    upward = [
        (a, b)
        for a, others in edges.items()
        for b in others
        if room(a) != room(b) and floors.get(room(b), 2) >= floors.get(room(a), 2)
    ]
    assert upward == []


def test_a_circle_over_a_string_is_found():
    circle = {"limo.a": "import limo.b", "limo.b": "CHILD = 'from limo.a import serve'"}
    assert graph(circle) == {"limo.a": {"limo.b"}, "limo.b": {"limo.a"}}
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph(circle)).static_order())


def test_files_bear_the_words_of_the_project():
    assert [name(path) for path in MODULES if path.stem in NOT_OUR_WORDS] == []


def test_nothing_is_left_to_do():
    left = re.compile(r"\b(TODO|FIXME|XXX|NotImplemented\b(?!Error))")
    assert [name(path) for path in MODULES if left.search(path.read_text(encoding="utf-8"))] == []


def test_every_folder_of_modules_is_a_package():
    assert [name(path.parent) for path in MODULES if not (path.parent / "__init__.py").exists()] == []


def test_these_checks_can_fail():
    code = "import torch\nfrom limo import x\ndef f():\n" + "    pass\n" * 70
    tree = ast.parse(code)
    assert long_functions(tree) == ["f: 71"]
    assert imports(at_import(tree)) == {"torch", "limo"}
    assert undocumented(tree) == ["f"]
    assert imports(at_import(ast.parse("if TYPE_CHECKING:\n    import torch\ndef f():\n    import trl"))) == set()


def test_test_files_have_names_of_their_own():
    """pytest imports them by bare name, so two of one name would hide each other."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def build(name="build"):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    room = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(room)
    return room


def test_the_file_tree_and_the_command_pages_are_what_the_code_says():
    assert build().stale() == [], "run `make docs`"


def test_the_figures_of_the_readmes_are_those_that_were_stored(tmp_path):
    room = build("results")
    assert room.stale() == [], "run `make docs`"
    shutil.copytree(room.RESULTS, tmp_path / "results")
    short = tmp_path / "results" / "pocket.json"
    other = short.read_text(encoding="utf-8").replace('"n_updates": 120', '"n_updates": 121')
    short.write_text(other, encoding="utf-8")
    room.RESULTS = tmp_path / "results"
    assert room.stale() == ["README.md", "README.zh-CN.md"]


def test_the_stored_runs_agree_on_the_arms_and_seeds_that_they_share():
    room = build("results")
    short, whole = room.load("pocket"), room.load("pocket-all")
    shared = [(arm, seed) for arm, rows in short["outcomes"].items() for seed in rows if seed in whole["outcomes"][arm]]
    assert len(shared) > 40
    assert [key for key in shared if short["outcomes"][key[0]][key[1]] != whole["outcomes"][key[0]][key[1]]] == []


def test_the_tree_has_one_line_for_each_file_and_none_without():
    room = build()
    lines = room.tree().splitlines()[1:-1]
    files = [file for file in room.tracked("src/limo") if not file.startswith(tuple(room.DATA))]
    data = {folder for folder in room.DATA for file in room.tracked("src/limo") if file.startswith(folder)}
    folders = {folder for file in files for folder in Path(file).parents[:-2]}
    bare = {folder for folder in folders if f"{folder}/__init__.py" not in files}
    assert len(lines) == len(files) + len(data) + len(bare - {Path(folder) for folder in data})
    for file in files:
        last = Path(file).parent.name + "/" if file.endswith("__init__.py") else Path(file).name
        assert any(line.split()[0] == last for line in lines), file


def test_a_file_that_says_nothing_of_itself_is_refused(tmp_path, monkeypatch):
    room = build()
    monkeypatch.setattr(room, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(SystemExit, match=r"a\.py does not say"):
        room.described(tmp_path / "a.py")
    (tmp_path / "b.yaml").write_text("# Data of b: all\n# of it.  And more.\nx: 1\n")
    assert room.described(tmp_path / "b.yaml") == "Data of b: all of it"


def test_constraints_are_the_lock_and_the_lock_names_public_registries_alone():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)(?: ; .+)?", line) for line in lines]
    assert all(pins), "a pin has a local label, or is none"
    text = (ROOT / "uv.lock").read_text()
    locked = {(one["name"], one["version"]) for one in tomllib.loads(text)["package"]}
    assert {(pin[1], pin[2]) for pin in pins if pin} <= locked, "run `make lock`"
    assert set(re.findall(r"\w+://[^/\"]+", text)) == {"https://pypi.org", "https://files.pythonhosted.org"}
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*pyproject["project"]["dependencies"], *pyproject["dependency-groups"]["dev"]]
    wanted += [one for extra in pyproject["project"]["optional-dependencies"].values() for one in extra]
    assert {re.split(r"[\[>=<]", one)[0] for one in wanted} - {"limo"} <= {pin[1] for pin in pins if pin}


def test_the_version_is_said_once_and_the_same():
    import limo

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == limo.__version__


def test_every_recipe_that_a_text_names_is_there():
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *RECIPES.rglob("*.yaml"), *MODULES]
    named = {one for path in texts for one in re.findall(r"recipes/[\w/.-]+\.yaml", path.read_text(encoding="utf-8"))}
    assert {"recipes/accelerate/fsdp2.yaml"} <= named
    assert [one for one in named if not (RECIPES.parent / one).is_file()] == []


def bare_parsers(tree: ast.AST) -> list[str]:
    """Calls that parse JSON or YAML without the bounds of `parse_json`, `load_yaml` and `shipped_yaml`."""
    names = {"json.loads", "json.load", "json.JSONDecoder", "yaml.load", "yaml.safe_load", "yaml.full_load"}
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sorted(names.intersection(calls))


def test_json_and_yaml_are_parsed_with_bounds(trees):
    # parse_json, shipped_yaml, and a .json of rows, whose depth is checked row by row
    bounded = {"core/text.py": ["json.loads"], "core/files.py": ["yaml.load"], "core/rows.py": ["json.loads"]}
    found = {name(path): bare for path, tree in trees.items() if (bare := bare_parsers(tree))}
    assert found == {f"src/limo/{path}": bare for path, bare in bounded.items()}
    assert bare_parsers(ast.parse("import json\nprint(json.load(open('a')))")) == ["json.load"]


def relative_paths(tree):
    """Calls of pyarrow.parquet with a path that is not made absolute."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = [
        (call, call.args[call.func.attr == "write_table"])
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "pq"
    ]
    return [ast.unparse(call) for call, path in given if not ast.unparse(path).endswith(".absolute()")]


def test_arrow_is_given_absolute_paths_since_it_takes_others_with_a_colon_for_addresses(trees):
    assert [found for tree in trees.values() for found in relative_paths(tree)] == []
    assert relative_paths(ast.parse("pq.write_table(t, path)")) == ["pq.write_table(t, path)"]
