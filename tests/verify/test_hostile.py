"""Whatever a model writes, every row gets a verdict in bounded time, and no process is left behind."""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading

import psutil
import pytest

from limo.core.process.limits import CallLimits
from limo.core.records import Completion, Problem
from limo.verify.checker import Checker


def pairs(rows):
    """Problems and completions of (answer, text, finish_reason) rows."""
    return ((Problem("", "", answer), Completion(text, *rest)) for answer, text, *rest in rows)


LIMITS = CallLimits(time_s=0.5, memory_bytes=1 << 30)
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


def assert_all_decided(outcomes):
    assert len(outcomes) == 3 * len(NASTY) >= 180
    disguised = [text in FIVES for text in NASTY for _ in range(3)]
    pairs_of = zip(outcomes, disguised, strict=True)
    assert not [outcome for outcome, five in pairs_of if outcome == "correct" and not five]
    assert set(outcomes) <= {"correct", "wrong", "undecided", "no_answer", "truncated"}


@pytest.mark.parametrize("every", [31, pytest.param(11, marks=pytest.mark.slow)])
def test_some_of_the_hostile_texts_get_a_verdict_and_only_a_five_in_disguise_is_correct(every):
    asked = [*rows()][::every]
    fives = [("5", f"\\boxed{{{text}}}", "stop") for text in sorted(FIVES)]
    with Checker(limits=LIMITS) as checker:
        outcomes = [verdict.outcome for verdict in checker.verify_many(pairs(asked + fives))]
    assert len(asked) >= 200 // every
    assert set(outcomes[: len(asked)]) <= {"wrong", "undecided", "no_answer", "truncated"}
    assert outcomes[len(asked) :] == ["correct"] * len(fives)


BATCH = """
import asyncio, json, resource, sys, threading
from limo.core.records import Completion, Problem
from limo.verify.checker import Checker
from limo.core.process.limits import CallLimits

def pairs(rows):
    return ((Problem("", "", answer), Completion(text, *rest)) for answer, text, *rest in rows)

def in_main(checker, rows):
    return list(checker.verify_many(pairs(rows)))

def in_thread(checker, rows):
    found = []
    thread = threading.Thread(target=lambda: found.extend(checker.verify_many(pairs(rows))))
    thread.start()
    thread.join()
    return found

def in_asyncio(checker, rows):
    async def main():
        direct = [checker.check(*row) for row in rows[::2]]
        others = await asyncio.gather(*(asyncio.to_thread(checker.check, *row) for row in rows[1::2]))
        return [(direct, others)[i % 2][i // 2] for i in range(len(rows))]
    return asyncio.run(main())

if __name__ == "__main__":
    way, n_workers, source, out = sys.argv[1:]
    with open(source, encoding="utf-8") as lines:
        rows = [tuple(json.loads(line)) for line in lines]
    with Checker(n_workers=int(n_workers), limits=CallLimits(time_s=0.5, memory_bytes=1 << 30)) as checker:
        verdicts = globals()[way](checker, rows)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    work_s = sum(u.ru_utime + u.ru_stime for u in usage)
    with open("/proc/self/status", encoding="ascii") as status:  # ru_maxrss of its own is that of who started it, too
        own_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    most_kib = max(own_kib, usage[1].ru_maxrss)
    with open(out, "w", encoding="utf-8") as sink:
        json.dump([work_s, most_kib, [v.outcome for v in verdicts], [v.tier for v in verdicts]], sink)
"""


def of_session(number):
    """Processes that still run in a session."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def run_in_a_session(command, folder):
    """Run to the end, and see that nothing it started is left; the wall clock is only for a machine that hangs."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, cwd=folder, env=env, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        assert process.wait(1800) == 0
        assert of_session(process.pid) == []
    finally:
        for left in of_session(process.pid):
            left.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "n_workers"), [("in_main", 1), ("in_main", 2), ("in_thread", 1), ("in_thread", 2), ("in_asyncio", 1)]
)
def test_the_hostile_list_is_finished_in_bounded_time_and_memory_and_nothing_runs_on(tmp_path, way, n_workers):
    source, out, script = tmp_path / "rows.jsonl", tmp_path / "out.json", tmp_path / "batch.py"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    script.write_text(BATCH)
    run_in_a_session([sys.executable, str(script), way, str(n_workers), str(source), str(out)], tmp_path)
    work_s, most_kib, outcomes, tiers = json.loads(out.read_text())
    print(f"{way}, {n_workers}: {work_s:.0f} s of work, at most {most_kib >> 10} MiB in a process")
    assert_all_decided(outcomes)
    assert "failed" not in tiers
    assert work_s < 100
    assert most_kib < 1 << 20
    assert not (tmp_path / "marker").exists()


@pytest.mark.slow
def test_the_command_finishes_the_hostile_list_too(tmp_path):
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"answer": a, "completion": c}) + "\n" for a, c, _ in rows()))
    command = [sys.executable, "-m", "limo", "verify", str(source), "-o", str(out), "--workers", "2"]
    run_in_a_session(command, tmp_path)
    back = [json.loads(line) for line in out.read_bytes().split(b"\n") if line]
    assert [(row["answer"], row["completion"]) for row in back] == [(a, c) for a, c, _ in rows()]
    assert_all_decided([row["outcome"] for row in back])
    assert not (tmp_path / "marker").exists()


def test_a_text_equal_to_a_nasty_answer_is_still_correct():
    with Checker(limits=LIMITS) as checker:
        for text in ("9^{9^{9^{9}}}", "1/2004!", "2024^{4046}"):
            assert checker.check(text, f"\\boxed{{{text}}}").outcome == "correct"


@pytest.fixture(scope="module")
def checker():
    with Checker(limits=CallLimits(time_s=10.0)) as made:
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


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
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
        assert made.verifier._worker.n_started == 0


def test_what_workers_import_loads_neither_pydantic_nor_sympy_nor_math_verify():
    heavy = "('pydantic', 'sympy', 'math_verify', 'torch', 'mpmath')"
    code = f"import limo.verify.files, limo.verify.maths_verifier, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_a_child_whose_parent_was_killed_ends_by_itself(tmp_path):
    code = (
        "import psutil, sys\nfrom limo.verify.checker import Checker\nc = Checker()\n"
        "c.check('\\\\int_0^1 x dx', '\\\\boxed{\\\\int_0^1 y dy}')\n"
        "print(psutil.Process().children()[0].pid, flush=True)\nsys.stdin.read()\n"
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
