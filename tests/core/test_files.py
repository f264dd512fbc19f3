import errno
import os

import pytest

from limo.core.errors import InputError, StorageError
from limo.core.files import atomic, storage_errors


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
