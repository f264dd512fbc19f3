"""The ledger: what was paid for is there once, whole, and survives whatever ends the process."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from contextlib import closing
from dataclasses import astuple, replace
from itertools import chain
from pathlib import Path

import pytest

from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.records import Completion, Provenance, Rollout, Verdict
from limo.ledger.schema import APPLICATION_ID, MIGRATIONS
from limo.ledger.store import Ledger, provenance


def rollout(problem="p1", index=0, text="so \\boxed{4}", model="m", verdict=None, **completion):
    return Rollout(problem, model, "prompt", "sampling", index, Completion(text, **completion), verdict)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger(path) as opened:
        yield opened


RIGHT = Verdict("correct", "4", "same string", "string", 0.25, "4.0", "rules/1")


def test_a_rollout_comes_back_as_it_was(ledger, path):
    one = rollout(
        verdict=RIGHT, finish_reason="length", n_prompt_tokens=3, n_completion_tokens=9, elapsed_s=0.5, error="why"
    )
    assert ledger.add([one]) == 1
    assert list(ledger.rollouts()) == [one]
    with Ledger(path, read_only=True) as again:
        assert list(again.rollouts()) == [one]


@pytest.mark.parametrize("text", ["", "\x00 null", "\u2028", "🙂", "x" * 200_000], ids=len)
def test_any_text_of_a_model_comes_back(ledger, text):
    ledger.add([rollout(text=text)])
    assert next(ledger.rollouts()).completion.text == text


def test_even_broken_characters_can_be_stored(ledger):
    ledger.add([rollout(text="a\ud800b")])
    stored = next(ledger.rollouts()).completion.text
    assert stored[0] == "a" and stored[-1] == "b"


def test_the_same_rollout_is_kept_once_and_the_first_stays(ledger):
    assert ledger.add([rollout(text="first")]) == 1
    assert ledger.add([rollout(text="second"), rollout(index=1)]) == 1
    assert [one.completion.text for one in ledger.rollouts()] == ["first", "so \\boxed{4}"]
    assert len(ledger) == 2


def test_a_failure_gives_way_to_an_answer_and_never_the_other_way(ledger):
    failed = rollout(text="", finish_reason="error", error="timeout", verdict=Verdict("undecided"))
    ledger.add([failed])
    assert ledger.add([rollout()]) == 1
    assert ledger.add([failed]) == 0
    (kept,) = ledger.rollouts()
    assert (kept.completion.finish_reason, kept.verdict) == ("stop", None)


@pytest.mark.parametrize("column", ["problem_id", "model", "prompt_hash", "sampling_hash", "index"])
def test_a_rollout_that_cannot_be_named_is_refused_and_never_left_out(path, column):
    with Ledger(path) as ledger:
        with pytest.raises(StorageError):
            ledger.add([rollout(), replace(rollout(index=1), **{column: None}), rollout(index=2)])
        assert len(ledger) == 0


def test_large_groups_are_added_as_one_after_another_would_be(ledger):
    draw, kept = random.Random(7), {}
    for _ in range(4):
        group = [
            rollout(f"p{draw.randrange(30)}", draw.randrange(30), text=str(draw.random()),
                    finish_reason=draw.choice(["stop", "error"]), verdict=draw.choice([None, RIGHT]))
            for _ in range(700)
        ]  # fmt: skip
        wanted = 0
        for one in group:
            before = kept.get(one.key)
            is_answer = one.completion.finish_reason != "error"
            if before is None or (is_answer and before.completion.finish_reason == "error"):
                kept[one.key] = one
                wanted += 1
        assert ledger.add(group) == wanted
    assert {one.key: one for one in ledger.rollouts()} == kept
    assert ledger.integrity_errors() == []


def test_rollouts_are_found_by_whom_and_how_in_an_order_that_is_not_of_arrival(ledger):
    ledger.add([rollout("p2", 1), rollout("p2", 0), rollout("p1", 0), rollout("p1", 0, model="other")])
    assert [(one.problem_id, one.index) for one in ledger.rollouts("m")] == [("p1", 0), ("p2", 0), ("p2", 1)]
    assert list(ledger.rollouts("m", "another prompt")) == []
    assert list(ledger.rollouts("m", "prompt", "another sampling")) == []


def test_a_verdict_is_attached_and_replaced_and_never_without_its_rollout(ledger):
    ledger.add([rollout()])
    key = rollout().key
    for verdict in (RIGHT, replace(RIGHT, outcome="wrong")):
        ledger.set_verdicts([(key, verdict)])
        assert next(ledger.rollouts()).verdict == verdict
    with pytest.raises(KeyError):
        ledger.set_verdicts([(key, RIGHT), (("p9", *key[1:]), RIGHT)])
    assert next(ledger.rollouts()).verdict.outcome == "wrong"  # nothing of the batch was written
    assert ledger.integrity_errors() == []


def test_a_block_is_written_whole_or_not_at_all(ledger):
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.add([rollout()])
        _ = 1 / 0
    assert len(ledger) == 0


def test_the_first_meaning_of_a_name_stays(ledger):
    assert ledger.define("model", "h", "these files") == "these files"
    assert ledger.define("model", "h", "other files") == "these files"


def test_what_is_no_ledger_is_named_in_one_line(tmp_path):
    with pytest.raises(MissingFileError, match="no ledger"):
        Ledger(tmp_path / "none.sqlite", read_only=True)
    (tmp_path / "text.sqlite").write_text("not a database, though long enough to look like one" * 20)
    with pytest.raises(StorageError, match="of another program"):
        Ledger(tmp_path / "text.sqlite")
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(StorageError, match="another program"):
        Ledger(tmp_path / "other.sqlite")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        Ledger(tmp_path / "file" / "ledger.sqlite")


def test_a_ledger_of_the_future_is_refused_and_left_alone(path):
    with Ledger(path) as ledger:
        ledger.add([rollout()])
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StorageError, match="version"):
        Ledger(path)


def old_ledger(path, version):
    """A ledger as limo wrote it at `version`, with one rollout and its verdict."""
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for statement in chain(*MIGRATIONS[:version]):
            raw.execute(statement)
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute(f"PRAGMA user_version = {version}")
        row = ["p1", "m", "prompt", "sampling", 3, "text", "stop", 1, 2, 0.5, ""] + (["hm"] if version > 2 else [])
        verdict = ["correct", "4", "same string", "string", 0.25, "4.0", "rules/1"]
        for table, values in (("rollouts", row), ("verdicts", verdict[: {1: 5, 2: 6, 3: 6}.get(version, 7)])):
            raw.execute(f"INSERT INTO {table} VALUES (7{', ?' * len(values)})", values)
        raw.execute("INSERT INTO meanings VALUES ('prompt', 'prompt', 'Be brief.')")


@pytest.mark.parametrize("read_only", [False, True], ids=["written", "read"])
@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_an_older_ledger_is_upgraded_with_all_that_was_in_it(path, version, read_only):
    old_ledger(path, version)
    verdict = replace(RIGHT, answer=RIGHT.answer if version > 1 else "", verifier="rules/1" if version > 3 else "")
    for _ in range(2):  # upgraded once
        with Ledger(path, read_only) as ledger:
            (stored,) = ledger.rollouts()
            assert stored.key == ("p1", "m", "prompt", "sampling", 3) and stored.verdict == verdict
            assert (stored.completion.text, stored.completion.reasoning) == ("text", "hm" if version > 2 else "")
            assert ledger.usage_by_model() == {"m": (1, 1, 2)}
            assert ledger.definitions() == {("prompt", "prompt"): "Be brief."}
            assert ledger.integrity_errors() == []
    with Ledger(path) as ledger:
        assert ledger.add([replace(stored, index=4), stored]) == 1


def test_an_older_ledger_that_cannot_be_written_names_the_command_that_upgrades_it():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        old_ledger(path, 4)
        os.chmod(path, 0o444)
        os.chmod(folder, 0o555)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            if os.geteuid() == 0:
                os.setuid(65534)  # the permissions do not bind root
            try:
                Ledger(path, read_only=True)
            except StorageError as error:
                os.write(writer, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        message = os.read(reader, 10_000).decode()
        os.chmod(folder, 0o755)
    assert "version 4" in message and str(path) in message and "limo ledger show ledger.sqlite" in message


def test_an_empty_file_is_not_made_a_ledger_by_reading_it(tmp_path):
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(StorageError, match="empty"):
        Ledger(tmp_path / "empty.sqlite", read_only=True)
    assert (tmp_path / "empty.sqlite").stat().st_size == 0


def test_a_full_disk_is_named_and_what_was_committed_stays(ledger):
    ledger.add([rollout()])
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StorageError, match="disk is full"):
        ledger.add([rollout(index=n, text="x" * 5000) for n in range(1, 50)])
    assert len(ledger) == 1
    assert ledger.integrity_errors() == []


def test_killed_in_the_middle_of_a_group_it_holds_whole_groups_only(path):
    code = """
        import os, signal, sys
        sys.path.insert(0, sys.argv[2])
        from test_ledger import rollout
        from limo.ledger.store import Ledger

        def group(ledger):
            yield rollout(index=1)
            yield rollout(index=2)
            os.kill(os.getpid(), signal.SIGKILL)

        ledger = Ledger(sys.argv[1])
        ledger.add([rollout(index=0)])
        with ledger.transaction():
            for one in group(ledger):
                ledger.add([one])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path), os.path.dirname(__file__)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with Ledger(path) as ledger:
        assert [one.index for one in ledger.rollouts()] == [0]
        assert ledger.integrity_errors() == []
        assert ledger.add([rollout(index=1)]) == 1


