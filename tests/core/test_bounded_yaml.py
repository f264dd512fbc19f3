import pytest
import yaml

from limo.core.bounded_yaml import MAX_CHARACTERS, MAX_DEPTH, YamlBoundError, describe_yaml_error, load_yaml
from limo.core.errors import RecipeError
from limo.core.recipe import Settings, load


class Part(Settings):
    k: int = 1
    share: float = 0.5


class Recipe(Settings):
    name: str = ""
    n: int = 1
    is_on: bool = False
    share: float = 0.5
    counts: list[int] = []
    part: Part = Part()
    extra: dict[str, object] = {}


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{b}: &{b} [{','.join(f'*{a}' for _ in range(9))}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{b}: &{b} {{p{b}: *{a}, q{b}: *{a}, <<: [*{a}, *{a}, *{a}]}}\n"
    for a, b in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True)
)
BOUNDED = {
    "alias bomb": (BOMB, 6),
    "merge bomb": (MERGE, 8),
    "recursive list": ("n: 1\nextra: &a [*a]", 2),
    "recursive mapping": ("extra: &a {b: {c: *a}}", 1),
    "recursive merge": ("a: &a\n  <<: *a", 1),
    "deep lists": ("[" * 100_000, 1),
    "deep mappings": ("{a: " * 60_000, 1),
    "deep blocks": ("n: 1\n" + "".join("  " * d + "a:\n" for d in range(200)), MAX_DEPTH + 2),
    "deep dashes": ("- " * 5000 + "1", 1),
    "a lone surrogate": ('n: 1\nname: "\\ud800"', 2),
    "a null character": ('n: 1\n\nname: "a\\0b"', 3),
    "a surrogate in a key": ('"\\udfff": 1', 1),
}
WRONG = {
    "no number": ("n: !!int abc", 1),
    "no truth": ("name: a\nn: !!bool maybe", 2),
    "no time": ("n: !!timestamp yesterday", 1),
    "no date of the calendar": ("n: 1\nname: 2024-02-31", 2),
    "an empty number": ("n: !!int ''", 1),
    "no share": ("n: !!float abc", 1),
    "too many digits": ("n: 1\nname: " + "9" * 5000, 2),
    "an object of Python": ("n: !!python/object/apply:os.system [id]", 1),
    "a tag of nobody": ("n: !mine 1", 1),
    "a list as a key": ("? [a, b]\n: 1", 1),
    "a mapping as a key": ("n: 1\n? {a: b}\n: 1", 2),
    "two documents": ("n: 1\n---\nn: 2", 2),
    "a tab": ("n:\n\t- 1", 2),
    "an unknown alias": ("n: 1\nname: *nobody", 2),
    "an open quote": ("n: 1\nname: 'a", 2),
    "no base64": ("name: !!binary '\u00e9'", 1),
    "a set of pairs": ("n: !!omap 1", 1),
    "a key twice": ("n: 1\nname: a\nn: 2", 3),
    "a key twice, deeper": ("extra:\n  a: 1\n  b: {c: 1,\n      'c': 2}", 4),
    "a merge twice": ("extra: &a {b: 1}\nname: x\nn: {<<: *a,\n <<: *a}", 4),
    "a leading zero": ("name: a\nn: 010", 2),
    "a leading zero below": ("n: 1\nextra: {a: [1, -007]}", 2),
    "true for a number": ("name: a\nn: true", 2),
    "a time for a number": ("n: 1:30", 1),
    "a time for a number, to the second": ("n: 190:20:30", 1),
    "a word for a number": ("n: yes", 1),
    "true for a text": ("n: 1\nname: true", 2),
    "false for a share": ("share: false", 1),
    "true among numbers": ("counts: [1,\n  true]", 2),
    "true in a part": ("part: {k: 1,\n  share: true}", 2),
}


@pytest.mark.parametrize("name", [*BOUNDED, *WRONG])
def test_whatever_is_wrong_with_a_recipe_is_bad_input_with_its_line(tmp_path, name):
    text, line = (BOUNDED | WRONG)[name]
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=rf"line {line}: |\(line {line}\)") as caught:
        load(Recipe, tmp_path / "r.yaml")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["deep lists", "deep mappings", "deep dashes"])
def test_an_override_has_the_same_bounds(name):
    with pytest.raises(RecipeError):
        load(Recipe, None, [f"extra={BOUNDED[name][0]}"])


def test_an_override_of_a_list_entry_of_any_length_is_told():
    with pytest.raises(RecipeError, match="names no list entry"):
        load(Recipe, None, ["counts=[1]", f"counts.{'7' * 5000}=1"])


@pytest.mark.parametrize("number", ["7" * 5000, "0x" + "f" * 5000, "0b" + "1" * 20_000, "7_" * 5000 + "7"])
def test_a_whole_number_that_could_not_be_written_is_not_read(number):
    with pytest.raises(YamlBoundError, match="more than 1000 digits"):
        load_yaml(f"k: {number}")


@pytest.mark.parametrize("override", ["a." * 10_000 + "b=1", "extra." + "a." * 600 + "b=1"])
def test_an_override_is_not_deeper_than_a_recipe(override):
    with pytest.raises(RecipeError, match="too deep"):
        load(Recipe, None, [override])


@pytest.mark.parametrize("text", ["a: 1\nb: x\ud800", "a: 1\n\ud800: x", "a: 1\n# \udfff", 'a: 1\nb: "\\ud800"'])
def test_half_of_a_surrogate_pair_is_told_with_its_line(text):
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        load_yaml(text)
    assert describe_yaml_error(caught.value).startswith("line 2: ")


def test_a_text_that_is_no_recipe_by_its_length_is_not_read():
    with pytest.raises(YamlBoundError) as caught:
        load_yaml("#" * (MAX_CHARACTERS + 1))
    assert "1,000,001 characters" in describe_yaml_error(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}\ne: [*x, *x]",
         {"a": {"b": 1}, "c": {"b": 1, "d": 2}, "e": [{"b": 1}, {"b": 1}]}),
        ("a: " + "[" * 40 + "]" * 40, yaml.safe_load("a: " + "[" * 40 + "]" * 40)),
        ("a: [no, on, Yes, y, OFF, True, false]", {"a": ["no", "on", "Yes", "y", "OFF", True, False]}),
        ("a: [1:30, 12:30:45, 1:30.5, 0x1f, 1_000, -3, 0, 1.5, 1.0e-05, .inf, '010']",
         {"a": ["1:30", "12:30:45", "1:30.5", 31, 1000, -3, 0, 1.5, 1e-5, float("inf"), "010"]}),
        ("n: !!str 1\nt: 2024-02-29", {"n": "1", "t": yaml.safe_load("2024-02-29")}),
        ("l: [" + "1, " * 3000 + "1]", {"l": [1] * 3001}),
    ],
)  # fmt: skip
def test_what_people_write_is_read_as_before(text, value):
    assert load_yaml(text)[0] == value


@pytest.mark.parametrize("override", ["n=true", "share=true", "part.k=false", "counts=[true]", "n=1:30", "n=on"])
def test_an_override_takes_no_truth_and_no_time_for_a_number(override):
    with pytest.raises(RecipeError, match="override"):
        load(Recipe, None, [override])


@pytest.mark.parametrize("value", ["yes", "on", "true", "True"])
def test_a_word_for_true_is_taken_where_a_truth_is_meant_and_as_text_where_a_text_is(value):
    assert load(Recipe, None, [f"is_on={value}"]).is_on
    if value in ("yes", "on"):
        assert load(Recipe, None, [f"name={value}"]).name == value
