import pickle

import pytest

from limo.core import errors
from limo.core.errors import InputError, LimoError, MissingFileError, PartialError, RecipeError, StorageError

CHILDREN = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LimoError)]


def test_a_message_has_four_beats():
    text = str(InputError("the pool is empty", "a.jsonl", "one problem or more", "check the path"))
    assert text == "the pool is empty: 'a.jsonl' (allowed: one problem or more); check the path"


def test_beats_that_are_not_given_leave_no_trace():
    assert str(InputError("the pool is empty")) == "the pool is empty"


def test_a_value_of_zero_is_still_shown():
    assert str(InputError("too few rows", 0)) == "too few rows: '0'"


@pytest.mark.parametrize("kind", CHILDREN)
def test_every_child_says_the_same_text_whatever_its_second_parent(kind):
    assert str(kind("what", "value", "allowed", "do")) == "what: 'value' (allowed: allowed); do"


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (InputError, ValueError),
        (MissingFileError, FileNotFoundError),
        (RecipeError, ValueError),
        (StorageError, OSError),
        (PartialError, RuntimeError),
    ],
)
def test_code_that_knows_nothing_of_limo_can_catch_it(kind, parent):
    with pytest.raises(parent):
        raise kind("what")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("limo-v3", "'limo-v3' (allowed: limo-v2, H100); did you mean 'limo-v2'?"),
        ("h10", "'h10' (allowed: limo-v2, H100); did you mean 'H100'?"),
        ("quite another", "'quite another' (allowed: limo-v2, H100); name one"),
    ],
)
def test_of_a_known_set_of_names_the_nearest_is_suggested(given, said):
    assert str(InputError("no such name", given, known=["limo-v2", "H100"], do="name one")) == f"no such name: {said}"
    assert str(InputError("no such name", given, known=[])) == f"no such name: {given!r} (allowed: none)"


def test_only_a_partial_end_exits_with_three():
    assert {kind.__name__: kind.exit_code for kind in CHILDREN if kind.exit_code != 2} == {"PartialError": 3}


@pytest.mark.parametrize("kind", CHILDREN)
def test_an_error_survives_the_way_between_processes(kind):
    error = pickle.loads(pickle.dumps(kind("what", "value", "allowed", "do")))
    assert (type(error), str(error)) == (kind, "what: 'value' (allowed: allowed); do")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("can't start new thread"), "memory"),
        (ImportError("x.so: failed to map segment from shared object"), "memory"),
        (OSError(12, "Cannot allocate memory"), "memory"),
        (OSError(24, "Too many open files"), "files"),
    ],
)
def test_the_limits_of_the_machine_are_one_line_and_no_bug_whoever_wrapped_them(error, said):
    from limo.cli.command import error_line

    code, line = error_line(error, ["curate"])
    assert code == 2 and said in line and "bug" not in line
    try:
        try:
            raise error
        except Exception as cause:
            raise InputError("these files cannot be read") from cause
    except InputError as wrapped:
        assert error_line(wrapped, ["curate"]) == (code, line)
    assert "bug: ValueError" in error_line(ValueError("x"), ["curate"])[1]