def test_merging_takes_what_is_new_once_and_answers_before_failures(tmp_path):
    failed = rollout(index=1, text="", finish_reason="error", error="away", verdict=Verdict("undecided"))
    with Ledger(tmp_path / "a.sqlite") as a:
        a.add([rollout(text="ours"), failed])
        a.define("model", "m", "these files")
    with Ledger(tmp_path / "b.sqlite") as b:
        b.add([rollout(text="theirs", verdict=RIGHT), rollout(index=1, reasoning="hm")])
        b.add([rollout(index=2, verdict=RIGHT)])
        b.define("model", "m", "these files")
        b.count_lost("m", "cancelled", 3, 40)
        b.add_seconds(2.5)
    with Ledger(tmp_path / "a.sqlite") as a:
        assert a.merge(tmp_path / "b.sqlite") == (2, 1)  # "theirs" is another text
        assert [r.completion.text for r in a.rollouts()] == ["ours", "so \\boxed{4}", "so \\boxed{4}"]
        assert [r.completion.reasoning for r in a.rollouts()] == ["", "hm", ""]
        assert (a.n_lost(), a.seconds()) == (3, 2.5)
        assert a.merge(tmp_path / "b.sqlite") == (0, 1)
        assert (len(a), a.n_lost(), a.seconds()) == (3, 3, 2.5)
        assert a.integrity_errors() == []


