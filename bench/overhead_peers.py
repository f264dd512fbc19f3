"""The other clients of overhead.py, as programs that run in environments of their own.

Each takes the server's URL, the model, rollouts a problem, requests in flight and a folder with texts.json, and prints
rollouts a second and milliseconds of its processor time for one.  Both are given their best case: no verdicts, and no
time for their start.  datatrove's runner has the request cache that lets it resume; Curator always keeps its replies.
Curator's table of tokens, which it downloads only to estimate a prompt's length, is replaced by a cheaper estimate.
"""

DATATROVE = """
import json, pathlib, sys, time
from loguru import logger
logger.remove()
from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter
url, model, n, in_flight, folder = sys.argv[1:6]
texts = json.load(open(folder + "/texts.json"))

async def rollout(document, generate):
    reply = await generate({"messages": [{"role": "user", "content": document.text}], "max_tokens": 512})
    return {"text": reply.text, "finish_reason": reply.finish_reason}

config = InferenceConfig("endpoint", model, endpoint_url=url.removesuffix("/v1"), rollouts_per_document=int(n),
    max_concurrent_generations=int(in_flight), metric_interval=10**6)
out = JsonlWriter(folder + "/out", output_filename="${rank}_chunk_${chunk_index}.jsonl", compression=None)
runner = InferenceRunner(rollout, config, out, checkpoints_local_dir=folder + "/cache")
documents = [Document(text=text, id=str(k)) for k, text in enumerate(texts)]
began, cpu = time.perf_counter(), time.process_time()
runner.run(documents)
taken, cpu = time.perf_counter() - began, time.process_time() - cpu
rows = [json.loads(line) for file in pathlib.Path(folder, "out").rglob("*.jsonl") for line in open(file)]
n_all = len(texts) * int(n)
assert sum(bool(one["text"]) for row in rows for one in row["metadata"]["rollout_results"]) == n_all, rows[:1]
print(json.dumps([n_all / taken, 1e3 * cpu / n_all]))
"""

CURATOR = """
import json, os, sys, time
os.environ |= {"TELEMETRY_ENABLED": "0", "OPENAI_API_KEY": "none", "CURATOR_DISABLE_RICH_DISPLAY": "1"}
url, model, n, in_flight, folder = sys.argv[1:6]
os.environ["CURATOR_CACHE_DIR"] = folder + "/curator"
texts = json.load(open(folder + "/texts.json"))
import tiktoken
class Estimate:
    def encode(self, text, **_): return range(len(text) // 4)
tiktoken.get_encoding = lambda name: Estimate()
from bespokelabs import curator
class Solve(curator.LLM):
    def prompt(self, row): return row["problem"]
    def parse(self, row, response): return {"text": response}
params = {"base_url": url, "max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**10,
    "max_concurrent_requests": int(in_flight), "invalid_finish_reasons": ["content_filter"]}
llm = Solve(model_name=model, backend="openai", backend_params=params, generation_params={"max_tokens": 512})
rows = [{"problem": text, "index": k} for text in texts for k in range(int(n))]
began, cpu = time.perf_counter(), time.process_time()
replies = llm(rows)
taken, cpu = time.perf_counter() - began, time.process_time() - cpu
assert len(getattr(replies, "dataset", replies)) == len(rows)
print(json.dumps([len(rows) / taken, 1e3 * cpu / len(rows)]))
"""
