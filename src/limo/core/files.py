"""Files and folders written whole or not at all, one process an output, the disk's errors, and hashes of what is read.

What is written goes to a temporary neighbour that takes the final name at the end, so a reader never sees half of it.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, LimoError, StorageError, machine_limit
from limo.core.text import content_hash, parse_json, shorten

TABLE_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
"""Endings of the files of rows that are read; each may be followed by one of `PACKED`."""
PACKED = (".gz", ".zst")
MADE_FROM = "made_from.json"
_FORMER = ".former.tmp"
_HOST = content_hash(platform.node())[:6]  # process numbers of another machine mean nothing here
_LEFTOVER = re.compile(rf"(\..+\.){_HOST}-([0-9]+)(\.former)?\.tmp", re.DOTALL)
DAY_S = 86400.0
_FULL = {number: os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)}
READ_FAILED = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO}  # by disk or mount
SPACE = "free some space or name another folder"
_REMEDIES = {  # of errors that no free space mends, by their number
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "name a folder, not a file",
    errno.EEXIST: "name a folder, not a file",
    errno.EACCES: "name a folder that may be written",
    errno.EPERM: "name a folder that may be written",
    errno.EROFS: "name a folder that may be written",
    errno.ENOENT: "name another folder: nothing can be made there",
    errno.ELOOP: "name a path whose links lead somewhere",
}


def resolve_data_path(path: str, data: str = "") -> str:
    """Where a path of a recipe lies: under the recipe's folder `data` where it exists there, else as it is.

    A path that exists nowhere is placed under `data` if it ends like a file of rows; else it may name something on
    the hub and stays as it is.
    """
    in_data = Path(data) / path
    return str(in_data) if in_data.exists() or (kind_of(path) and not Path(path).exists()) else path


def kind_of(path: str | Path) -> str:
    """The ending of a path that says how its rows are read, compressed or not; "" where it is no file of rows."""
    name = str(path).lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return next((suffix for suffix in TABLE_SUFFIXES if name.endswith(suffix)), "")


@cache
def shipped_yaml(module: str, name: str) -> Any:
    """The values of a YAML file of this package, by its path from the folder of a module (`__file__`); read once."""
    import yaml

    from limo.core.bounded_yaml import SafeLoader

    return yaml.load((Path(module).parent / name).read_text(encoding="utf-8"), SafeLoader)


def disk_reason(error: BaseException | None) -> str:
    """Why a disk cannot hold more, in the system's words; '' for an error of another kind.

    Libraries wrap the errors of the system, some in text alone (Rust's "os error 28"): causes and texts are read too.
    """
    for _ in range(10):
        text = str(error)[:2000]
        if "No usable temporary directory" in text:
            return "no folder for temporary files can be written"
        for number, reason in _FULL.items():
            if getattr(error, "errno", None) == number or reason in text or f"os error {number})" in text:
                return reason
        error = error and (error.__cause__ or error.__context__)
    return ""


def disk_remedy(reason: str) -> str:
    """What to do where a disk cannot be written, by the system's words for it."""
    return {os.strerror(number): do for number, do in _REMEDIES.items()}.get(reason, SPACE)


@contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Turn the disk's complaints about `path`, wrapped by a library or not, into one StorageError."""
    try:
        yield
    except LimoError:
        raise
    except Exception as error:
        if machine_limit(error):
            raise
        reason = disk_reason(error)
        if not reason and isinstance(error, OSError):
            reason = error.strerror or str(error)
        if not reason and not isinstance(error, ValueError | TypeError | LookupError) and _is_full(path):
            reason = _FULL[errno.ENOSPC]  # torch says only that a write failed
        if not reason:
            raise
        raise StorageError(f"cannot write ({reason})", shorten(str(path), 200), "", disk_remedy(reason)) from error


def check_room(path: str | Path, n_bytes: float, what: str) -> None:
    """Raise StorageError where the disk of `path` has less room than the `n_bytes` that `what` will take there."""
    if (free := _free_bytes(path)) < n_bytes:
        needed = f"{what} will take {_size(n_bytes)}, and the disk has room for {_size(free)}"
        raise StorageError(needed, shorten(str(path), 200), "", SPACE)


def _size(n_bytes: float) -> str:
    name, unit = next((pair for pair in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)) if n_bytes >= pair[1]), ("bytes", 1))
    return f"{n_bytes / unit:,.{0 if unit == 1 else 2}f} {name}"


