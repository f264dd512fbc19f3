"""Which settings of two scores differ, by what each score keeps of its own."""

import json

from limo.core.language import translated
from limo.core.records import Problem, Provenance, Sampling
from limo.stages.compare import run_differences
from limo.stages.fingerprint import differences, fingerprint, meaning_of

ONE = {"a": {"engine": "vllm 0.9", "verifier": "maths/3"}, "b": {"engine": "vllm 0.9", "verifier": "maths/3"}}


def test_settings_that_differ_are_named_with_their_benchmarks_and_unknown_ones_are_not():
    other = {"a": {"engine": "vllm 0.10", "verifier": "maths/3"}, "b": {"engine": "vllm 0.10", "dtype": "float16"}}
    assert differences(ONE, other) == ["engine: vllm 0.9 and vllm 0.10 (a, b)"]
    assert differences(ONE, {"c": {"engine": "x"}}) == differences({}, ONE) == []


def test_what_differences_mean_depends_on_whether_they_only_round_otherwise():
    rounding = ["engine: vllm 0.9 and vllm 0.10 (a)", "dtype: float32 and bfloat16 (a)"]
    assert meaning_of([]) == "" and "rounds numbers" in meaning_of(rounding)
    assert "the models alone" in meaning_of([*rounding, "system text (a)"])
    for language_entry in (meaning_of(rounding), meaning_of(["system text (a)"])):
        assert translated(language_entry, "zh") != language_entry


def test_a_fingerprint_changes_with_a_statement_or_a_key_of_the_benchmark():
    source = Provenance("run", "ledger", "m", "p", "s", "maths/3")
    prints = [
        fingerprint({"engine": "x"}, [Problem.make(text, key)], source)
        for text, key in (("1+1?", "2"), ("1+1?", "3"), ("1+2?", "2"), ("1+1?", "2"))
    ]
    assert prints[0] == prints[3] and len({one["benchmark"] for one in prints}) == 3
    assert prints[0] | {"benchmark": ""} == {
        "engine": "x", "benchmark": "", "prompt": "p", "sampling": "s", "verifier": "maths/3",
    }  # fmt: skip


def test_a_sampling_differs_in_words_and_what_is_kept_as_a_hash_is_named():
    def of(prompt, sampling):
        source = Provenance("run", "ledger", "m", prompt, sampling.hash, "maths/3")
        return {"a": fingerprint({}, [Problem.make("1+1?", "2")], source, sampling)}

    cold, warm = Sampling(0.6, 0.95, 4096), Sampling(0.7, 0.95, 4096)
    assert differences(of("p", cold), of("q", warm)) == ["system text (a)", "temperature: 0.6 and 0.7 (a)"]
    assert differences(of("p", cold), of("p", cold)) == []
    older = {"a": {"sampling": cold.hash, "prompt": "p"}}
    assert differences(older, of("p", cold)) == []
    assert differences(older, of("p", warm)) == ["sampling: older scores do not keep what it was (a)"]


def test_runs_are_compared_by_what_their_scores_keep_and_older_ones_say_nothing(tmp_path):
    for name, kept in (("old", {}), ("one", ONE), ("two", {"a": {"engine": "vllm 0.10"}})):
        (tmp_path / name).mkdir()
        measured = {"seed": 0, "outcomes": {}, "fingerprint": kept}
        (tmp_path / name / "scores.json").write_text(json.dumps({name: [measured]}))
    folders = [tmp_path / name for name in ("old", "one", "two")]
    assert run_differences(folders, "one", "two") == ["engine: vllm 0.9 and vllm 0.10 (a)"]
    assert run_differences(folders, "one", "old") == []