def test_merging_takes_a_verdict_only_for_the_very_completion_it_is_on(tmp_path):
    with Ledger(tmp_path / "a.sqlite") as a:
        a.add([rollout(text="ours"), rollout(index=1)])
    with Ledger(tmp_path / "b.sqlite") as b:
        b.add([rollout(text="theirs", verdict=RIGHT), rollout(index=1, verdict=RIGHT)])
    with Ledger(tmp_path / "a.sqlite") as a:
        assert a.merge(tmp_path / "b.sqlite") == (0, 1)
        assert [r.verdict for r in a.rollouts()] == [None, RIGHT]


def test_provenance_names_every_model_prompt_sampling_and_verifier_of_the_rollouts():
    first = rollout(verdict=RIGHT)
    assert provenance([first, replace(first, index=1, verdict=None)], "runs/a", "runs/a/ledger.sqlite") == Provenance(
        "runs/a", "runs/a/ledger.sqlite", "m", "prompt", "sampling", "rules/1"
    )
    other = replace(first, model="other", verdict=replace(RIGHT, verifier="rules/2"))
    assert provenance([other, first]) == Provenance("", "", "m, other", "prompt", "sampling", "rules/1, rules/2")


def test_ledgers_that_know_two_models_by_one_name_are_not_merged(tmp_path):
    for name in ("a", "b"):
        with Ledger(tmp_path / f"{name}.sqlite") as ledger:
            ledger.add([rollout(text=name, problem=name)])
            ledger.define("model", "m", f"files of {name}")
    with Ledger(tmp_path / "a.sqlite") as a:
        with pytest.raises(InputError, match="two models by one name"):
            a.merge(tmp_path / "b.sqlite")
        assert [r.problem_id for r in a.rollouts()] == ["a"]


def test_what_is_spent_counts_lost_requests_and_every_model(ledger):
    ledger.add([rollout(n_prompt_tokens=3, n_completion_tokens=9), rollout(index=1, n_completion_tokens=1)])
    ledger.add([rollout(model="other", n_prompt_tokens=5)])
    ledger.count_lost("m", "cancelled", 2, 100)
    assert ledger.usage_by_model() == {"m": (2, 3, 110), "other": (1, 5, 0)}
    assert (ledger.n_lost(), ledger.n_lost("other")) == (2, 0)


def test_outcomes_are_those_of_the_rollouts_without_their_texts(ledger):
    ledger.add([rollout(verdict=replace(RIGHT, answer="4")), rollout(index=1), rollout(index=2, finish_reason="error")])
    found = [astuple(stored) for stored in ledger.outcomes("m", "prompt", "sampling")]
    assert found == [
        ("p1", 0, "stop", "correct", "4", "rules/1"), ("p1", 1, "stop", "", "", ""), ("p1", 2, "error", "", "", "")
    ]  # fmt: skip
    plan = ledger._db.execute("EXPLAIN QUERY PLAN SELECT finish_reason FROM rollouts WHERE model = 'm'").fetchall()
    assert "COVERING INDEX facts" in plan[0][3]


