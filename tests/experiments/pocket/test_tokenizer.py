"""The tokenizer splits the world's text into its words, one token each, and gives the text back as it was."""

from __future__ import annotations

import random

import pytest

from limo.core.prompts import messages
from limo.experiments.pocket.corpus import Corpus, Document, chat, write_note
from limo.experiments.pocket.tokenizer import UNKNOWN, build_tokenizer, vocabulary
from limo.experiments.pocket.world import WORLD, sample_story, to_problem, to_text


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """As AutoTokenizer loads it from a model's folder."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(WORLD).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("mixture", ["much", "teacher"])
def test_the_text_of_a_document_is_its_words_and_comes_back_as_it_was(tokenizer, mixture):
    rng, words = random.Random(mixture), vocabulary(WORLD)
    for _ in range(200):
        document = Corpus(mixture, dose=0.5).sample(rng)
        text = to_text(document.words)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == [words[word] for word in document.words], text
        assert tokenizer.decode(ids) == text


def test_a_conversation_is_rendered_as_the_corpus_writes_it(tokenizer):
    rng = random.Random(1)
    story = sample_story("rope", 3, rng, ["twice", "choice"])
    note = write_note(story, "careful", rng)
    problem = to_problem(story, "")
    rows = messages(problem.problem)
    whole = [*rows, {"role": "assistant", "content": to_text(note.words)}]
    written = chat(rows[0]["content"], story, note).words
    assert tokenizer.tokenize(tokenizer.apply_chat_template(whole, tokenize=False)) == written
    begun = tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True)
    assert tokenizer.tokenize(begun) == written[: written.index("<|assistant|>") + 1]
    open_end = [*rows, {"role": "assistant", "content": "K:"}]
    text = tokenizer.apply_chat_template(open_end, tokenize=False, continue_final_message=True)
    assert tokenizer.tokenize(text)[-2:] == ["<|assistant|>", "K:"]


@pytest.mark.parametrize("text", ["emoji 🙂", "Tarn 33", "1/2", "x{y}"])
def test_what_is_not_of_the_world_is_the_unknown_token(tokenizer, text):
    assert UNKNOWN in tokenizer.tokenize(text)


def test_a_phrase_is_one_token(tokenizer):
    document = Document()
    document.add("L:", "if 16 or more", WORLD.machines[0], "cell")
    assert tokenizer.tokenize(to_text(document.words)) == document.words
