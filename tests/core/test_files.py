import errno
import os

import pytest

from limo.core.errors import InputError, StorageError
from limo.core.files import atomic, atomic_folder, resolve_data_path, storage_errors


def test_a_file_appears_whole_with_the_folders_above_it(tmp_path):
    with atomic(tmp_path / "a" / "b.txt") as path:
        path.write_text("all")
        assert not (tmp_path / "a" / "b.txt").exists()
    assert (tmp_path / "a" / "b.txt").read_text() == "all"
    assert os.listdir(tmp_path / "a") == ["b.txt"]


def test_a_failure_on_the_way_leaves_the_old_file_and_no_litter(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "b.txt") as path:
        path.write_text("new")
        _ = 1 / 0
    assert (tmp_path / "b.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_refuses_is_told_in_one_line_and_the_old_file_stays(tmp_path, number):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(StorageError) as caught, atomic(tmp_path / "b.txt") as path:
        path.write_text("ne")
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(caught.value)
    assert str(tmp_path / "b.txt") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "b.txt").read_text() == "old"


def test_a_path_that_no_folder_can_be_made_for_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"), atomic(tmp_path / "file" / "b.txt"):
        pass


def test_errors_of_our_own_pass_through_unchanged(tmp_path):
    with pytest.raises(InputError), storage_errors(tmp_path):
        raise InputError("what")


def test_a_folder_takes_the_place_of_the_old_one_as_a_whole(tmp_path):
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "out" / "set") as folder:
            (folder / name).write_text("all")
    assert os.listdir(tmp_path / "out") == ["set"] and os.listdir(tmp_path / "out" / "set") == ["new"]
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out" / "set") as folder:
        (folder / "half").write_text("")
        _ = 1 / 0
    assert os.listdir(tmp_path / "out") == ["set"] and os.listdir(tmp_path / "out" / "set") == ["new"]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("both.jsonl", "data/both.jsonl"),  # under `data` first
        ("here.jsonl", "here.jsonl"),
        ("nowhere.jsonl.gz", "data/nowhere.jsonl.gz"),  # a file of rows: the message then names where it should be
        ("folder", "data/folder"),
        ("owner/name-1.5", "owner/name-1.5"),  # a name on the hub
    ],
)
def test_a_path_of_a_recipe_is_looked_for_in_its_data_folder_first(tmp_path, monkeypatch, path, where):
    (tmp_path / "data" / "folder").mkdir(parents=True)
    for name in ("both.jsonl", "here.jsonl", "data/both.jsonl"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    assert resolve_data_path(path, "data") == where
    assert resolve_data_path("here.jsonl") == "here.jsonl"
