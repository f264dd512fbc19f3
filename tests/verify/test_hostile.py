"""Whatever a model writes, every row gets a verdict in bounded time, and no process is left behind."""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from limo.verify.check import Checker
from limo.verify.engine import Limits

LIMITS = Limits(time_s=0.5, memory_bytes=1 << 30)
FIVES = {"\u202e5\u202c", "5\u200b\u200c\u200d\ufeff", "\x00\x01\x02 5"}  # these are 5, in disguise
NASTY = [
    "9^{9^{9^{9}}}",
    "9^9^9^9^9",
    "2^{2^{2^{2^{2^{2}}}}}",
    "(((10!)!)!)!",
    "1000000!",
    "99999999999999999999!",
    "10^{10^{10}}!",
    "\\binom{10^9}{10^8}",
    "\\binom{999999}{500000}^{9999}",
    "e^{e^{e^{e^{9}}}}",
    "\\exp(\\exp(\\exp(99)))",
    "\\sqrt[10^9]{2}",
    "10^{-10^{10}}",
    "1e999999999",
    "1e-999999999",
    "0^{-1}",
    "1/0",
    "\\frac{0}{0}",
    "\\log 0",
    "\\tan 90^\\circ",
    "\\infty-\\infty",
    "0^0",
    "\\sum_{k=1}^{10^{12}} k^k",
    "\\prod_{k=1}^{10^9} k",
    "\\int_0^\\infty e^{e^{e^x}} dx",
    "\\lim_{x\\to 0} x^{x^{x^x}}",
    "{" * 5000 + "1" + "}" * 5000,
    "(" * 5000 + "1" + ")" * 5000,
    "\\frac{" * 3000 + "1" + "}{1}" * 3000,
    "\\sqrt{" * 2000 + "2" + "}" * 2000,
    "-" * 10000 + "1",
    "+".join(["x"] * 20000),
    "1" * 1_000_000,
    "1," * 100_000,
    "x^" * 5000 + "x",
    "[" * 5000,
    "|" * 5000,
    "a_" * 5000,
    "\x00\x01\x02 5",
    "\u202e5\u202c",
    "5\u200b\u200c\u200d\ufeff",
    "\ud800",
    "\U0010ffff" * 100,
    "\u0660\u0661",
    "٣",
    "五" * 5000,
    "\\input{/etc/passwd}",
    "\\write18{touch marker}",
    "\\catcode`\\{=12",
    "\\def\\a{\\b}\\def\\b{\\a}\\a",
    "\\newcommand{\\x}{\\x\\x}\\x",
    "__import__('os').system('touch marker')",
    "open('marker','w')",
    "eval('9**9**9')",
    "lambda: 0",
    "().__class__.__mro__",
    "a" * 40 + "!" + "a" * 40,
    "((a+)+)+$" * 500,
    "$" * 100_001,
    "\\text{" * 3000,
    "\\boxed{" * 3000 + "7",
    "=" * 20000,
    "1=" * 20000,
    "(x+y+z+w+a+b)^{2000}",
    "(1+x)^{(1+x)^{(1+x)^{99}}}",
    "\\begin{pmatrix}" + "&".join(["9^9"] * 2000) + "\\end{pmatrix}",
    "\\begin{pmatrix}" * 200,
    "\\{" + ",".join(str(i) for i in range(900)) + "\\}",
    "\\pm" * 500 + "1",
    "1\\pm2\\pm3\\pm4\\pm5\\pm6" * 40,
    "\\sin" * 5000 + "x",
    "f(" * 3000 + "x" + ")" * 3000,
    "%" * 9999,
    "1\\%" + "\\%" * 999,
    "\\frac" * 4000,
    "\\left" * 4000,
]
ORDINARY = ("\\frac{1}{2}", "5", "x^2+1", "(0,1)", "\\int_0^1 x dx")


def rows():
    """Each nasty text as completion, in a box and bare, and as answer."""
    for i, text in enumerate(NASTY):
        yield (ORDINARY[i % 4], f"\\boxed{{{text}}}", "stop")
        yield (ORDINARY[i % 4], text, "stop")
        yield (text, "\\boxed{5}", "stop")


def children():
    return [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]


def assert_all_decided(verdicts):
    assert len(verdicts) == 3 * len(NASTY) >= 180
    disguised = [text in FIVES for text in NASTY for _ in range(3)]
    assert not [v for v, five in zip(verdicts, disguised, strict=True) if v.outcome == "correct" and not five]
    assert {v.outcome for v in verdicts} <= {"correct", "wrong", "undecided", "no_answer", "truncated"}


