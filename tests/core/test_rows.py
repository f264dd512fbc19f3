"""Every container gives the same rows, and a row that cannot be read keeps its line number."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limo.core import rows as core_rows
from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.rows import read_file as rows
from limo.core.rows import read_rows, write_rows
from limo.core.text import MAX_DEPTH, parse_json
from limo.pool.sources.readers import stem

ROWS = [{"problem": "1+1?", "answer": "2"}, {"problem": "line\u2028separator", "answer": "3"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def _write(folder: Path, name: str) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif name.endswith(".jsonl.zst"):
        with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream:
            stream.write(LINES)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(LINES))
    elif name == "list.json":
        path.write_text(json.dumps(ROWS))
    elif name == "wrapped.json":
        path.write_text(json.dumps({"version": 1, "data": ROWS}))
    elif name.endswith("csv"):
        path.write_text("problem,answer\n1+1?,2\nline\u2028separator,3\n", encoding="utf-8")
    else:
        path.write_bytes(LINES)
    return path


@pytest.mark.parametrize(
    "name",
    ["a.parquet", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "list.json", "wrapped.json", "misnamed.json", "a.csv"],
)
def test_every_container_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    assert [row.value for row in rows(_write(tmp_path, name))] == ROWS


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_chinese_is_written_as_it_is_and_surrogates_and_odd_line_ends_come_back(tmp_path: Path, name: str) -> None:
    texts = [{"text": "三加四"}, {"text": "a\u2028b\x85c\u2029d \ud800"}]
    write_rows(texts, str(tmp_path / name))
    assert read_rows(tmp_path / name) == texts
    if name == "a.jsonl":
        assert (
            "三加四" in (tmp_path / name).read_bytes().decode() and len((tmp_path / name).read_text().splitlines()) == 2
        )


def test_a_row_is_split_on_newline_only(tmp_path: Path) -> None:
    assert len(list(rows(_write(tmp_path, "a.jsonl")))) == 2  # str.splitlines would give 3


def test_malformed_lines_come_out_with_their_line_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"problem": "p"}\nnot json\n\n[1]\n\xff\xfe\n{"problem": "q"\n{"problem": "r"}\n')
    found = list(rows(path))
    assert [row.line for row in found] == [1, 2, 4, 5, 6, 7]
    assert [bool(row.error) for row in found] == [False, True, True, True, True, False]


def test_deeply_nested_json_is_a_malformed_row_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"problem": ' + "[" * 200_000 + "\n" + '{"problem": "fine"}\n')
    assert [bool(row.error) for row in rows(path)] == [True, False]


def test_a_csv_row_with_too_many_or_too_few_cells_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("problem,answer\np,1\nq\nr,1,2\ns,4\n")
    assert [bool(row.error) for row in rows(path)] == [False, True, True, False]


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    _write(tmp_path, "z.jsonl")
    _write(tmp_path / "b", "a.parquet")
    (tmp_path / "README.md").write_text("no pool")
    assert [row.file for row in rows(tmp_path)] == ["b/a.parquet"] * 2 + ["z.jsonl"] * 2


def test_what_cannot_be_read_gives_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "a.docx").write_bytes(b"x")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(LINES * 50)[:-20])
    (tmp_path / "folder").mkdir()
    for name, kind in [
        ("empty.jsonl", InputError),
        ("a.docx", InputError),
        ("broken.parquet", StorageError),
        ("cut.jsonl.gz", StorageError),
        ("folder", InputError),
        ("absent.jsonl", MissingFileError),
    ]:
        with pytest.raises(kind) as error:
            list(rows(tmp_path / name))
        assert name in str(error.value) and "\n" not in str(error.value)


def test_the_stem_loses_all_suffixes_of_a_pool_file() -> None:
    assert [stem(name) for name in ("a/b.jsonl.gz", "c.d.parquet", "e")] == ["b", "c.d", "e"]


@pytest.fixture
def small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_rows, "MAX_ROW_BYTES", 1000)


@pytest.mark.parametrize("filler", [b"\0", b" ", b"[", b'"', b"x"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json.gz"])
def test_a_row_that_unpacks_to_more_than_a_row_may_hold_is_an_error_and_the_next_is_read(
    tmp_path: Path, small_rows: None, filler: bytes, name: str
) -> None:
    text = b'{"a": "' + filler * 5000 + b'"}\n{"a": 1}\n' + filler * 2500
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    first, second, third = rows(path)
    assert first.error.startswith("longer than") and second.value == {"a": 1} and third.error.startswith("longer than")
    assert (first.line, second.line, third.line) == (1, 2, 3)


def test_a_csv_without_an_end_of_line_is_not_held_whole(tmp_path: Path, small_rows: None) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n" + b"x" * 50_000 + b"\n3,4\n"))
    assert [row.value or bool(row.error) for row in rows(path)] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def nested(depth: int) -> object:
    value: object = 1
    for n in range(depth):
        value = [value] if n % 2 else {"a": value}
    return value


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 5000])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_row_nested_too_deeply_is_one_row_with_its_error(tmp_path: Path, depth: int, name: str) -> None:
    inner = "[" * depth + "1" + "]" * depth
    (tmp_path / name).write_text(f'{{"meta": {inner}}}\n{{"a": [1], "b": "[[[["}}\n')
    bad, good = rows(tmp_path / name)
    assert "nested deeper than 100" in bad.error and good.value == {"a": [1], "b": "[[[["}


def test_what_is_nested_less_deeply_or_wide_is_read() -> None:
    value = {"a": nested(MAX_DEPTH - 1), "wide": [[1]] * 500}
    assert parse_json(json.dumps(value)) == parse_json(json.dumps(value).encode()) == value
    for depth in (MAX_DEPTH + 5, 300, 100_000):
        with pytest.raises(ValueError, match="deeper"):
            parse_json("[" * depth + "]" * depth)


@pytest.mark.parametrize("file", ["state.json", "dataset_info.json"])
@pytest.mark.parametrize("content", ['{"a":' * 100_000, "[]", "null", "x"], ids=["deep", "list", "null", "text"])
def test_a_saved_dataset_whose_notes_are_damaged_is_named(tmp_path: Path, file: str, content: str) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"a": [1, 2]}).save_to_disk(tmp_path / "saved")
    assert [row.value for row in rows(tmp_path / "saved")] == [{"a": 1}, {"a": 2}]
    (tmp_path / "saved" / file).write_text(content)
    with pytest.raises(StorageError, match=r"the dataset is damaged: .*saved"):
        list(rows(tmp_path / "saved"))


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "a.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone.jsonl")
    with pytest.raises(MissingFileError, match=r"leads nowhere: .*b\.jsonl"):
        list(rows(tmp_path))


def test_dates_and_durations_that_python_cannot_hold_are_text(tmp_path: Path) -> None:
    far = pa.array([0, 10**9, None], pa.int32()).cast(pa.date32())

    moment = pa.array([1, 2**50, None], pa.int64()).cast(pa.timestamp("s"))
    inside = pa.StructArray.from_arrays([moment], ["at"])
    pq.write_table(pa.table({"n": [1, 2, 3], "d": far, "t": moment, "s": inside}), tmp_path / "a.parquet")
    first, second, third = (row.value for row in rows(tmp_path / "a.parquet"))
    assert first["n"] == 1 and first["d"].year == 1970 and second["n"] == 2
    assert isinstance(second["d"], str) and isinstance(second["t"], str) and isinstance(second["s"], str)
    assert third == {"n": 3, "d": None, "t": None, "s": {"at": None}}


MIXED: list[dict[str, object]] = [
    {"a": 1, "messages": [{"role": "user", "content": "x"}], "only": {}},
    {"a": "one", "b": 1.5, "messages": [{"role": "user", "content": "\ud800"}]},
    {"a": None, "b": 2, "late": [1, "2", None], "text": "\u2028\0\n"},
]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_rows_of_mixed_types_with_missing_columns_come_back(tmp_path: Path, name: str) -> None:
    write_rows(MIXED, str(tmp_path / name))
    found = read_rows(tmp_path / name)
    for row, before in zip(found, MIXED, strict=True):
        assert {key: value for key, value in row.items() if value is not None} == {
            key: value for key, value in before.items() if value is not None
        }


def test_messages_in_parquet_are_lists_and_structs_for_other_programs(tmp_path: Path) -> None:
    write_rows([{"messages": [{"role": "user", "content": "x"}], "n": 1}], str(tmp_path / "a.parquet"))
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [
        {"messages": [{"role": "user", "content": "x"}], "n": 1}
    ]


@pytest.mark.parametrize("name", ["a.csv", "a", "a.parquet.gz", "a.json"])
def test_rows_are_not_written_as_something_else_than_their_name_says(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="rename it"):
        write_rows(MIXED, str(tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_a_column_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the name of a column"):
        write_rows([{"\ud800": 1}], str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("line", ['{"a": 1, "a": 2}', '{"m": {"x": 1, "y": 0, "x": 1}}', '{"l": [{"k": 1, "k": 1}]}'])
def test_a_key_that_stands_twice_makes_a_row_malformed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line + '\n{"a": 1, "b": {"a": 1}}\n')
    first, second = rows(path)
    assert "stands twice" in first.error and second.value == {"a": 1, "b": {"a": 1}}
    (tmp_path / "a.json").write_text(f"[{line},\n {line}]")
    with pytest.raises(InputError, match="stands twice"):
        read_rows(tmp_path / "a.json")


def test_columns_of_one_name_and_a_broken_line_of_names_end_reading_a_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("problem,answer,answer\n1+1?,2,3\n")
    with pytest.raises(InputError, match=r"two columns have the same name.*answer"):
        read_rows(tmp_path / "a.csv")
    table = pa.Table.from_arrays([pa.array(["1+1?"]), pa.array(["2"]), pa.array(["3"])], names=["problem", "a", "a"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"two columns have the same name.*'a'"):
        read_rows(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text('"problem,answer\n1+1?,2\n')
    with pytest.raises(InputError, match="first line of the file is no CSV"):
        read_rows(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text(",problem,answer\n0,1+1?,2\n")  # as pandas writes its index
    assert read_rows(tmp_path / "c.csv") == [{"": "0", "problem": "1+1?", "answer": "2"}]


def test_a_map_of_parquet_is_an_object_unless_a_key_stands_twice(tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.int64())
    column = pa.array([[("a", 1), ("b", 2)], None, [("a", 1), ("a", 2)]], type=kind)
    pq.write_table(pa.table({"m": column}), tmp_path / "a.parquet")
    values = [row["m"] for row in read_rows(tmp_path / "a.parquet")]
    assert values == [{"a": 1, "b": 2}, None, [("a", 1), ("a", 2)]]


def test_an_empty_path_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, "a.jsonl")
    with pytest.raises(MissingFileError, match="the path is empty"):
        rows("")
    assert [row.value for row in rows(".")] == ROWS


LINE = '{"problem": "1+1?", "answer": "2"}\n'
NO_TEXT = {
    "gzip": (gzip.compress(LINE.encode()), r"\.gz"),
    "Zstandard": (pa.compress(LINE.encode(), "zstd", asbytes=True), r"\.zst"),
    "zip": (b"PK\x03\x04" + LINE.encode(), "zip"),
    "Parquet": (b"PAR1" + LINE.encode(), r"\.parquet"),
    "UTF-16": (LINE.encode("utf-16"), "UTF-16"),
    "UTF-16, no mark": (LINE.encode("utf-16-le"), "UTF-16"),
    "UTF-16, big end first": (b"\xfe\xff" + LINE.encode("utf-16-be"), "UTF-16"),
    "UTF-32": (LINE.encode("utf-32"), "UTF-16"),
}


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("kind", NO_TEXT)
def test_a_file_that_is_no_text_by_its_first_bytes_is_told_by_its_kind(tmp_path: Path, kind: str, ending: str) -> None:
    content, said = NO_TEXT[kind]
    (tmp_path / f"a.{ending}").write_bytes(content)
    with pytest.raises(InputError, match=f"is no text: .*a.{ending}: {said}"):
        read_rows(tmp_path / f"a.{ending}")


def test_lines_that_end_in_a_carriage_return_alone_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINE.replace("\n", "\r") * 3, newline="")
    (row,) = rows(tmp_path / "a.jsonl")
    assert "carriage return alone" in row.error
    (tmp_path / "a.jsonl").write_text(LINE.replace("\n", "\r\n") * 3, newline="")
    assert len(read_rows(tmp_path / "a.jsonl")) == 3


def test_json_lines_that_are_named_csv_are_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('{"problem": "1 + 1?", "answer": "2"}\n{"problem": "2 + 1?", "answer": "3"}\n')
    with pytest.raises(InputError, match=r"holds JSON lines, not columns.*rename it to \.jsonl"):
        read_rows(path)
