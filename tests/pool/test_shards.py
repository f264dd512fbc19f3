"""Pools of shards: the rows of a pool in memory, whatever the shares, the executor, or the moment of a kill."""

from __future__ import annotations

import errno
import gc
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limo.core.errors import InputError, LimoError, StorageError
from limo.core.files import locked
from limo.core.progress import NoProgress
from limo.core.records import Problem
from limo.pool import decontaminate as decontaminate_module
from limo.pool import dedup as dedup_module
from limo.pool import shards
from limo.pool.decontaminate import DecontaminateSettings, decontaminate, decontaminate_shards
from limo.pool.dedup import DedupSettings, dedup, dedup_shards
from limo.pool.evidence import evidence_table, read_evidence
from limo.pool.ingest import IngestSettings, read_pool
from limo.pool.shards import decode_meta, dropped_of, ingest_shards, read_table, shards_of
from limo.pool.tasks import ExecutorSettings, TaskError, _error_text, run_tasks

LAMP = "{who} bought {n} red lamps for {p} dollars each at the market and sold all of them. How much did {who} pay?"
TYPED = [
    lambda text: text,
    lambda text: f"  {text.replace(' ', chr(10), 2)}",
    lambda text: text.replace("bought", "buys"),
]
LOCAL, SETTINGS = ExecutorSettings(), DedupSettings()


def _row(number: int) -> dict[str, object]:
    n, who = number % 17 + 2, ("Tom", "Ann")[number % 2]
    text = TYPED[number % 3](LAMP.format(who=who, n=n, p=number % 5 + 3))
    answer = str(n * (number % 5 + 3) + (number % 29 == 0))
    return {"problem": text, "answer": answer, "solution": "s" * (number % 7), "source": "abc"[number % 3]}


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four shards made of rows that repeat, reword and contradict each other, one line of them broken."""
    monkeypatch.setattr(shards, "SHARD_ROWS", 60)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(_row(number)) + "\n" for number in range(210)) + "{broken\n")
    assert ingest_shards(tmp_path / "pool", [file]) == {"kept": 210, "malformed row": 1}
    return tmp_path / "pool"


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks one after the other, where the executor is not what is tested."""
    for module in (dedup_module, decontaminate_module):
        monkeypatch.setattr(module, "run_tasks", lambda task, names, *_: [task(name) for name in names])


def _problems(folder: Path) -> list[Problem]:
    return [problem for shard in shards_of(folder) for problem in _of_shard(shard)]


def _of_shard(shard: Path) -> list[Problem]:
    return [Problem(**row | {"meta": decode_meta(row["meta"], shard)}) for row in read_table(shard).to_pylist()]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


