"""Files of scores that are broken, wrongly typed or made to fill memory: one line each, and never a guess."""

import json
import zipfile

import pytest

from limo.core.errors import InputError, LimoError
from limo.core.records import Problem
from limo.stages import score_imports
from limo.stages.score_imports import import_scores

PROBLEM = Problem.make("What is 1 plus 1?", "2")
SAMPLE = {"input": PROBLEM.problem, "scores": {"match": {"value": "C"}}}
LM_EVAL = {"doc": {"question": PROBLEM.problem}, "filtered_resps": ["2"], "exact_match": 1.0, "filter": "none"}
LIGHTEVAL = {"doc": {"query": PROBLEM.problem}, "metric": {"em": 1.0}}
WRONG = [None, 7, "x", [], [1], {}, {"a": 1}, True, 10**400, "\x1b[2J", "\ud800"]


def imported(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_scores([file], "m", "sums", [PROBLEM], tmp_path / "run")


def variants(row):
    """The row with each of its values, and those inside them, replaced by each wrong one or left out."""
    for key, value in row.items():
        yield from ({**row, key: wrong} for wrong in WRONG)
        yield {name: rest for name, rest in row.items() if name != key}
        if isinstance(value, dict):
            yield from ({**row, key: inner} for inner in variants(value))


@pytest.mark.parametrize("format", ["inspect", "eval", "lm-eval", "lighteval"])
def test_wrong_types_anywhere_are_no_scores(tmp_path, format):
    row = {"inspect": SAMPLE, "eval": SAMPLE, "lm-eval": LM_EVAL, "lighteval": LIGHTEVAL}[format]
    for changed in variants(row):
        for rows in ([changed], [row, changed], changed):  # the first row decides the format
            try:
                if format == "eval":
                    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
                        for number, one in enumerate(rows if isinstance(rows, list) else [rows]):
                            archive.writestr(f"samples/{number}.json", json.dumps(one))
                    import_scores([tmp_path / "a.eval"], "m", "sums", [PROBLEM], tmp_path / "run")
                elif format == "inspect":
                    imported(tmp_path, "a.json", json.dumps({"eval": {}, "samples": rows}))
                else:
                    imported(tmp_path, "a.jsonl", "".join(json.dumps(one) + "\n" for one in rows))
            except LimoError:
                pass


@pytest.mark.parametrize("name", ["a.json", "a.eval", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"[1]", b'"x"', b"[" * 100_000, b'{"eval":' * 100_000, b"\xff\xfe\x00",
     b"PK\x03\x04" + b"x" * 99, b"PAR1" + b"x" * 99],
)  # fmt: skip
def test_what_is_no_log_is_one_line(tmp_path, name, content):
    with pytest.raises(LimoError):
        imported(tmp_path, name, content)


def test_a_zip_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(score_imports, "MAX_ENTRY_BYTES", 1000)
    monkeypatch.setattr(score_imports, "MAX_LOG_BYTES", 5000)
    for sizes in ([2000], [900] * 6):
        with zipfile.ZipFile(tmp_path / "a.eval", "w", zipfile.ZIP_DEFLATED) as archive:
            for number, size in enumerate(sizes):
                archive.writestr(f"samples/{number}.json", json.dumps(SAMPLE | {"x": " " * (size - 100)}))
        with pytest.raises(InputError, match="too large"):
            import_scores([tmp_path / "a.eval"], "m", "sums", [PROBLEM], tmp_path / "run")


@pytest.mark.parametrize("damage", ["encrypted", "cut", "other data"])
def test_a_damaged_zip_is_one_line(tmp_path, damage):
    file = tmp_path / "a.eval"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples/0.json", json.dumps(SAMPLE) + " " * 5000)
    raw = bytearray(file.read_bytes())
    at = raw.index(b"PK\x01\x02")
    if damage == "encrypted":
        raw[at + 8] |= 1
        raw[6] |= 1
    elif damage == "cut":
        raw = raw[: at + 20]
    else:
        raw[50:60] = b"\xff" * 10
    file.write_bytes(raw)
    with pytest.raises(InputError):
        import_scores([file], "m", "sums", [PROBLEM], tmp_path / "run")


@pytest.mark.parametrize("stored", [b"", b"[]", b'{"m": 1}', b'{"m": [{"seed": "x", "outcomes": {}}]}', b"[" * 100_000,
                                    b'{"m": [{"seed": 0, "outcomes": {"a": {"p": 7}}}]}'])  # fmt: skip
def test_scores_that_are_there_already_and_broken_are_not_written_over(tmp_path, stored):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scores.json").write_bytes(stored)
    with pytest.raises(InputError, match="does not hold scores"):
        imported(tmp_path, "a.json", json.dumps({"eval": {}, "samples": [SAMPLE]}))
    assert (tmp_path / "run" / "scores.json").read_bytes() == stored