def _is_full(path: str | Path) -> bool:
    return _free_bytes(path) < 1 << 16


def _free_bytes(path: str | Path) -> float:
    try:
        return shutil.disk_usage(next(p for p in Path(path).absolute().parents if p.exists())).free
    except OSError:
        return float("inf")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends, and goes when it fails.

    Missing folders above are made.  Raises StorageError when the disk is full or cannot be written.
    """
    with _replacing(Path(path)) as temporary:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())


def write_text(path: str | Path, text: str, errors: str = "strict") -> None:
    """Write a text as UTF-8, its line ends as they are, whole or not at all; `errors`: as `str.encode` takes it."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=errors, newline="")


def write_json(path: str | Path, value: object, indent: int | None = 1) -> None:
    """Write a value as JSON, whole or not at all; lone surrogates, which models do write, become JSON's own escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str) + "\n"
    write_text(path, text, errors="backslashreplace")


@contextmanager
def atomic_folder(path: str | Path, only_like_itself: bool = False, more: Collection[str] = ()) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends, and goes when it fails.

    What stood at `path` is replaced as a whole; `only_like_itself`: unless it holds other names than the new one,
    of which it may lack `more`.  Raises InputError then, and StorageError when the disk is full or cannot be written.
    """
    path = Path(path)
    with _replacing(path) as temporary:
        temporary.mkdir()
        yield temporary
        there = set(os.listdir(path)) if only_like_itself and path.is_dir() else set()
        made = set(os.listdir(temporary))
        if others := there - made or (there if made - there - set(more) else set()):
            allowed = "a new or an empty folder, or an earlier export"
            what = f"a folder cannot be written there, since it holds {shorten(sorted(others)[0], 60)!r}"
            raise InputError(what, path, allowed, "name another with -o")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    with storage_errors(path):
        if path.name in ("", ".."):
            raise InputError("this folder cannot be replaced", path, "a name of its own", "name a file or folder in it")
        path = path.resolve() if path.is_symlink() and path.is_file() else path  # the link stays, its file is written
        if path.exists() and not path.is_file() and not path.is_dir():
            do = "name another with -o"
            raise InputError("a device or a pipe cannot be replaced", path, "a file or a new name", do)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = f".{os.fsdecode(os.fsencode(path.name)[:200])}."
        _sweep_dead(path, start)
        temporary = path.with_name(f"{start}{_HOST}-{os.getpid()}.tmp")
        former = temporary.with_suffix(_FORMER)
        remove(temporary)
        try:
            yield temporary
            if temporary.is_dir() and path.is_dir():  # a folder that holds files cannot be replaced in one step
                os.replace(path, former)
            os.replace(temporary, path)
        except LimoError as error:
            error.rename(temporary, path)
            raise
        finally:
            remove(temporary)
            _settle(former, path)


def _sweep_dead(path: Path, start: str) -> None:
    """Remove what writers of `path` left whose processes are gone; a former folder without a successor comes back.

    Of other outputs beside it only files, and those of the last day stay: a container that shares the folder may have
    this machine's name and process numbers of its own.
    """
    with os.scandir(path.parent) as entries:
        leftovers = [(entry, match) for entry in entries if (match := _LEFTOVER.fullmatch(entry.name))]
    for entry, (own, number, former) in ((entry, match.groups()) for entry, match in leftovers):
        if int(number) == os.getpid() or _is_alive(int(number)):
            continue
        if own == start:
            _settle(Path(entry.path), path) if former else remove(Path(entry.path))
        elif not former and entry.is_file(follow_symlinks=False):
            with suppress(OSError):  # somebody else's
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > DAY_S:
                    os.unlink(entry.path)