def test_every_eleventh_of_the_hostile_texts_gets_a_verdict_quickly():
    with Checker(limits=LIMITS) as made:
        assert all(
            v.outcome != "correct" or v.extracted.strip("\x00\x01\x02 ")[:1] == "5"
            for v in made.check_many([*rows()][::11])
        )


@pytest.mark.slow
def test_a_hostile_list_is_finished_in_bounded_time_and_nothing_is_left_running(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, start, memory = len(children()), time.monotonic(), psutil.Process().memory_info().rss
    with Checker(limits=LIMITS) as checker:
        assert_all_decided(list(checker.check_many(rows())))
    assert time.monotonic() - start < 100
    assert psutil.Process().memory_info().rss - memory < 200 << 20
    assert len(children()) == before
    assert not (tmp_path / "marker").exists()


@pytest.mark.slow
def test_hostile_texts_are_survived_in_the_children_too():
    with Checker(2, LIMITS) as checker:
        assert_all_decided(list(checker.check_many(rows())))
    assert not children()


def test_a_text_equal_to_a_nasty_answer_is_still_correct():
    with Checker(limits=LIMITS) as checker:
        for text in ("9^{9^{9^{9}}}", "1/2004!", "2024^{4046}"):
            assert checker.check(text, f"\\boxed{{{text}}}").outcome == "correct"


@pytest.fixture(scope="module")
def checker():
    with Checker(limits=Limits(time_s=10.0)) as made:
        yield made


SYMBOLIC = ("\\int_0^1 x dx", "\\boxed{\\int_0^1 y dy}")


def test_it_works_from_many_threads_at_once(checker):
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(checker.check(*SYMBOLIC).outcome)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["correct"] * 6


def test_it_works_under_asyncio(checker):
    async def main():
        direct = checker.check(*SYMBOLIC)
        return [direct, *await asyncio.gather(*(asyncio.to_thread(checker.check, *SYMBOLIC) for _ in range(3)))]

    assert [v.outcome for v in asyncio.run(main())] == ["correct"] * 4


def _in_daemon(queue):
    with Checker() as inner:
        queue.put(inner.check(*SYMBOLIC).outcome)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_it_works_inside_a_daemon_process(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_in_daemon, args=(queue,), daemon=True)
    process.start()
    assert queue.get(timeout=120) == "correct"
    process.join(30)


def test_simple_answers_never_start_a_process():
    with Checker() as made:
        assert made.check("5", "\\boxed{5}").outcome == "correct"
        assert made.check("\\frac12", "\\boxed{0.6}").outcome == "wrong"
        assert made._worker.n_started == 0


def test_importing_the_checker_loads_neither_sympy_nor_math_verify():
    heavy = "('sympy', 'math_verify', 'torch', 'mpmath')"
    code = f"import limo.verify.check, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_child_whose_parent_was_killed_ends_by_itself(tmp_path):
    code = (
        "import sys\nfrom limo.verify.check import Checker\nc = Checker()\n"
        "c.check('\\\\int_0^1 x dx', '\\\\boxed{\\\\int_0^1 y dy}')\n"
        "print(c._worker._child.process.pid, flush=True)\nsys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=30)
    assert gone


def test_an_interrupted_file_is_valid_as_far_as_it_goes_and_nothing_runs_on(tmp_path):
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text(
        "".join(json.dumps({"answer": "5", "completion": f"\\boxed{{{i}}}"}) + "\n" for i in range(400_000))
    )
    code = (
        "import sys\nfrom limo.verify.files import verify_file\nfrom limo.errors import PartialError\n"
        "try:\n    verify_file(sys.argv[1], sys.argv[2], n_workers=2)\n"
        "except PartialError as e:\n    print(e); sys.exit(3)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(source), str(out)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    process = psutil.Process(parent.pid)
    deadline = time.monotonic() + 60
    while not any(p.stat().st_size > 100_000 for p in tmp_path.glob(".out.jsonl*")) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    offspring = process.children(recursive=True)
    parent.send_signal(signal.SIGINT)
    assert parent.wait(60) == 3
    _, alive = psutil.wait_procs(offspring, timeout=20)
    assert not alive
    lines = out.read_text().splitlines()
    assert 0 < len(lines) < 400_000
    assert [json.loads(line)["completion"] for line in lines] == [f"\\boxed{{{i}}}" for i in range(len(lines))]
