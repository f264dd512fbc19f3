from typing import Annotated, Literal

import pytest
from pydantic import Field

from limo.core.errors import MissingFileError, RecipeError
from limo.core.recipe import Settings, execution_field, load


class Band(Settings):
    low: int = Field(1, ge=0)
    high: int = 3
    n_workers: int = execution_field(1)


class Cat(Settings):
    kind: Literal["cat"] = "cat"
    n_lives: int = Field(9, ge=1)


class Dog(Settings):
    kind: Literal["dog"] = "dog"
    n_tricks: int = 0


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Recipe(Settings):
    name: str
    pet: Pet | None = None
    pets: list[Pet] = []
    band: Band = Band()
    filters: list[Band] = []
    by_model: dict[str, Band] = {}
    lists: dict[str, list[Band]] | None = None
    teacher: Band | None = None


@pytest.fixture
def loaded(tmp_path):
    def load_text(text, overrides=()):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return load(Recipe, path, overrides)

    return load_text


def fault(loaded, text, overrides=()):
    with pytest.raises(RecipeError) as caught:
        loaded(text, overrides)
    return str(caught.value)


def test_a_recipe_goes_to_yaml_and_back(loaded):
    recipe = loaded("name: 名\nfilters: [{low: 2}]\nby_model: {a: {high: 9}}\n")
    assert loaded(recipe.to_yaml()) == recipe
    assert loaded(recipe.to_yaml()).hash == recipe.hash


def test_the_hash_follows_the_content_and_not_the_layout(loaded):
    assert loaded("name: a\nband: {low: 1}").hash == loaded("# told\nband:\n  low: 1\nname: a\n").hash
    assert loaded("name: a\nband: {low: 2}").hash != loaded("name: a").hash


@pytest.mark.parametrize("where", ["band: {%s}", "filters: [{%s}]", "by_model: {a: {%s}}", "lists: {a: [{%s}]}"])
def test_how_fast_the_work_goes_is_no_part_of_what_a_recipe_is(loaded, where):
    plain, faster, other = (loaded("name: a\n" + where % w) for w in ("high: 3", "n_workers: 8", "high: 4"))
    assert plain.hash == faster.hash != other.hash
    assert "n_workers: 8" in faster.to_yaml()


def test_an_override_reaches_into_sections_lists_and_mappings(loaded):
    recipe = loaded(
        "name: a\nfilters: [{low: 1}, {low: 1}]", ["band.low=2", "filters.1.low=5", "by_model.x.high=7", "name=b=c"]
    )
    assert (recipe.band.low, recipe.filters[1].low, recipe.by_model["x"].high, recipe.name) == (2, 5, 7, "b=c")


def test_all_faults_are_told_at_once_each_with_its_line(loaded):
    text = fault(loaded, "bnad: {low: 1}\nband:\n  low: -4\n  high: much\n")
    for part in ("bnad (line 1)", "did you mean 'band'?", "band.low (line 3) is -4", "band.high (line 4)"):
        assert part in text
    assert "name is missing" in text


def test_a_fault_of_an_override_is_not_laid_to_a_line_of_the_file(loaded):
    text = "name: a\nband:\n  low: 1\n  high: 2\n"
    assert "band.low (override) is -4" in fault(loaded, text, ["band.low=-4"])
    assert "band.lwo (override) is not a known key" in fault(loaded, text, ["band={lwo: 1}"])
    assert "band.high (line 4)" in fault(loaded, text.replace("high: 2", "high: much"), ["band.low=1"])


@pytest.mark.parametrize(
    "text",
    [
        "band: {lwo: 1}",
        "filters: [{high: 1}, {lwo: 1}]",
        "by_model: {x: {lwo: 1}}",
        "lists: {x: [{low: 1}, {lwo: 1}]}",
        "teacher: {lwo: 1}",
    ],
)
def test_the_nearest_key_is_offered_wherever_settings_stand(loaded, text):
    assert "lwo (line 2) is not a known key; did you mean 'low'?" in fault(loaded, "name: a\n" + text)


@pytest.mark.parametrize("text", ["pet:\n  {kind: cat, n_live: 3}", "pets:\n- {kind: dog}\n- {kind: cat, n_live: 3}"])
def test_the_nearest_key_of_the_chosen_member_of_a_union_is_offered(loaded, text):
    message = fault(loaded, "name: a\n" + text)
    assert "n_live (line" in message and "is not a known key; did you mean 'n_lives'?" in message
    assert ".cat" not in message


def test_only_the_keys_of_the_chosen_member_of_a_union_are_known(loaded):
    assert "pet.tricks (line 2) is not a known key; known: kind, n_lives" in fault(
        loaded, "name: a\npet: {kind: cat, tricks: 1}"
    )