def _settle(former: Path, path: Path) -> None:
    """Bring the former folder back where nothing took its place, else remove it."""
    if former.exists() and not path.exists():
        os.replace(former, path)
    remove(former)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path, what: str = "another process writes there") -> Iterator[None]:
    """Hold the file or folder `path` for this process.  Raises InputError(`what`) where another process holds it."""
    from filelock import FileLock, Timeout

    path = Path(path)
    with storage_errors(path):
        (path if path.is_dir() else path.parent).mkdir(parents=True, exist_ok=True)
        file = path / ".lock" if path.is_dir() else path.with_name(f".{path.name}.lock")
        if file.is_symlink() or (file.exists() and not file.is_file()):
            raise StorageError("what stands in the place of a lock is no file", file, "a file or nothing", "remove it")
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()  # the kernel frees it when the process dies, however it dies
        except Timeout:
            raise InputError(what, path, "one process at a time", "wait for it or name another") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def output_folder(path: str | Path, made_from: Mapping[str, str]) -> Iterator[None]:
    """Hold a folder that is filled piece by piece, so that the same call continues it and no other is answered by it.

    `made_from`: hashes of inputs and settings, by name; they are kept in the folder.  Raises InputError where another
    process holds it, it was made from something else, or it holds files of unknown origin; StorageError.
    """
    path, file = Path(path), Path(path) / MADE_FROM
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        is_filled = any(entry != file and not entry.name.startswith(".") for entry in path.iterdir())
        if is_filled and not file.is_file():
            allowed = "an empty folder, or one begun by this command"
            raise InputError("the folder holds files of unknown origin", path, allowed, "name an empty folder")
        if not is_filled:  # new, or begun by a call that left nothing
            write_json(file, dict(made_from))
        check_made_from(file, made_from)
        yield


def check_made_from(file: Path, made_from: Mapping[str, str]) -> None:
    """Compare the hashes kept in `file` with those of today.  Raises InputError that names what differs."""
    try:
        stored = parse_json(file.read_text(encoding="utf-8"))
        differing = [name for name in {**stored, **made_from} if stored.get(name) != made_from.get(name)]
    except (OSError, ValueError, TypeError, AttributeError):
        what = "this file says what a folder was made from, and is damaged"
        raise StorageError(what, file, "", "remove the folder, or name another") from None
    if differing:
        what = f"the folder was made from other inputs or settings (differs in {', '.join(differing[:5])})"
        allowed = "the inputs and settings it was begun with"
        raise InputError(what, file.parent, allowed, "give the same, or name another folder")


def hash_path(path: str | Path) -> str:
    """16 hex digits of a file's content, or of the names and contents of a folder's files; '' where there is nothing.

    Hidden files and what `output_folder` keeps are left out.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest, n = blake2b(digest_size=8), 0
    for file in files:
        name = str(file.relative_to(path))
        if (file.name.startswith(".") and file != path) or file.name == MADE_FROM:
            continue
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + str(file.stat().st_size).encode() + b"\0")
        _update(digest, file)
        n += 1
    return digest.hexdigest() if n else ""


def model_identity(folder: str | Path) -> str:
    """16 hex digits of a model folder's weights, settings and tokenizer; '' where it has none of them (a hub name)."""
    kinds = (".safetensors", ".bin", ".json", ".jinja")
    files = [p for p in sorted(Path(folder).glob("*")) if p.suffix in kinds and p.is_file()]  # a pipe has no end
    digest = blake2b(digest_size=8)
    for file in files:
        if file.name != "card.json":  # describes the model and does not change it
            _update(digest, file)
    return digest.hexdigest() if files else ""


def _update(digest: blake2b, file: Path) -> None:
    with open(file, "rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)


def sqlite_reading_address(file: Path) -> str:
    """The URI by which SQLite reads a database and leaves no file beside it; set `PRAGMA query_only` on it.

    A reader that may write takes its own -wal and -shm away at the end.  One that was there is a writer's, under way or
    killed, and stays as it is.  Where nothing can be written (read-only media) and no writer has left one, none comes.
    """
    file = file.resolve()  # beside which SQLite makes them
    address, folder = file.as_uri(), file.parent
    if os.path.lexists(f"{file}-wal"):
        return f"{address}?mode=ro"
    if not os.access(folder, os.W_OK):
        return f"{address}?mode=ro&immutable=1"
    return f"{address}?mode={'rw' if os.access(file, os.W_OK) else 'ro'}"
