"""Before an evaluation: its cost, its first prompt, and what the server says of itself."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from limo.core.errors import ModelError
from limo.core.prompts import SYSTEM
from limo.models.server_info import server_info
from limo.models.settings import HttpModelSettings
from limo.stages.evaluate import Recipe
from limo.stages.evaluation_plan import plan_evaluation


@pytest.fixture
def serve():
    """Starts a server that answers GET by a table of paths; its base URL."""
    servers = []

    def start(table):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                value = table.get(self.path)
                self.send_response(200 if value is not None else 404)
                self.end_headers()
                self.wfile.write(value.encode() if isinstance(value, str) else json.dumps(value).encode())

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def model_at(url):
    return HttpModelSettings(name="m", model="served", base_urls=[url])


def test_engines_say_their_version_and_context_each_in_its_own_way(serve):
    vllm = {"/v1/models": {"data": [{"id": "served", "max_model_len": 4096}]}, "/version": {"version": "0.10.1"}}
    assert server_info(model_at(serve(vllm))) == {"engine": "vllm 0.10.1", "context": "4096"}
    llama = {
        "/props": {"default_generation_settings": {"n_ctx": 8192}, "build_info": "b6000", "chat_template": "{{ x }}"}
    }
    facts = server_info(model_at(serve(llama)))
    assert (facts["engine"], facts["context"], len(facts["template"])) == ("llama.cpp b6000", "8192", 16)
    sglang = {"/get_server_info": {"version": "0.5", "context_length": 1000, "dtype": "bfloat16"}}
    assert server_info(model_at(serve(sglang))) == {"engine": "sglang 0.5", "context": "1000", "dtype": "bfloat16"}


@pytest.mark.parametrize(
    "body", ["<html>", "[1]", "null", '{"data": 7}', '{"data": [null, {"id": "served", "max_model_len": "x"}]}']
)
def test_a_server_that_answers_nonsense_says_nothing(serve, body):
    paths = ("/v1/models", "/version", "/props", "/get_server_info")
    assert server_info(model_at(serve(dict.fromkeys(paths, body)))) == {}


def recipe_of(tmp_path, url, n_rows=3, **settings):
    rows = [{"problem": f"What is {i % 3} plus 1?", "answer": str(i % 3 + 1)} for i in range(n_rows)]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"kind": "http", "name": "m", "base_urls": [url]}
    return Recipe.model_validate({"model": model, "benchmarks": {"mine": str(tmp_path / "set.jsonl")}} | settings)


def test_the_plan_counts_rollouts_and_shows_the_first_prompt_and_a_context_that_is_too_short(serve, tmp_path):
    url = serve({"/v1/models": {"data": [{"id": "m", "max_model_len": 4096}]}})
    plan = plan_evaluation(recipe_of(tmp_path, url, 60), tmp_path / "run")
    (row,) = plan.benchmarks
    assert (row.n_problems, row.n_rollouts, row.n_stored) == (3, 12, 0)  # three problems, twenty times each
    assert row.n_out == 12 * 32768 / 2 and row.hours > 0
    assert json.loads(plan.first_prompt) == [
        {"role": "system", "content": SYSTEM}, {"role": "user", "content": "What is 0 plus 1?"},
    ]  # fmt: skip
    assert "60 rows are 3 problems; 57 repeat an earlier row" in plan.notes[0]
    assert "need 32,7" in plan.warnings[0] and "the context has 4,096" in plan.warnings[0]
    fits = plan_evaluation(recipe_of(tmp_path, url, 3, max_tokens=2048), tmp_path / "run")
    assert fits.warnings == [] and fits.table()[-1][0] == "in all"


def test_a_server_that_is_not_there_is_a_warning_of_the_plan(tmp_path):
    recipe = recipe_of(tmp_path, "http://127.0.0.1:9/v1")
    (warning,) = plan_evaluation(recipe, tmp_path / "run").warnings
    assert "does not answer" in warning and "127.0.0.1:9" in warning
    with pytest.raises(ModelError):
        server_info(recipe.model)


@pytest.mark.slow
def test_a_model_of_this_process_shows_its_own_template_and_what_its_folder_says(tmp_path):
    from limo.experiments.pocket.models import model_path

    model = {"kind": "local", "name": "tiny", "path": str(model_path("pocket-rich"))}
    plan = plan_evaluation(recipe_of(tmp_path, "", max_tokens=256, model=model), tmp_path / "run")
    assert "What is 0 plus 1?" in plan.first_prompt and not plan.first_prompt.startswith("[")
    assert {"engine", "hardware", "context", "template"} <= plan.facts.keys() and plan.warnings == []
    with pytest.raises(ModelError, match="holds no model"):
        plan_evaluation(recipe_of(tmp_path, "", model=model | {"path": str(tmp_path)}), tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("template", ["{{ '%0999999999d'|format(1) }}", "{% for a in range(10**9) %}{% endfor %}",
                                      "{{ 'a' * 10**11 }}", "{{ x.y.z }}", "{% include 'a' %}"])  # fmt: skip
def test_the_template_of_a_plan_is_rendered_within_the_bounds_of_a_run(tmp_path, template):
    from limo.experiments.pocket.models import model_path

    folder = shutil.copytree(model_path("pocket-rich"), tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template)
    model = {"kind": "local", "name": "tiny", "path": str(folder)}
    with pytest.raises(ModelError, match=r"the chat template fails \(.+\)"):
        plan_evaluation(recipe_of(tmp_path, "", max_tokens=256, model=model), tmp_path / "run")