@pytest.mark.parametrize(
    "settings", [SETTINGS, DedupSettings(conflicts="drop_all", prefer=["c"]), DedupSettings(reworded_similarity=1)]
)
@pytest.mark.parametrize(
    "n_shares", [2, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("in_turn")
def test_shards_give_the_rows_of_memory_whatever_the_shares(pool: Path, settings: DedupSettings, n_shares: int) -> None:
    counts = dedup_shards(pool, pool.parent / "out", settings, LOCAL, n_shares=n_shares)
    kept, dropped = dedup(_problems(pool), settings)
    assert _problems(pool.parent / "out") == kept and dropped_of(pool.parent / "out") == dropped
    assert counts["kept"] == len(kept) and counts.total() == 210
    assert len({row.reason for row in dropped}) >= 2 and not (pool.parent / "out" / "work").exists()


@pytest.mark.usefixtures("in_turn")
def test_a_shard_of_which_nothing_was_kept_does_not_stop_dedup(pool: Path) -> None:
    last = shards_of(pool)[-1]
    shards.write_problems(last, [], [])
    (pool / "counts.json").unlink()  # a pool of other hands
    n_rows = len(_problems(pool))
    counts = dedup_shards(pool, pool.parent / "out", SETTINGS, LOCAL, n_shares=4)
    assert counts.total() == n_rows and _of_shard(pool.parent / "out" / last.name) == []


def test_threads_give_the_same_bytes_as_one_task_after_the_other(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dedup_shards(pool, pool.parent / "placed", SETTINGS, LOCAL, n_shares=2)
    for module in (dedup_module, decontaminate_module):
        monkeypatch.setattr(module, "run_tasks", lambda task, names, *_: [task(name) for name in names])
    dedup_shards(pool, pool.parent / "in_turn", SETTINGS, LOCAL, n_shares=2)
    assert _bytes(pool.parent / "placed") == _bytes(pool.parent / "in_turn") != {}


@pytest.mark.usefixtures("in_turn")
def test_decontamination_of_shards_is_that_of_memory(pool: Path) -> None:
    known = {"bench": [Problem.make(LAMP.format(who="Tom", n=4, p=5), "20")]}
    settings, out = DecontaminateSettings(renumbered="report"), pool.parent / "out"
    counts = decontaminate_shards(pool, out, known, settings, LOCAL)
    kept, dropped = decontaminate(_problems(pool), known, settings)
    assert _problems(out) == kept and dropped_of(out) == dropped and counts["kept"] == len(kept)
    assert sorted(map(str, read_evidence(out))) != [] and len(read_evidence(out)) == len(evidence_table(kept, dropped))


@pytest.mark.usefixtures("in_turn")
def test_options_and_answers_decide_about_shards_as_they_do_in_memory(tmp_path: Path) -> None:
    """The one row is the benchmark's problem only by its answer, the other is another one by its options."""
    names = ["Eva", "Noah", "Bo"]
    known = {"bench": [Problem.make("Which name has the most letters?", "B", options=names)]}
    rows = [
        {"problem": "Which name has the most letters?", "answer": "Noah"},
        {"problem": "Which name has the most letters?", "answer": "B", "options": ["Ida", "Marlene", "Tim"]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest_shards(tmp_path / "pool", [tmp_path / "rows.jsonl"])
    decontaminate_shards(tmp_path / "pool", tmp_path / "out", known, DecontaminateSettings(), LOCAL)
    kept, dropped = decontaminate(_problems(tmp_path / "pool"), known)
    assert [row.detail["method"] for row in dropped] == ["same text"] and len(kept) == 1
    assert _problems(tmp_path / "out") == kept and dropped_of(tmp_path / "out") == dropped


class Killed(BaseException):
    """What no handler may catch."""


KNOWN = {"bench": [Problem.make(LAMP.format(who="Tom", n=4, p=5), "20")]}


def _deduplicated(pool: Path, out: Path) -> None:
    dedup_shards(pool, out, SETTINGS, LOCAL, n_shares=2)


def _decontaminated(pool: Path, out: Path) -> None:
    decontaminate_shards(pool, out, KNOWN, DecontaminateSettings(renumbered="report"), LOCAL)


@pytest.mark.parametrize(
    ("work", "moments", "least"),
    [
        pytest.param(_deduplicated, [8], 1, id="dedup, once"),
        pytest.param(_decontaminated, [3], 1, id="decontaminate, once"),
        pytest.param(_deduplicated, (0, 3, 8, 14, 26), 4, id="dedup, often", marks=pytest.mark.slow),
        pytest.param(_decontaminated, (0, 3, 8, 14, 26), 2, id="decontaminate, often", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("in_turn")
def test_stopped_before_any_file_and_started_again_it_ends_the_same(
    pool: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Path, Path], None], moments: Sequence[int], least: int
) -> None:
    work(pool, pool.parent / "whole")
    replaces, left = os.replace, 0

    def replace(source: object, target: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        replaces(source, target)  # type: ignore[arg-type]

    n_kills = 0
    for allowed in moments:
        out = pool.parent / f"out{allowed}"
        left = allowed
        monkeypatch.setattr(os, "replace", replace)
        try:
            work(pool, out)
        except Killed:
            n_kills += 1
        monkeypatch.setattr(os, "replace", replaces)
        work(pool, out)
        assert _bytes(out) == _bytes(pool.parent / "whole")
    assert n_kills >= least


@pytest.mark.parametrize("work", [_deduplicated, _decontaminated])
@pytest.mark.parametrize(
    "n_written", [pytest.param(0, marks=pytest.mark.slow), 2, pytest.param(5, marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("in_turn")
def test_a_full_disk_is_told_in_one_line_and_the_next_start_goes_on(
    pool: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Path, Path], None], n_written: int
) -> None:
    work(pool, pool.parent / "whole")
    write, left = pq.write_table, n_written

    def full(*given: object, **named: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*given, **named)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StorageError) as told:
        work(pool, pool.parent / "out")
    assert "No space left" in str(told.value) and "\n" not in str(told.value)
    monkeypatch.setattr(pq, "write_table", write)
    work(pool, pool.parent / "out")
    assert _bytes(pool.parent / "out") == _bytes(pool.parent / "whole")


@pytest.mark.parametrize("work", [_deduplicated, _decontaminated])
@pytest.mark.usefixtures("in_turn")
def test_a_meta_that_is_no_object_and_an_id_that_is_none_are_told_in_one_line(
    pool: Path, work: Callable[[Path, Path], None]
) -> None:
    part = shards_of(pool)[0]
    table = pq.read_table(part)
    place = table.column_names.index("meta")
    pq.write_table(table.set_column(place, "meta", pa.array(["[1]"] * table.num_rows)), part)
    (pool / "counts.json").unlink()  # a pool of other hands
    with pytest.raises(InputError, match="no JSON object"):
        work(pool, pool.parent / "out")
    pq.write_table(table.set_column(table.column_names.index("id"), "id", pa.array(["me"] * table.num_rows)), part)
    if work is _deduplicated:
        with pytest.raises(InputError, match="an id is not one of a pool"):
            work(pool, pool.parent / "other")


@pytest.mark.parametrize(
    "n_shares", [2, pytest.param(1, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("in_turn")
def test_a_family_of_many_bands_has_one_name_whatever_the_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_shares: int
) -> None:
    rng, words = random.Random(5), [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "prst"]
    texts = [" ".join(rng.choices(words, k=24)) for _ in range(6)]
    rows = []
    for number in range(400):  # words replaced one after the other, so that similarity runs in chains through bands
        text = texts[number % 6].split()
        text[rng.randrange(24)] = rng.choice(words)
        texts[number % 6] = " ".join(text)
        rows.append({"problem": texts[number % 6], "answer": str(number)})
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(shards, "SHARD_ROWS", 90)
    ingest_shards(tmp_path / "pool", [file])
    kept, _ = dedup(_problems(tmp_path / "pool"), SETTINGS)
    assert len({problem.meta.get("family") for problem in kept}) > 6
    dedup_shards(tmp_path / "pool", tmp_path / "out", SETTINGS, LOCAL, n_shares=n_shares)
    assert _problems(tmp_path / "out") == kept


def test_an_ingest_that_was_stopped_continues_after_its_last_whole_shard(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS", 20)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(_row(number)) + "\n" for number in range(70)))
    whole = ingest_shards(tmp_path / "whole", [file])
    write, calls = shards.write_problems, []

    def third_fails(*given: object) -> None:
        calls.append(given)
        if len(calls) == 3:
            raise Killed
        write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "write_problems", third_fails)
    with pytest.raises(Killed):
        ingest_shards(tmp_path / "pool", [file])
    assert ingest_shards(tmp_path / "pool", [file]) == whole and len(calls) == 5
    assert _bytes(tmp_path / "pool") == _bytes(tmp_path / "whole")
    assert ingest_shards(tmp_path / "pool", [file]) == whole and len(calls) == 5  # whole already
    with pytest.raises(InputError, match="made from other inputs or settings"):
        ingest_shards(tmp_path / "pool", [tmp_path / "other.jsonl"])


def _swap(one: Path, other: Path) -> None:
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


FAULTS = {
    "missing": lambda folder, shard: shard.unlink(),
    "cut": lambda folder, shard: shard.write_bytes(shard.read_bytes()[:300]),
    "empty": lambda folder, shard: shard.write_bytes(b""),
    "swapped": lambda folder, shard: _swap(shard, folder / "part-00000.parquet"),
    "foreign": lambda folder, shard: shard.write_bytes((folder / "part-00000.parquet").read_bytes()),
    "added": lambda folder, shard: shutil.copy(shard, folder / "other.parquet"),
    "reasons": lambda folder, shard: (folder / "dropped" / shard.name).unlink(),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["ingest", "dedup", "decontaminate"])
@pytest.mark.usefixtures("in_turn")
def test_shards_that_are_not_those_that_were_written_are_refused_by_all_that_open_them_and_by_the_same_command(
    tmp_path: Path, monkeypatch, command: str, fault: str
) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS", 10)
    source, folder = tmp_path / "rows.jsonl", tmp_path / command
    rows = [
        {"problem": f"What is {'abcdefghijklmnopqrstuvwxy'[k] * 5} if {k} + {k * k} is it?", "answer": str(k * k + k)}
        for k in range(25)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write() -> int:
        counts = ingest_shards(tmp_path / "ingest", [source])
        if command == "dedup":
            counts = dedup_shards(tmp_path / "ingest", folder, DedupSettings(reworded_similarity=1), LOCAL)
        if command == "decontaminate":
            known = {"bench": [Problem.make("What is the first prime above 90?", "97")]}
            counts = decontaminate_shards(tmp_path / "ingest", folder, known, DecontaminateSettings(), LOCAL)
        return counts["kept"]

    assert write() == write() == len(_problems(folder)) == len(read_pool(folder)) == 25
    FAULTS[fault](folder, folder / "part-00001.parquet")
    refused = r"not those that were written.*3 shards, as counts.json says.*make the pool again"
    for opened in (shards_of, read_pool):
        with pytest.raises(InputError, match=refused):
            opened(folder)
    if fault != "added":  # it reads its own shards alone
        with pytest.raises(InputError, match=refused):
            write()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"counts": 3, "shards": {}}', '{"counts": {}, "shards": [1]}'])
def test_a_damaged_summary_of_a_pool_is_one_line(pool: Path, content: str) -> None:
    (pool / "counts.json").write_text(content)
    for opened in (shards_of, read_pool):
        with pytest.raises(LimoError, match=r"counts.json.*restore") as told:
            opened(pool)
        assert "\n" not in str(told.value) and "http" not in str(told.value)


def test_what_is_no_pool_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LimoError, match="no such pool"):
        shards_of(tmp_path / "none")
    with pytest.raises(InputError, match="no shard of a pool"):
        shards_of(tmp_path)
    pq.write_table(pa.table({"question": ["1+1?"]}), tmp_path / "part-00000.parquet")
    with pytest.raises(InputError, match="columns are missing: id, problem"):
        shards_of(tmp_path)
    (tmp_path / "part-00000.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(StorageError, match="cannot be read"):
        shards_of(tmp_path)


def test_an_error_of_a_task_reaches_the_caller_as_it_is(pool: Path) -> None:
    part = shards_of(pool)[1]
    part.write_bytes(part.read_bytes()[:-300] + part.read_bytes()[-200:])
    with pytest.raises(LimoError) as told:
        dedup_shards(pool, pool.parent / "out", SETTINGS, LOCAL)
    assert part.name in str(told.value) and "\n" not in str(told.value)


def test_the_first_error_stops_the_tasks_that_have_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def task(name: str) -> None:
        begun.append(name)
        if name == "1":
            raise InputError("no such number", name, "0", "count again")

    monkeypatch.setattr("limo.pool.tasks.MAX_THREADS", 1)
    with pytest.raises(InputError, match="no such number"):
        run_tasks(task, ["0", "1", *map(str, range(2, 500))], LOCAL)
    assert begun == ["0", "1"]
    assert _error_text(task, "1") == "no such number: '1' (allowed: 0); count again" and _error_text(task, "0") == ""
    assert isinstance(TaskError("a text"), LimoError) and str(TaskError("a text")) == "a text"


def test_tasks_leave_the_process_as_it_was_also_after_an_error() -> None:
    seen, pool = list[object](), pa.default_memory_pool().backend_name
    with pytest.raises(ZeroDivisionError):
        run_tasks(lambda _: 1 // 0, ["0"], LOCAL)
    run_tasks(lambda _: seen.append(gc.isenabled()), ["0"], LOCAL, progress := NoProgress())
    assert [event.text for event in progress.events] == ["tasks: 1, executor local"], "a number that fits every plural"
    assert seen == [False] and gc.isenabled() and pa.default_memory_pool().backend_name == pool


@pytest.mark.parametrize("meta", ['{"a": 1, "z": {"family": [2]}}', '{"family": "old"}', '{"z": "\\u00e9"}', "{}", ""])
def test_a_key_is_added_to_a_cell_of_meta_as_the_whole_cell_would_be_written(meta: str, tmp_path: Path) -> None:
    table = pa.table({"problem": ["Two lamps?"] * 2, "meta": [meta] * 2})
    shards.write_split(tmp_path / "part.parquet", table, {}, {1: ("family", 'a "name"')}, "here")
    written = pq.read_table(tmp_path / "part.parquet").column("meta").to_pylist()
    assert written == [meta, json.dumps({**json.loads(meta or "{}"), "family": 'a "name"'}, sort_keys=True)]


def test_without_ray_its_executor_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="pip install 'limo\\[ray\\]'"):
        run_tasks(print, ["0"], ExecutorSettings(kind="ray"))


CODE = """
import sys
from limo.pool.decontaminate import DecontaminateSettings, decontaminate_shards
from limo.pool.dedup import DedupSettings, dedup_shards
from limo.pool.tasks import ExecutorSettings
from limo.core.progress import NoProgress
from limo.core.records import Problem
pool, out, kind = sys.argv[1:]
known = {"bench": [Problem.make(TEXT, "20")]}
print("on", flush=True)
dedup_shards(pool, out + "/distinct", DedupSettings(), ExecutorSettings(kind=kind), n_shares=2)
settings = DecontaminateSettings(renumbered="report")
decontaminate_shards(out + "/distinct", out + "/clean", known, settings, ExecutorSettings(kind=kind))
""".replace("TEXT", repr(LAMP.format(who="Tom", n=4, p=5)))


def _both(pool: Path, out: Path) -> dict[str, bytes]:
    _deduplicated(pool, out / "distinct")
    _decontaminated(out / "distinct", out / "clean")
    return _bytes(out)


@pytest.mark.slow
def test_killed_by_the_system_at_many_moments_it_ends_the_same(pool: Path) -> None:
    whole = _both(pool, pool.parent / "whole")
    for moment in (0.0, 0.4, 0.8, 1.6, 3.0):
        out = pool.parent / f"out{moment}"
        command = [sys.executable, "-c", CODE, str(pool), str(out), "local"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline()
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
        subprocess.run(command, check=True, capture_output=True)
        assert _bytes(out) == whole


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed")
def test_a_ray_cluster_gives_the_same_bytes(pool: Path) -> None:
    local = _both(pool, pool.parent / "local")
    command = [sys.executable, "-c", CODE, str(pool), str(pool.parent / "ray"), "ray"]
    subprocess.run(command, check=True)
    assert _bytes(pool.parent / "ray") == local != {}


@pytest.mark.usefixtures("in_turn")
def test_a_folder_never_answers_for_another_pool_other_settings_or_other_benchmarks(pool: Path) -> None:
    known = {"bench": [Problem.make(LAMP.format(who="Tom", n=4, p=5), "20")]}
    others = {"bench": [Problem.make(LAMP.format(who="Ann", n=4, p=5), "20")]}
    report = DecontaminateSettings(renumbered="report")
    one, two = pool.parent / "one", pool.parent / "two"
    counts = dedup_shards(pool, one, SETTINGS, LOCAL)
    assert dedup_shards(pool, one, SETTINGS, LOCAL) == counts
    decontaminate_shards(pool, two, known, DecontaminateSettings(), LOCAL)
    with pytest.raises(InputError, match=r"differs in settings\)"):
        dedup_shards(pool, one, DedupSettings(conflicts="drop_all"), LOCAL)
    with pytest.raises(InputError, match=r"differs in benchmarks\)"):
        decontaminate_shards(pool, two, others, DecontaminateSettings(), LOCAL)
    with pytest.raises(InputError, match=r"differs in settings\)"):
        decontaminate_shards(pool, two, known, report, LOCAL)
    with pytest.raises(InputError, match="made from other inputs"):
        decontaminate_shards(pool, one, known, DecontaminateSettings(), LOCAL)
    shards.write_problems(shards_of(pool)[0], _problems(pool)[:10], [])
    (pool / "counts.json").unlink()  # it is another pool, of other hands
    with pytest.raises(InputError, match=r"differs in pool\)"):
        dedup_shards(pool, one, SETTINGS, LOCAL)
    with pytest.raises(InputError, match=r"differs in pool\)"):
        decontaminate_shards(pool, two, known, DecontaminateSettings(), LOCAL)


@pytest.mark.usefixtures("in_turn")
def test_a_pool_is_not_its_own_output(pool: Path) -> None:
    with pytest.raises(InputError, match="made from other inputs"):
        dedup_shards(pool, pool, SETTINGS, LOCAL)


def test_a_killed_dedup_does_not_go_on_with_another_pool(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def first_step_only(task: Any, names: list[str], *_: object) -> None:
        if "_fingerprint" not in repr(task):
            raise Killed
        for name in names:
            task(name)

    monkeypatch.setattr(dedup_module, "run_tasks", first_step_only)
    with pytest.raises(Killed):
        dedup_shards(pool, pool.parent / "out", SETTINGS, LOCAL)
    shards.write_problems(shards_of(pool)[0], _problems(pool)[:10], [])
    (pool / "counts.json").unlink()  # it is another pool, of other hands
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"differs in pool\)"):
        dedup_shards(pool, pool.parent / "out", SETTINGS, LOCAL)


def test_a_changed_source_or_setting_is_not_answered_by_what_was_read_before(pool: Path) -> None:
    file, settings = pool.parent / "rows.jsonl", IngestSettings(keep_unverifiable=True)
    with pytest.raises(InputError, match=r"differs in settings\)"):
        ingest_shards(pool, [file], None, settings)
    with file.open("a") as rows:
        rows.write(json.dumps(_row(300)) + "\n")
    with pytest.raises(InputError, match=r"differs in source 1, .*rows\.jsonl\)"):
        ingest_shards(pool, [file])


def test_two_processes_do_not_fill_one_folder(pool: Path) -> None:
    (pool.parent / "out").mkdir()
    with locked(pool.parent / "out"):
        for fill in (
            lambda out: dedup_shards(pool, out, SETTINGS, LOCAL),
            lambda out: decontaminate_shards(pool, out, {}, DecontaminateSettings(), LOCAL),
            lambda out: ingest_shards(out, [pool.parent / "rows.jsonl"]),
        ):
            with pytest.raises(InputError, match="another process writes there"):
                fill(pool.parent / "out")