DAMAGE = [
    "UPDATE rollouts SET rollout_index = -1",
    "UPDATE rollouts SET rollout_index = 1000000000000",
    "UPDATE rollouts SET rollout_index = 'first'",
    "UPDATE rollouts SET rollout_index = 0.5",
    "UPDATE rollouts SET n_completion_tokens = -3",
    "UPDATE rollouts SET n_prompt_tokens = 9007199254740992",
    "UPDATE rollouts SET n_prompt_tokens = 'many'",
    "UPDATE rollouts SET text = x'ff00'",
    "UPDATE rollouts SET elapsed_s = 'long'",
    "UPDATE rollouts SET model = x'6d'",
    "UPDATE verdicts SET outcome = 'perfect'",
    "UPDATE verdicts SET extracted = x'34'",
    "UPDATE definitions SET content = x'04'",
    "UPDATE definitions SET hash = x'00'",
    "INSERT INTO lost VALUES ('s', 'm', 'cancelled', -1, 0)",
    "INSERT INTO lost VALUES ('s', NULL, 'cancelled', 1, 0)",
    "INSERT INTO starts VALUES ('s', 1e300)",
    "INSERT INTO starts VALUES (NULL, 1)",
    "ALTER TABLE rollouts DROP COLUMN reasoning",
    "ALTER TABLE verdicts RENAME COLUMN tier TO rank",
    "DROP TABLE starts",
    "DROP TABLE definitions",
    "DROP INDEX facts",
    "DROP INDEX facts; CREATE INDEX facts ON rollouts(model)",
    "ALTER TABLE lost ADD COLUMN why TEXT",
    "ALTER TABLE starts DROP COLUMN seconds; ALTER TABLE starts ADD COLUMN seconds TEXT",
    "DROP TABLE definitions; CREATE TABLE definitions(hash TEXT, kind TEXT, content TEXT NOT NULL)",
    "CREATE VIEW v AS SELECT * FROM rollouts",
    "CREATE TRIGGER t AFTER INSERT ON rollouts BEGIN DELETE FROM rollouts; END",
    "ALTER TABLE rollouts RENAME TO r; CREATE VIEW rollouts AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 "
    "FROM n) SELECT * FROM r, n",
]


@pytest.mark.parametrize("read_only", [True, False], ids=["read", "written"])
@pytest.mark.parametrize("statement", DAMAGE, ids=lambda text: text[:50])
def test_a_ledger_with_what_limo_does_not_write_is_refused_in_one_line(ledger, path, statement, read_only):
    ledger.add([rollout(verdict=RIGHT)])
    ledger.define("prompt", "p", "text")
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA ignore_check_constraints = ON;" + statement)
        db.commit()
    before = path.read_bytes()
    with pytest.raises(StorageError) as caught:
        Ledger(path, read_only)
    assert "\n" not in str(caught.value) and path.read_bytes() == before
    with Ledger(path.with_name("other.sqlite")) as other, pytest.raises(StorageError):
        other.merge(path)


def test_counts_of_any_size_add_up(ledger):
    ledger.add([rollout(index=k, n_completion_tokens=1 << 40) for k in range(9)])
    assert ledger.usage_by_model()["m"].n_completion_tokens == 9 << 40


def test_tables_and_indexes_of_ones_own_do_no_harm(ledger, path):
    ledger.add([rollout()])
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE notes(text); CREATE INDEX mine ON rollouts(elapsed_s)")
    with Ledger(path) as again:
        assert len(again) == 1


def test_a_reply_that_the_server_ended_is_kept_in_place_of_a_request_that_failed_and_not_the_other_way(ledger):
    ledger.add([rollout(finish_reason="error")])
    assert ledger.add([rollout(finish_reason="other")]) == 1
    assert ledger.add([rollout(finish_reason="error")]) == 0
    assert ledger.add([rollout(finish_reason="other")]) == 0
    assert ledger.add([rollout(finish_reason="stop")]) == 1


def test_reading_leaves_no_file_beside_the_ledger(ledger, path):
    ledger.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Ledger(path, read_only=True) as again:
        list(again.rollouts())
        with pytest.raises(StorageError):
            again.add([rollout(1)])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_ledger_is_read_while_another_process_writes_it(ledger, path):
    ledger.add([rollout(0)])
    with Ledger(path, read_only=True) as reader:
        ledger.add([rollout(1)])
        assert len(reader) == 2
    assert path.with_name(path.name + "-wal").exists()


def test_a_ledger_on_media_that_cannot_be_written_is_read(ledger, path, monkeypatch):
    ledger.add([rollout()])
    ledger.close()
    monkeypatch.setattr(os, "access", lambda *_: False)  # as a read-only mount says; root may write anywhere else
    with Ledger(path, read_only=True) as again:
        assert len(again) == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_ledger_is_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a device or a pipe"):
        Ledger(tmp_path / "pipe")
