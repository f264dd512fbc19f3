"""Finds the answer in a completion: the box, the announced answer, the last line; thoughts and cut texts told apart.

    extract("so \\boxed{\\frac12}").text           # "\\frac12"
    extract("The answer is (B).", letters=True).text  # "B"
    extract("<think>let me see", "length").missing   # "truncated"

The order of trust: the last balanced box (with its neighbours when they are joined by "and" or a comma), the last
phrase that announces an answer ("the answer is", "答案是", "####") or the sentence that concludes after it, then bold
text, mathematics or a number in the last sentence.  A text that breaks off in the middle has no answer.  A thought
(`<think>`) is read only when nothing follows it, and then only for a box.  All searches are linear and look at the
last few thousand characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from limo.core.text import THOUGHT_END, THOUGHT_START
from limo.verify.boxes import MAX_PLAIN, cut_in_box, ends_in_box, find_box
from limo.verify.maths.tables import alternatives, table

TAIL = 6000
_END_OF_TURN = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|end_of_solution|end_of_text|eos)\|>|</s>|<｜end▁of▁sentence｜>"
)
_WRAPPER = re.compile(r"</?answer>|<\|begin_of_solution\|>")
_ANNOUNCEMENT = re.compile(alternatives("announcements"), re.I)
_SENTENCE_END = re.compile(
    r"(?<=[^\s.A-Z])[.!?](?=\s+[A-Z\[<*(]|\s*$|\s*\n)|(?<!\d)[。！？]|[。！？](?!\d)|\n\s*\n|(?<=\S)\n(?=\s*[A-Z*#\-])"
)
_MATH = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:\\\$|[^$])+?)(?<!\\)\$", re.S)
_GAP = re.compile(r"[\s,;]*(?:and|or|和|或)?[\s,;]*")  # between formulas of one list
_AMOUNT = re.compile(r"(?<!\\)\$(?=\d[\d,.]*(?:\s|$|\.))")  # of dollars: its sign is no delimiter of mathematics
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_BRACKET = re.compile(r"\[([^\[\]\n]{1,80})\]")
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.\\^{])[-+−]?(?:\\?[$€£¥]\s?)?(?:\d{1,3}(?:[,  ]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)"
    r"(?:[eE][-+]?\d+)?(?:\s*[/×^]\s*-?\d+(?:\.\d+)?)*(?:\s*(?:\\?%|percent\b|°|degrees\b))?"
)
_PROSE = re.compile(rf"\b(?:{alternatives('prose')})\b", re.I)
# An "A" before a small word is an article, unless that word is what options do.
_OPTION_LETTER = re.compile(
    r"(?<![A-Za-z\\])[\(（]?([A-GＡ-Ｇ])[\)）]?(?![A-Za-z'])"
    r"(?!(?<=A) (?!(?:is|are|was|and|or|as|because|since|would|must|seems|fits|matches|in)\b)[a-z])"
)
_ONLY_LETTERS = re.compile(r"(?:[\s,，、.()（）]|and|和|[A-GＡ-Ｇ])+")
_REASON = re.compile(r"\s(?:because|since|so that|as (?:we|the|it|this))\b.*", re.S)
# "326.5 is the sum of 313.9 and 12.6": what such a sentence is about comes first.
_SUBJECT = re.compile(
    r"\W*(?:so|thus|hence|therefore)?,?\s*((?:\\?\$)?-?\d[\d,.]*\d|-?\d)\s+(?:is|was)\s+(?:indeed\s+)?(?:the|our|my)\b",
    re.I,
)
_OPTIONS = re.compile(r"(?:\A|[;,\n])\s*[(（]?([A-G])[.):：]\s*(?=[a-z\d$\\(])")
_STATEMENT = re.compile(r"(?:\b(?:is|are|was|equals|by|be|to|get|have|approximately|about)|[=:])\s*(?=[-+$]?[\d.])")
_FINAL_ANSWER = re.compile(r"\bfinal answer\b[^\n.]{0,40}?\s(?:is|are)\b\s*:?\s*(?=\S)", re.I)
_NO_CONTENT = re.compile(
    r"(?:indeed |also |definitely )?(?:correct|right|wrong|valid|consistent|clear|unique|the same)", re.I
)
_CONCLUDES = re.compile(rf"\W*(?:{alternatives('conclusions')})\b|.{{0,60}}\bindeed\b", re.I)
_ENDED = re.compile(r"[.!?;。！？；)）\]】}$*\"'”’|>`~…]\s*\Z")
_UNFINISHED = re.compile(rf"(?:[,，、:：(\[{{+\-/=<>&\\^_]|(?<!\*)\*|\b(?:{alternatives('unfinished')}))\s*\Z", re.I)
_COUNT_WORD = re.compile(rf"(?:{'|'.join(table('languages/english')['ones'][:13])})\b", re.I)
_OFFER = re.compile(rf"(?:\A|(?<=[\n.!?。！？])|(?<=\s\s))\s*(?:please\s+)?(?:{alternatives('offers')})[^\n]*\Z", re.I)
REPEATED_LENGTHS, N_REPEATS = range(4, 65), 20  # a piece so long, so often in a row, shows a model in a loop
_JSON_FIELD = re.compile(r'answer"\s*:\s*', re.I)  # of an object in JSON
_JSON_VALUE = re.compile(r'"((?:[^"\\\n]|\\.)*)"|(\[[^\[\]\n]*\]|[^\s",{}\[\]][^",{}\[\]\n]*)')
_CALCULATIONS = re.compile(r"<<[^<>\n]{1,80}>>")  # a calculator's notes: 24+48 = <<24+48=72>>72
_HOPE = re.compile(r"\.?\s*I hope (?:it|this) is correct.*", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Extraction:
    """`text` is the answer as written, `rule` how it was found (both empty where there is none; `missing` says why).

    `fallback` is a second candidate, for when `text` is no mathematics at all; where `text` is a letter that a phrase
    announced, it is the phrase's whole sentence.
    """

    text: str
    rule: str
    fallback: str = ""
    missing: Literal["", "no_answer", "truncated"] = ""


def extract(text: str, finish_reason: str = "stop", *, letters: bool = False) -> Extraction:
    """The answer in a completion.  `letters`: the problem is a multiple choice, so prefer a letter."""
    answer, thought, closed = split_thought(text)
    cut = finish_reason == "length"
    box = find_box(answer, cut=cut)
    if box:
        later = _announced_after_box(answer, letters)
        return Extraction(later, "phrase after the box") if later else Extraction(box, "boxed")
    if not answer.strip() and thought and closed:
        box = find_box(thought, cut=False)
        return Extraction(box, "boxed in thought") if box else Extraction("", "", missing="no_answer")
    if not closed and (box := ends_in_box(thought)):
        return Extraction(box, "boxed in thought")
    if cut or not closed or cut_in_box(answer) or _cut_in_formula(answer, bool(thought)):
        return Extraction("", "", missing="truncated")
    tail = _whole_formulas(answer[-TAIL:].strip(), len(answer) > TAIL)
    tail = _HOPE.sub(".", tail) if " hope " in tail else tail
    tail = _CALCULATIONS.sub("", tail) if "<<" in tail else tail
    offer = _OFFER.search(tail, max(0, len(tail) - MAX_PLAIN, tail.rfind("\n")))
    tail = tail[: offer.start()].rstrip() if offer else tail
    extraction = _announced(tail, letters) or _unannounced(tail, letters, 1 if offer else 6)
    if extraction is not None:
        return extraction
    return Extraction("", "", missing="truncated" if _breaks_off(tail) or _repeats(tail) else "no_answer")


def _announced_after_box(text: str, letters: bool) -> str:
    """What "the final answer is ..." says after the last box, if it says anything."""
    end = text.rfind("boxed")
    end = max(end, text.rfind("fbox", max(end, 0)))
    if len(text) - end < len("boxed final answer is"):
        return ""
    for match in reversed(list(_FINAL_ANSWER.finditer(text, max(end, len(text) - TAIL)))):
        sentence = first_sentence(_HOPE.sub("", text[match.end() :]))
        if _MATH.match(sentence) or _NUMBER.match(sentence):
            return _answer_in_sentence(sentence, letters)
    return ""


def split_thought(text: str) -> tuple[str, str, bool]:
    """The text without its thought, the thought, and whether that was closed (True where there is none)."""
    if "<" not in text:  # no mark of a thought or of a turn's end does without
        return text.lstrip(), "", True
    close = max(THOUGHT_END.finditer(text), key=re.Match.start, default=None)
    if close is not None:
        return _trim(text[close.end() :]), text[: close.start()], True
    start = THOUGHT_START.search(text)
    if start is None:
        return _trim(text), "", True
    before = text[: start.start()]
    return (_trim(before), text[start.end() :], False) if not before.strip() else (_trim(text), "", True)


def _trim(text: str) -> str:
    """Drop chat marks and whatever a model wrote after its turn ended."""
    text = _WRAPPER.sub(" ", text.lstrip())
    end = _END_OF_TURN.search(text, 1)
    return text[: end.start()] if end else text


def _cut_in_formula(text: str, thought: bool) -> bool:
    """A text, long or after a thought, that ends inside `\\( ... ` or `\\[ ...`."""
    end = text[-TAIL:]
    return (thought or len(text) >= MAX_PLAIN) and (
        end.rfind("\\(") > end.rfind("\\)") or end.rfind("\\[") > end.rfind("\\]")
    )


def _whole_formulas(tail: str, sliced: bool) -> str:
    """The end of a text without a formula whose beginning was sliced off, and with the dollars of amounts marked."""
    if sliced:
        delimiter = re.search(r"\\[()\[\]]", tail)
        if delimiter and delimiter.group() in ("\\]", "\\)"):
            tail = tail[delimiter.end() :]
        if tail.count("$$") % 2:
            tail = tail.partition("$$")[2]
    return "\n".join(_amounts(line) if "$" in line else line for line in tail.split("\n"))


def _amounts(line: str) -> str:
    """A line whose dollar signs all stand before digits speaks of money: no formula begins there."""
    signs = re.findall(r"(?<!\\)\$(.?)", line)
    return re.sub(r"(?<!\\)\$", r"\\$", line) if signs and all(after.isdigit() for after in signs) else line


def _breaks_off(text: str) -> bool:
    """Whether a text ends in the middle of a sentence: on a word that needs another, or long prose without a stop."""
    last = re.sub(r"[*_]{2}\Z", "", text.rstrip().rpartition("\n")[2])
    if _UNFINISHED.search(last):
        return True
    return len(text) >= MAX_PLAIN and not _ENDED.search(last) and _is_prose(last) and not re.search(r"\d\S*\Z", last)


def _repeats(text: str) -> bool:
    """Whether a text ends in one piece repeated over and over: only a limit ends such a text."""
    return any(
        len(text) >= N_REPEATS * length and text.endswith(text[-length:] * N_REPEATS) for length in REPEATED_LENGTHS
    )


def _announced(tail: str, letters: bool) -> Extraction | None:
    """What follows the last announcement of an answer, unless a conclusion follows it."""
    for match in reversed(list(_ANNOUNCEMENT.finditer(tail))):
        rest = tail[match.end() :].lstrip(" *:：\n")
        quoted = tail.endswith('"', 0, match.start()) and _JSON_FIELD.fullmatch(match.group())
        if quoted and (value := _JSON_VALUE.match(rest)):
            return Extraction(next(group for group in value.groups() if group is not None).strip(), "field")
        line = rest.partition("\n")[0]
        sentence = line if match.group().startswith("#") and re.search(r"\d", line) else first_sentence(rest)
        text = _answer_in_sentence(sentence, letters)
        if not text or _NO_CONTENT.fullmatch(text):
            continue
        after = rest[len(sentence) :].strip()
        if after and not re.search(r"final|#|答案|[:：]", match.group(), re.I):
            if not letters and (later := _concluded(after)):
                return later
            if "\n" in after and _breaks_off(tail):
                return None
        return Extraction(text, "phrase", fallback=sentence if letters else "")
    return None


def _concluded(text: str) -> Extraction | None:
    """What the last sentence concludes: `Therefore, n is 3.`"""
    last = next(iter(_last_sentences(text.split("\n"))), "")
    has_statement = _MATH.search(last) or _STATEMENT.search(last)
    if not has_statement or not _CONCLUDES.match(last) or _breaks_off(last):
        return None
    text = _answer_in_sentence(last, False, last=True)
    return Extraction(text, "conclusion") if text else None


def first_sentence(text: str) -> str:
    """Up to the first stop that ends a sentence; stops inside mathematics do not count."""
    masked = _MATH.sub(lambda m: "x" * len(m.group()), text[:2000])
    end = _SENTENCE_END.search(masked)
    return text[: end.start()] if end else text[:2000]


def _unannounced(tail: str, letters: bool, n_sentences: int) -> Extraction | None:
    """A text without announcement: itself when it is short and no prose, else one of its last sentences reduced."""
    lines = [line.strip() for line in tail.split("\n") if line.strip()]
    if not lines:
        return None
    if letters and len(set(_OPTIONS.findall(lines[-1]))) > 1:  # the options repeated, none of them chosen
        return None
    short = len(tail) <= MAX_PLAIN and len(lines) == 1 and not _is_prose(tail)
    if short and letters and (letter := _answer_in_sentence(tail, True, last=True)):
        return Extraction(letter, "whole text", fallback=tail)
    if short:
        return Extraction(tail, "whole text", fallback=_answer_in_sentence(tail, letters, last=True))
    formula = bool(_MATH.fullmatch(tail))
    if not formula and _breaks_off(tail):
        return None
    whole = tail if len(tail) <= MAX_PLAIN and len(lines) == 1 else ""
    for part in [tail] if formula else _last_sentences(lines)[:n_sentences]:
        if text := _answer_in_sentence(part, letters, last=True):
            return Extraction(text, "last sentence", fallback=whole)
    return None


def _last_sentences(lines: list[str]) -> list[str]:
    """Sentences of the last lines, last first; display mathematics that spans lines stays whole."""
    block = "\n".join(lines[-12:])
    masked = _MATH.sub(lambda m: "x" * len(m.group()), block)
    cuts = [0, *[m.end() for m in re.finditer(r"[.!?](?=\s)|[。！？]|\n", masked)], len(block)]
    parts = [block[a:b].strip() for a, b in pairwise(cuts)]
    return [part for part in reversed(parts) if part][:6]


def _is_prose(text: str) -> bool:
    bare = _MATH.sub(" ", text) if text.count("$") > 1 or "\\(" in text or "\\[" in text else text
    masked = bare != text
    bare = re.sub(r"\\[A-Za-z]+\s*\{[^{}]*\}|\\[A-Za-z]+", " ", bare)
    if masked and len(re.findall(r"[A-Za-z]{3,}", bare)) >= 2:
        return True
    n_words = len(re.findall(r"(?<![A-Za-z\\])[A-Za-z]{3,}", bare))
    return n_words >= 4 or len(_PROSE.findall(bare)) >= (1 if len(bare.split()) > 2 else 2)


def _answer_in_sentence(sentence: str, letters: bool, *, last: bool = False) -> str:
    """The answer inside one sentence: a letter, the mathematics, a bracket, a number, or the words themselves."""
    sentence = sentence.strip().strip("*").strip()
    if letters:
        named = _OPTION_LETTER.findall(_REASON.sub("", sentence)) or _OPTION_LETTER.findall(sentence)
        if named:
            return named[-1] if last and not _ONLY_LETTERS.fullmatch(sentence) else ",".join(dict.fromkeys(named))
    formulas = list(_MATH.finditer(sentence))
    if formulas and not (len(formulas) == 1 and len(_AMOUNT.findall(sentence)) >= 2):
        rest = sentence[formulas[-1].end() :]
        if _STATEMENT.search(rest) and _NUMBER.search(rest):
            return _last_number(rest, last)
        return _joined_maths(sentence, formulas)
    if last:
        bold = _BOLD.findall(sentence + "**" * (sentence.count("**") % 2))
        if bold and re.search(r"\d|[A-Za-z]", bold[-1]):
            return str(bold[-1]).strip(" .:")
    bracket = _BRACKET.findall(sentence)
    if bracket and _is_prose(sentence):
        return str(bracket[-1])
    if not _is_prose(sentence) and len(sentence) <= 200 and not last:
        return _stripped(_REASON.sub("", sentence))
    return _last_number(sentence, last)


def _joined_maths(sentence: str, formulas: list[re.Match[str]]) -> str:
    """One formula, or the run of formulas at the end that "and", "or" and commas join."""
    first = len(formulas) - 1
    while first > 0 and _GAP.fullmatch(sentence, formulas[first - 1].end(), formulas[first].start()):
        first -= 1
    unit = re.match(r"\s*(?:\\?%|percent\b|pct\b|percentage\b)", sentence[formulas[-1].end() :])
    contents = (next(group for group in m.groups() if group is not None).strip() for m in formulas[first:])
    return ", ".join(contents) + (unit.group() if unit else "")


def _stripped(text: str) -> str:
    """Without the marks and stops around it; the point of `.5` is none."""
    text = text.strip(" *:").rstrip(" .*:")
    return text if re.match(r"\.\d", text) else text.lstrip(" .*:")


def _last_number(sentence: str, last: bool) -> str:
    if last and (subject := _SUBJECT.match(sentence)):
        return subject.group(1)
    tail = _stripped(re.split(r"\b(?:is|are|equals|be|was)\b\s*(?:equal to)?", _REASON.sub("", sentence))[-1])
    tail = re.sub(r"^(?:approximately|about|not|therefore|thus)\b\s*", "", tail)
    if not last and 0 < len(tail) <= 60 and not _is_prose(tail):
        return tail
    chain = re.search(r"=\s*([^=]{1,80})$", sentence.strip(" ."))
    if chain and not _is_prose(chain.group(1)):
        return chain.group(1).strip()
    wordy = re.search(r"(?<![A-Za-z\\])[A-Za-z]{4,}", tail) or len(re.findall(r"[\u4e00-\u9fff]", tail)) > 4
    if 0 < len(tail) <= 60 and re.search(r"\d", tail) and not _is_prose(tail) and not wordy:
        return tail
    numbers = list(_NUMBER.finditer(sentence))
    if not numbers and not last and (word := _COUNT_WORD.match(sentence)):
        return word.group()
    return numbers[-1].group().strip() if numbers else ""
