"""Chat templates: the text that transformers renders, or one line of bad input, in bounded time and memory."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from limo.core.errors import ModelError
from limo.core.process.limits import CallLimits
from limo.core.process.worker import Worker
from limo.models.local import chat_template
from limo.models.local.chat_template import ChatTemplate, open_renderer

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1? \ud800 é\n"}]


def template(text):
    return ChatTemplate(SimpleNamespace(chat_template=text, special_tokens_map={"eos_token": "<end>"}), "models/evil")


@pytest.fixture(scope="module", autouse=True)
def small_limits():
    """One process for all cases, with less time and memory."""
    with pytest.MonkeyPatch.context() as patch:
        worker = Worker(open_renderer, limits=CallLimits(time_s=0.3, memory_bytes=1 << 29, recursion=1000))
        patch.setattr(chat_template, "_renderer", lambda: worker)
        yield worker
        worker.close()


GOOD = (
    "{%- for message in messages %}<{{ message.role }}>{{ message.content | trim }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.mark.parametrize("prompt", [True, False])
def test_a_chat_is_rendered_as_transformers_does(prompt):
    from transformers.utils.chat_template_utils import render_jinja_template

    chats = [CHAT, [*CHAT, {"role": "assistant", "content": "2"}], CHAT[1:]]
    wanted, _ = render_jinja_template(
        conversations=chats, chat_template=GOOD, add_generation_prompt=prompt, eos_token="<end>"
    )
    assert template(GOOD).render(chats, add_generation_prompt=prompt) == wanted
    assert template({"default": GOOD, "tool_use": "{{ x"}).render(chats, prompt) == wanted


def test_a_begun_answer_is_left_open():
    (text,) = template(GOOD).render([[*CHAT, {"role": "assistant", "content": "It is"}]], continue_final=True)
    assert text.endswith("<assistant>It is")


FAILING = {
    "raises": "{{ raise_exception('no system text') }}",
    "undefined": "{{ messages[0].nothing.more }}",
    "undefined function": "{{ run('x') }}",
    "undefined filter": "{{ messages | explode }}",
    "syntax": "{% for m in messages %}{{ m.content }",
    "unknown tag": "{% run 'x' %}",
    "import": "{% import 'os' as os %}{{ os.getcwd() }}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends '/etc/passwd' %}",
    "sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "division": "{{ 1 / 0 }}",
    "types": "{{ 'a' + 1 }}",
    "bad escape": "{{ raise_exception('\x1b[2J\x1b]0;owned\x07\u202e') }}",
    "long message": "{{ raise_exception('x' * 100000) }}",
    "huge text": "{{ 'x' * 10**12 }}",
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
}  # fmt: skip
BOMBS = {
    "sandbox by attr": "{{ messages | attr('__class__') | attr('__init__') }}{{ messages.append(1) }}",
    "sandbox by format": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}{{ messages.__reduce__() }}",
    "huge range": "{% for i in range(10**9) %}{% endfor %}",
    "large text": "{{ 'x' * 10**7 }}",
    "huge number": "{{ 10 ** (10 ** 9) }}",
    "recursion": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "recursive loop": "{% set l = namespace(x=[]) %}{% for a in [[[]]] recursive %}{{ loop([[1], a]) }}{% endfor %}",
    "deep nesting": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "doubling": "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}",
    "doubling a list": "{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "padding": "{{ '%1000000000d' % 1 }}",
    "filter bomb": "{{ 'x' | center(10**10) }}",
    "sort": "{{ range(99999) | list | map('string') | sort | join(',') | list | sort | join | length * 'x' }}",
    "lipsum": "{{ lipsum(n=100000, min=10000, max=20000) }}",
    "copies": "{% for i in range(9**5) %}{% for j in range(9**5) %}{% set a = dict(x=[i]) %}{% endfor %}{% endfor %}",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [*FAILING, *(pytest.param(name, marks=[pytest.mark.hostile, pytest.mark.slow]) for name in BOMBS)]
)
def test_a_template_that_fails_is_bad_input_in_one_line(name):
    began = time.monotonic()
    with pytest.raises(ModelError, match="the chat template fails") as caught:
        template({**FAILING, **BOMBS}[name]).render([CHAT], add_generation_prompt=True)
    text = str(caught.value)
    assert "'models/evil'" in text and "\n" not in text and text.isprintable() and len(text) < 500
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("kind", [7, ["{{ x }}"], object(), {"tool_use": "{{ x }}"}, {"default": 3}, "", None, {}])
def test_a_template_that_is_no_text_is_bad_input(kind):
    with pytest.raises(ModelError, match="chat template"):
        template(kind)


@pytest.mark.hostile
@pytest.mark.slow
def test_after_a_failure_the_next_template_is_rendered():
    with pytest.raises(ModelError, match="over"):
        template(FAILING["nested loops"]).render([CHAT] * 300)
    assert len(template(GOOD).render([CHAT] * 600)) == 600


@pytest.mark.parametrize(
    "text", ["hello", "{{ messages[0].content }}", "{{ messages[1].content | upper }}{{ messages[0].content }}"]
)
def test_a_template_that_leaves_out_or_changes_what_is_asked_is_refused(text):
    with pytest.raises(ModelError, match=r"the chat template changes texts: "):
        template(text).render([CHAT], add_generation_prompt=True)
