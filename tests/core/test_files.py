import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from limo.core import files
from limo.core.errors import InputError, StorageError
from limo.core.files import (
    atomic,
    atomic_folder,
    hash_path,
    locked,
    output_folder,
    resolve_data_path,
    storage_errors,
)


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


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.ENAMETOOLONG, "shorter name"),
        (errno.EISDIR, "name a file"),
        (errno.ENOTDIR, "name a folder"),
        (errno.EACCES, "may be written"),
        (errno.EROFS, "may be written"),
    ],
)
def test_room_is_asked_for_only_where_it_helps(tmp_path, number, remedy):
    with pytest.raises(StorageError) as caught, files.storage_errors(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
    assert remedy in str(caught.value)
    assert ("space" in str(caught.value).replace(os.strerror(number), "")) is (number == errno.ENOSPC)


def test_errors_of_our_own_pass_through_unchanged(tmp_path):
    with pytest.raises(InputError), storage_errors(tmp_path):
        raise InputError("what")


def test_an_error_about_what_is_being_written_names_the_place_that_it_gets(tmp_path):
    for write in (atomic, atomic_folder):
        with pytest.raises(InputError) as caught, write(tmp_path / "made") as temporary:
            raise InputError(f"{temporary}/a.yaml does not fit", temporary, f"not {temporary}", "mend it")
        made = tmp_path / "made"
        assert str(caught.value) == str(InputError(f"{made}/a.yaml does not fit", made, f"not {made}", "mend it"))
        assert caught.value.text() == str(caught.value)
    with (
        pytest.raises(StorageError) as full,
        atomic_folder(tmp_path / "made") as temporary,
        atomic(temporary / "a.yaml"),
    ):
        raise OSError(28, "No space left on device")
    assert ".tmp" not in str(full.value) and "made/a.yaml" in str(full.value)


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


def dead_process():
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return int(child.stdout)


@pytest.mark.parametrize(
    ("n_bytes", "free", "words"),
    [
        (4.2e6, 999_990, "will take 4.20 MB, and the disk has room for 999.99 KB"),
        (3e12, 2e9, "will take 3,000.00 GB, and the disk has room for 2.00 GB"),
        (1000, 7, "will take 1.00 KB, and the disk has room for 7 bytes"),
    ],
)
def test_what_a_disk_lacks_is_told_in_a_unit_that_shows_it(tmp_path, monkeypatch, n_bytes, free, words):
    monkeypatch.setattr(files, "_free_bytes", lambda _: free)
    with pytest.raises(StorageError, match=words):
        files.check_room(tmp_path / "x", n_bytes, "this")
    files.check_room(tmp_path / "x", free, "this")


@pytest.mark.parametrize("writer", [atomic, atomic_folder])
def test_what_killed_writers_left_is_swept_whatever_it_is_and_what_others_write_stays(tmp_path, writer):
    dead, host = dead_process(), files._HOST
    (tmp_path / f".out.{host}-{dead}.tmp").mkdir()
    (tmp_path / f".out.{host}-{dead}.tmp" / "half").write_text("")
    kept = [f".out.{host}-{os.getppid()}.tmp", f".out.ffffff-{dead}.tmp", f".outer.{host}-{dead}.tmp", ".out.notes.tmp"]
    for name in kept:
        (tmp_path / name).write_text("another's")
    for _ in range(2):
        with writer(tmp_path / "out") as path:
            (path / "a" if path.is_dir() else path).write_text("all")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "out"])


def test_a_folder_whose_replacing_was_killed_between_two_renames_comes_back(tmp_path):
    former = tmp_path / f".set.{files._HOST}-{dead_process()}.former.tmp"
    former.mkdir()
    (former / "old").write_text("whole")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "set"):
        _ = 1 / 0
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["old"]


def test_a_folder_that_cannot_take_its_name_leaves_the_old_one(tmp_path, monkeypatch):
    with atomic_folder(tmp_path / "set") as folder:
        (folder / "old").write_text("")
    replace = os.replace

    def refuse(source, target):
        if str(source).endswith(f"{os.getpid()}.tmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(StorageError), atomic_folder(tmp_path / "set") as folder:
        (folder / "new").write_text("")
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["old"]


def test_names_as_long_as_the_file_system_allows_can_be_written(tmp_path):
    for name in ("x" * 255, "名" * 85):
        with atomic(tmp_path / name) as path:
            path.write_text("all")
        assert (tmp_path / name).read_text() == "all"
    with pytest.raises(StorageError, match="File name too long") as caught, atomic(tmp_path / ("x" * 256)) as path:
        path.write_text("all")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (RuntimeError("IoError { code: (os error 122) }"), True),
        (RuntimeError("the tensor has no shape"), False),
        (KeyError("x"), False),
    ],
)
def test_a_library_that_wraps_the_error_of_a_full_disk_is_understood(tmp_path, error, is_told):
    with pytest.raises(StorageError if is_told else type(error)), storage_errors(tmp_path):
        raise error