def test_a_member_of_a_union_has_to_be_named(loaded):
    assert "pets.0.kind (line 2) is missing; give it one of: cat, dog" in fault(loaded, "name: a\npets: [{n_lives: 1}]")
    assert "pet.kind (line 2) is not 'cow' but one of: cat, dog" in fault(loaded, "name: a\npet: {kind: cow}")
    assert "pet.n_lives (line 2) is 0: " in fault(loaded, "name: a\npet: {kind: cat, n_lives: 0}")


def test_where_no_key_is_near_all_are_named(loaded):
    assert "known: low, high" in fault(loaded, "name: a\nfilters: [{zzz: 1}]")


@pytest.mark.parametrize("override", ["band..low=1", "band.=1", ".low=1", "band. .low=1", "..=1"])
def test_an_override_with_an_empty_name_is_named_itself(loaded, override):
    told = fault(loaded, "name: a\nband:\n  low: 1\n", [override])
    assert "an override has an empty name" in told and repr(override.partition("=")[0]) in told and "line" not in told


def test_keys_that_only_an_override_brings_are_no_line_of_the_file(loaded):
    told = fault(loaded, "name: a\nband:\n  low: 1\n", ["band.lwo.k=1", "bnad.low=1"])
    assert "band.lwo (override) is not a known key" in told and "bnad (override) is not a known key" in told


@pytest.mark.parametrize("mark", ["\u200b", "\u00ad", "\ufeff", "\u2060", "\u202e", "\u3000"])
def test_a_key_with_an_invisible_character_is_shown_with_its_code(loaded, mark):
    told = fault(loaded, f"name: a\nband: {{'lo{mark}w': 1}}")
    assert f"band.lo{ascii(mark)[1:-1]}w (line 2) is not a known key; did you mean 'low'?" in told


def test_a_later_override_replaces_an_earlier_one_of_the_key_or_of_its_section(loaded):
    assert loaded("name: a", ["band.low=2", "band.low=3"]).band.low == 3
    recipe = loaded("name: a", ["band.high=9", "band={low: 2}", "band.low=1"])
    assert recipe.band == loaded("name: a", ["band={low: 1}"]).band


@pytest.mark.parametrize("override", ["band.low", "=3", "name.x=1", "filters.0.low=1", "filters.x=1"])
def test_an_override_that_leads_nowhere_is_refused(loaded, override):
    text = "name: a\nfilters: []"
    told = fault(loaded, text, [override])
    assert override in told and ("no key before its '='" in told) == override.startswith("=")


@pytest.mark.parametrize("text", ["name: [", "- a\n- b", "just words"])
def test_a_file_that_is_no_mapping_is_refused(loaded, text):
    assert "is not" in fault(loaded, text)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match="not text"):
        load(Recipe, tmp_path / "r.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="no such recipe"):
        load(Recipe, tmp_path / "none.yaml")


def test_a_recipe_needs_no_file(loaded):
    assert load(Recipe, None, ["name=a"]).name == "a"


def test_yaml_cannot_make_objects(loaded):
    assert "is not YAML" in fault(loaded, "name: !!python/object/apply:os.getcwd []")


def test_a_public_recipe_has_names_and_no_paths_or_addresses_and_can_be_loaded(tmp_path):
    from limo.stages.curate import Recipe

    (tmp_path / "mine.jsonl").write_text("{}")
    (tmp_path / "weights").mkdir()
    server = {"kind": "http", "name": "org/model", "base_urls": ["http://10.0.0.7:8000/v1"]}
    local = {"kind": "local", "name": "own", "path": str(tmp_path / "weights")}
    rollouts = {"models": [server, local], "n": 2, "system": "/no_think"}
    values = {"pool": {"sources": [str(tmp_path / "mine.jsonl")]}, "teachers": [rollouts]}
    values["benchmarks"] = {"held-out": str(tmp_path / "mine.jsonl")}
    recipe = Recipe.model_validate(values)
    text = recipe.public().to_yaml()
    assert str(tmp_path) not in text and "10.0.0.7" not in text
    again = load(Recipe, _write(tmp_path / "public.yaml", text))
    assert again.pool.sources[0].path == again.benchmarks["held-out"].path == "mine.jsonl"
    assert [model.name for model in again.models] == ["org/model", "own"] and again.models[1].path == "weights"
    assert again.teachers[0].system == "/no_think", "it begins with a slash and is no path"


def _write(path, text):
    path.write_text(text)
    return path


class Waits(Settings):
    timeout_s: float = 1.0


@pytest.mark.parametrize("value", [".inf", ".nan", "-.inf"])
def test_a_number_of_a_recipe_is_finite(value):
    with pytest.raises(RecipeError, match="finite"):
        load(Waits, None, [f"timeout_s={value}"])