def test_an_error_without_words_on_a_disk_without_room_is_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(StorageError, match="No space left"), storage_errors(tmp_path / "a"):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")


def test_a_device_and_a_pipe_are_not_replaced_and_a_link_stays_a_link(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="device or a pipe"), files.atomic(tmp_path / "pipe") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with files.atomic(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


MADE_FROM = {"pool": "aa", "settings": "bb"}


def test_a_folder_goes_on_for_the_same_inputs_and_refuses_all_others(tmp_path):
    folder = tmp_path / "a" / "out"
    for _ in range(2):
        with output_folder(folder, MADE_FROM):
            (folder / "part").write_text("1")
    for other, named in (
        ({**MADE_FROM, "pool": "ab"}, "pool"),
        ({"settings": "bb"}, "pool"),
        ({**MADE_FROM, "x": ""}, "x"),
    ):
        with pytest.raises(InputError, match=rf"differs in {named}\)"), output_folder(folder, other):
            pass
    (folder / "made_from.json").write_text("[1")
    with pytest.raises(StorageError, match="damaged"), output_folder(folder, MADE_FROM):
        pass


def test_a_folder_that_a_failed_call_left_empty_is_free_for_the_corrected_one(tmp_path):
    with pytest.raises(InputError, match="no column"), output_folder(tmp_path / "out", MADE_FROM):
        raise InputError("no column", "x", "", "")
    with output_folder(tmp_path / "out", {**MADE_FROM, "settings": "corrected"}):
        (tmp_path / "out" / "part").write_text("1")


def test_a_folder_of_unknown_origin_is_not_filled(tmp_path):
    (tmp_path / "part").write_text("")
    with pytest.raises(InputError, match="unknown origin"), output_folder(tmp_path, MADE_FROM):
        pass


def test_one_process_at_a_time_writes_an_output(tmp_path):
    for path in (tmp_path, tmp_path / "file.jsonl"):
        with locked(path), pytest.raises(InputError, match="another process writes there"), locked(path):
            pass
        with locked(path):
            pass


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("gone")])
@pytest.mark.parametrize("output", ["", "file.jsonl"])
def test_what_stands_in_the_place_of_a_lock_is_named(tmp_path, make, output):
    make(file := tmp_path / (f".{output}.lock" if output else ".lock"))
    with pytest.raises(StorageError, match=f"{re.escape(str(file))}.*remove it"), locked(tmp_path / output):
        pass


def test_old_leftovers_of_other_outputs_go_and_those_of_the_last_day_and_of_living_processes_stay(tmp_path):
    gone, alive = 2**22 + 1, os.getppid()
    names = {f".old.jsonl.{files._HOST}-{gone}.tmp": 2 * files.DAY_S, f".new.jsonl.{files._HOST}-{gone}.tmp": 0}
    others = (f".a.{files._HOST}-{alive}.tmp", f".b.0-{gone}.tmp", ".mine.tmp", f".c.{files._HOST}-{gone}.former.tmp")
    names |= dict.fromkeys(others, 2 * files.DAY_S)
    for name, age_s in names.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    files.write_text(tmp_path / "out", "")
    assert set(os.listdir(tmp_path)) == {"out", *list(names)[1:]}


def test_the_hash_of_a_path_names_its_content_and_of_a_folder_its_files(tmp_path):
    for name, text in (
        ("a/x", "1"),
        ("a/y", "2"),
        ("b/x", "1"),
        ("b/y", "2"),
        ("b/.lock", "z"),
        ("c/x", "12"),
        ("c/y", ""),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    a, b, c = (hash_path(tmp_path / name) for name in "abc")
    assert a == b != c and len(a) == 16
    assert hash_path(tmp_path / "a" / "x") == hash_path(tmp_path / "b" / "x") != hash_path(tmp_path / "a" / "y")
    assert hash_path(tmp_path / "nothing") == ""


def test_without_any_folder_for_temporary_files_the_disk_is_told(tmp_path):
    with pytest.raises(StorageError, match="temporary files"), storage_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
