r"""Finds the answer in a completion: tags, boxes, announced answers, last lines; thoughts and cut texts told apart.

    extract("so \\boxed{\\frac12}").text              # "\\frac12"
    extract("The answer is (B).", letters=True).text  # "B"
    extract("<think>let me see", "length").missing    # "truncated"

Which of several answers counts is one rule, `_final_answer`; docs/verify.md has its table.  The phrases of languages
are data (`phrases.yaml`).  All searches are linear and look at the last few thousand characters.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

from limo.core.records import Completion
from limo.core.text import THOUGHT_END, THOUGHT_START
from limo.verify.boxes import MAX_PLAIN, Box, ends_in_box, find_box, without_struck
from limo.verify.maths.normalise import NO_ORNAMENT, REFUSALS
from limo.verify.sentences import (
    MATH,
    OPTION,
    PHRASES,
    SENTENCE_END,
    STATEMENT,
    TEXT_COMMAND,
    WORDS_AND_NUMBER,
    alternatives,
    answer_in_sentence,
    concluded,
    find_phrases,
    first_sentence,
    formula_at_end,
    is_prose,
    last_sentences,
)

TAIL = 6000
_STOPS = " .,;:!)]}$*\n。，；！"
MAX_ANNOUNCEMENTS = 100  # the last ones: a text that announces answers without end has none
_RIGHT_OPTION = re.compile(alternatives("right_options"))
_DENIED_BOX = re.compile(rf"{PHRASES['denied_box']}|[\s$.*\\\])）]{{0,12}}[{REFUSALS}]", re.I)
_BOX_DENIED_BEFORE = re.compile(
    rf"(?:{alternatives('denials_before_box')})\s*(?:\\+(?:begin)?f?boxed|f?boxed|\\+fbox)\s*\Z", re.I
)
_DENIED_NEXT = re.compile(PHRASES["denied_next"], re.I)
_DELIMITERS_BEHIND = re.compile(r"(?:\\?[\])]|[\s$*}])*")
_WRONG_ANSWER = re.compile(PHRASES["wrong_answer"], re.I)
_REASON_START = re.compile(r"\W*(?:because|since|as|for|which|that)\b", re.I)
_END_OF_TURN = re.compile(alternatives("end_of_turn"))
_TAG = re.compile(r"<answer>((?:(?!<answer>).)*?)(?:</answer>|\Z)", re.S | re.I)
_STRAY_TAG = re.compile(r"</?answer>|<\|begin_of_solution\|>", re.I)
_MARKS = re.compile(  # check marks and ornaments; crosses, signs that refuse and signs of arithmetic are none of them
    rf"[\s*$]*(?:{NO_ORNAMENT}"
    r"[\u2600-\u2715\u2728-\u274b\u2795-\u27bf\u2b05-\u2b55\ufe0f\U0001f300-\U0001faff∎■□]"
    r"|\\(?:checkmark|blacksquare|square|qed|Box)(?![A-Za-z]))+[\s*$]*"
)
_OPTIONS = re.compile(r"(?:\A|[;,\n])\s*[(（]?([A-G])[.):：]\s*(?=[a-z\d$\\(])")
_ANSWER_START = re.compile(  # what stands behind an announcement and is an answer: not a sentence about it
    r"[\s*(\[{<]*(?:[-+−±]?\s*(?:\\?[$€£¥]\s?)?\d|\.\d|[-+−±√π∞]|[$\\]|[A-GＡ-Ｇ]\b(?!\s+[a-z]{2})|[a-zA-Z]\s*=)"
)
_LETTER_START = re.compile(rf"[\s*$\[{{]*(?:\\[a-z]+\s*\{{[\s(]*)?(?:(?i:option|choice|选项)\s*)?{OPTION}(?![A-Za-z'])")
_NAME = re.compile(r"[\s*]*[^\W\da-z]\S*(?:\s+\S+){0,3}[\s.*]*")  # a few words, the first with a capital
_NO_CONTENT = re.compile(
    r"(?:indeed |also |definitely )?(?:correct|right|wrong|valid|consistent|clear|unique|the same|(?:not )?found)", re.I
)
_SUPPOSES = re.compile(rf"(?:{alternatives('suppositions')})", re.I)
_CONTRADICTS = re.compile(rf"(?:{alternatives('contradictions')})", re.I)
_ANSWER_WORD = re.compile(rf"(?:{alternatives('answer_words')})", re.I)
_WORD_CHARACTER = re.compile(r"\w")
_CONDITION = re.compile(  # in the clause before an announcement: `Suppose the answer is 5.`
    rf"(?:\A|[^A-Za-z])(?:{alternatives('conditions')})(?![A-Za-z])"
    r"(?:(?!\b(?:so|then|thus|hence|therefore)\b|[则故]|那么|所以)[^,，;；:：.。!！?？\n])*\Z",
    re.I,
)
_UNREAL = re.compile(PHRASES["unreal"], re.I)
_DENIED_ANNOUNCEMENT = re.compile(PHRASES["denied_announcement"], re.I)
_CONCLUDES = re.compile(rf"\W*(?:{alternatives('conclusions')})\b|.{{0,60}}\bindeed\b", re.I)
_ENDED = re.compile(r"[.!?;。！？；)）\]】}$*\"'”’|>`~…]\s*\Z")
_UNFINISHED = re.compile(rf"(?:[,，、:：(\[{{+\-/=<>&\\^_]|(?<!\*)\*|\b(?:{alternatives('unfinished')}))\s*\Z", re.I)
_GIVES_UP = re.compile(rf"(?:\A|[,，.。;；!！\n]|\bbut\b)\W{{0,3}}(?:{alternatives('gives_up')})\W*\Z", re.I)
_NOTHING = re.compile(rf"(?:{alternatives('nothing')})\W*\Z", re.I)
_LIMITED = re.compile(rf"\b(?:when|for|not)\b|\A\W*(?:yes|no)[,.]|当|并非|不是|(?:{alternatives('conditions')})", re.I)
_OFFER = re.compile(rf"(?:\A|(?<=[\n.!?。！？])|(?<=\s\s))\s*(?:please\s+)?(?:{alternatives('offers')})[^\n]*\Z", re.I)
REPEATED_LENGTHS, N_REPEATS = range(4, 65), 20  # a piece so long, so often in a row, shows a model in a loop
_JSON_FIELD = re.compile(r'answer"\s*:\s*', re.I)  # of an object in JSON
_JSON_VALUE = re.compile(r'"((?:[^"\\\n]|\\.)*)"|(\[[^\[\]\n]*\]|[^\s",{}\[\]][^",{}\[\]\n]*)')
_CALCULATIONS = re.compile(r"<<[^<>\n]{1,80}>>")  # a calculator's notes: 24+48 = <<24+48=72>>72
_HOPE = re.compile(r"\s*\([^()]*\\boxed[^(){}]*\)\s*\Z|\.?\s*I hope (?:it|this) is correct.*", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Extraction:
    """`text` is the answer as written, `rule` how it was found (both empty where there is none; `missing` says why).

    `fallback` is a second candidate, for when `text` is no mathematics at all; where `text` is a letter that a phrase
    announced, it is the phrase's whole sentence.  `stated` is what a tag, a box or an announcement holds, unreduced.
    """

    text: str
    rule: str
    fallback: str = ""
    missing: Literal["", "no_answer", "truncated"] = ""
    stated: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it was announced, or is no sentence around a number: `I tried 12 cases` states no answer."""
        is_reduced = self.rule in ("whole text", "last sentence") and self.fallback != self.text
        return not (is_reduced and WORDS_AND_NUMBER.match(self.text))


NO_ANSWER, TRUNCATED = Extraction("", "", missing="no_answer"), Extraction("", "", missing="truncated")


def extract_from(completion: Completion, *, letters: bool = False) -> Extraction:
    """The answer of a completion; a thought that its server keeps apart is read where there is no text beside it."""
    text, thought = completion.text, completion.reasoning
    if thought and not text.strip():
        text = f"<think>{thought}" + ("" if completion.finish_reason == "length" else "</think>")
    return extract(text, completion.finish_reason, letters=letters)


def extract(text: str, finish_reason: str = "stop", *, letters: bool = False) -> Extraction:
    """The answer in a text.  `letters`: the problem is a multiple choice, so prefer a letter."""
    answer, thought, closed = split_thought(text.replace("।", "."))
    cut = finish_reason == "length"
    if closed and (answer.strip() or not thought):
        extraction = _final_answer(answer, cut, letters, bool(thought))
    elif closed:
        box = find_box(without_struck(thought))
        extraction = Extraction(box.text, "boxed in thought", stated=box.text) if box and box.text else NO_ANSWER
    else:
        content = ends_in_box(without_struck(thought))
        extraction = Extraction(content, "boxed in thought", stated=content) if content else TRUNCATED
    plain = _without_marks(extraction.text)
    if extraction.text and (not plain.strip(_STOPS + "?？…") or _gives_up(plain)):
        return NO_ANSWER
    return extraction if plain == extraction.text else replace(extraction, text=plain)


def _gives_up(text: str) -> bool:
    """Whether a text ends in saying that no answer was found."""
    if text.isascii() and " " not in text:
        return False
    return bool(_GIVES_UP.search(TEXT_COMMAND.sub(" ", text[-MAX_PLAIN:])))


def _final_answer(text: str, cut: bool, letters: bool, has_thought: bool) -> Extraction:
    """The answer that counts where a text states several: the rule of precedence of docs/verify.md.

    A tag outranks the rest.  Then the last of boxes and of announcements behind them; a denial takes back what was
    said before it; a text that was cut inside its last box has no answer.
    """
    for tag in reversed(list(_TAG.finditer(text[-TAIL:]))):
        content = tag.group(1).strip()
        if content and (tag.group().endswith(">") or len(content) <= MAX_PLAIN):
            inner = _final_answer(content, cut and not tag.group().endswith(">"), letters, False)
            return replace(inner, rule="tag", stated=inner.stated or content) if inner.text else inner
    text = _STRAY_TAG.sub(" ", text) if "<" in text else text
    box = find_box(text)
    if box and box.is_open and (cut or not box.text):
        return TRUNCATED
    said = box.end if box else 0
    if box and not box.is_open and (refused := _denial_before(text, box)):
        before = text[: refused.start()]
        if (earlier := find_box(before)) and not earlier.is_open and earlier.text != box.text:
            return _final_answer(before + text[said:], cut, letters, has_thought)  # `\\boxed{4}, not \\boxed{5}`
    else:
        refused = None
    denials = find_phrases("denials", text, max(said, len(text) - TAIL))
    taken_back = denials[-1].end() if denials else _taken_back(text, box, refused is not None) if box else 0
    if box and not taken_back:
        return _announced_after_box(text[said:], letters) or Extraction(box.text, "boxed", stated=box.text)
    if cut or _cut_in_formula(text, has_thought) or (taken_back and _breaks_off(text[-TAIL:])):
        return TRUNCATED
    return _stated(text[taken_back:].lstrip(_STOPS) if taken_back else text, letters)


def _denial_before(text: str, box: Box) -> re.Match[str] | None:
    """The words directly before a box that refuse what it holds: `it is not \\boxed{5}`."""
    return _BOX_DENIED_BEFORE.search(text, max(0, box.start - 80), box.start)


def _taken_back(text: str, box: Box, refused: bool) -> int:
    """Where the text goes on behind a box that is denied before or behind it; 0 where it is not."""
    if denial := _DENIED_BOX.match(text, box.end):
        return denial.end()
    end = matched.end() if (matched := _DELIMITERS_BEHIND.match(text, box.end)) else box.end
    rest = text[end : end + MAX_PLAIN]
    if denial := _DENIED_NEXT.match(rest, len(rest) - len(rest.lstrip(_STOPS))):
        return end + denial.end()
    if not refused:
        return 0
    rest = text[end:]
    return end + (len(first_sentence(rest)) if _REASON_START.match(rest) else 0)


def _stated(text: str, letters: bool) -> Extraction:
    """The answer of a text without a box: announced, concluded, or in its last sentences."""
    tail = _whole_formulas(text[-TAIL:].strip(), len(text) > TAIL)
    tail = _HOPE.sub(".", tail) if " hope " in tail or "boxed" in tail else tail
    tail = _CALCULATIONS.sub("", tail) if "<<" in tail else tail
    offer = _OFFER.search(tail, max(0, len(tail) - MAX_PLAIN, tail.rfind("\n")))
    tail = tail[: offer.start()].rstrip() if offer else tail
    extraction = _announced(tail, letters) or _unannounced(tail, letters, 1 if offer else 6)
    if extraction is not None:
        return extraction
    return TRUNCATED if _breaks_off(tail) or _repeats(tail) else NO_ANSWER


def _announcements(tail: str) -> list[re.Match[str]]:
    """Where answers are announced, the last first; those that are only supposed or denied aside."""
    return [
        match
        for match in find_phrases("announcements", tail)[: -MAX_ANNOUNCEMENTS - 1 : -1]
        if not _DENIED_ANNOUNCEMENT.search(match.group())
        and not _WRONG_ANSWER.search(tail[max(0, match.start() - 40) : match.start()])
        and not _CONDITION.search(tail[max(0, match.start() - 80) : match.start()])
        and not (" would " in match.group() and _UNREAL.search(tail, max(0, match.start() - 160), match.end()))
    ]


def _states_nothing(sentence: str) -> bool:
    """Whether a sentence supposes, asks, or only supposes or denies the answer that it names."""
    named = find_phrases("announcements", sentence)
    return _supposes(sentence) or (bool(named) and not _announcements(sentence))


def _supposes(sentence: str) -> bool:
    """Whether a sentence begins as a supposition, or its first line ends in a contradiction or asks for the answer."""
    if not (word := _WORD_CHARACTER.search(sentence)):
        return False
    line = sentence[word.start() :].partition("\n")[0]
    if _SUPPOSES.match(line) or _CONTRADICTS.search(line):
        return True
    answer = _ANSWER_WORD.search(line)
    n_marks = next((n for n, char in enumerate(reversed(sentence)) if _WORD_CHARACTER.match(char)), 0)
    asked = line[max(answer.end(), len(sentence) - n_marks - word.start()) :] if answer else ""
    return "?" in asked or "？" in asked


def _announced_after_box(text: str, letters: bool) -> Extraction | None:
    """An answer announced behind the last box, if it reads like one: a formula, a number, a letter, a few words."""
    tail = text[-TAIL:]
    if letters and (options := _RIGHT_OPTION.findall(tail)):
        letter = "".join(options[-1])
        return Extraction(letter, "phrase after the box", stated=letter)
    for match in _announcements(tail):
        sentence = first_sentence(_HOPE.sub("", tail[match.end() :].lstrip(" *:：\n")))
        is_name = re.search(r"final|####|最终", match.group(), re.I) and _NAME.fullmatch(sentence)
        starts = (_LETTER_START if letters else _ANSWER_START).match(sentence) or (is_name and not letters)
        answer = answer_in_sentence(sentence, letters) if starts else ""
        if answer and not _NO_CONTENT.fullmatch(answer):
            return Extraction(answer, "phrase after the box", sentence if letters else "", stated=sentence)
    return None


def _without_marks(text: str) -> str:
    """The answer without ornaments around it, and with the digits of other scripts as 0 to 9."""
    if text.isascii() and "\\" not in text:
        return text
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in text)
    start = _MARKS.match(text)
    text = text[start.end() :] if start and start.end() < len(text) else text
    ends = [marks.start() for marks in _MARKS.finditer(text) if marks.end() == len(text)]
    return text[: ends[0]] if ends and ends[0] else text


def split_thought(text: str) -> tuple[str, str, bool]:
    """The text without its thought, the thought, and whether that was closed (True where there is none)."""
    if "<" not in text and "INST]" not in text:  # no mark of a thought or of a turn's end does without
        return without_struck(text.lstrip()), "", True
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
    text = without_struck(text.lstrip()).replace("<|begin_of_box|>", "\\boxed{").replace("<|end_of_box|>", "}")
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
    return len(text) >= MAX_PLAIN and not _ENDED.search(last) and is_prose(last) and not re.search(r"\d\S*\Z", last)


def _repeats(text: str) -> bool:
    """Whether a text ends in one piece repeated over and over: only a limit ends such a text."""
    return any(
        len(text) >= N_REPEATS * length and text.endswith(text[-length:] * N_REPEATS) for length in REPEATED_LENGTHS
    )


def _announced(tail: str, letters: bool) -> Extraction | None:
    """What follows the last announcement of an answer, unless a conclusion follows it."""
    for match in _announcements(tail):
        rest = tail[match.end() :].lstrip(" *:：\n")
        quoted = tail.endswith('"', 0, match.start()) and _JSON_FIELD.fullmatch(match.group())
        if quoted and (value := _JSON_VALUE.match(rest)):
            text = next(group for group in value.groups() if group is not None).strip()
            return Extraction(text, "field", stated=text)
        line = rest.partition("\n")[0]
        sentence = line if match.group().startswith("#") and re.search(r"\d", line) else first_sentence(rest)
        text = answer_in_sentence(sentence, letters)
        if not text or _NO_CONTENT.fullmatch(text) or rest.startswith("?", len(sentence)):
            continue
        after = rest[len(sentence) :].strip()
        if denial := _DENIED_NEXT.search(rest, 0, len(sentence)) or _DENIED_NEXT.match(after.lstrip(_STOPS)):
            return _stated(denial.string[denial.end() :].lstrip(_STOPS), letters)
        if after and not re.search(r"final|#|答案|[:：]", match.group(), re.I):
            if not letters and (later := _concluded(after)):
                return later
            if "\n" in after and _breaks_off(tail):
                return None
        return Extraction(text, "phrase", fallback=sentence if letters else "", stated=sentence)
    return None


def _concluded(text: str) -> Extraction | None:
    """What the last sentence concludes: `Therefore, n is 3.`"""
    last = next(iter(last_sentences(text.split("\n"))), "")
    has_statement = MATH.search(last) or STATEMENT.search(last)
    if not has_statement or not _CONCLUDES.match(last) or _breaks_off(last):
        return None
    text = answer_in_sentence(last, False, last=True)
    return Extraction(text, "conclusion") if text else None


def _unannounced(tail: str, letters: bool, n_sentences: int) -> Extraction | None:
    """A text without announcement: itself when it is short and no prose, else one of its last sentences reduced."""
    lines = [line.strip() for line in tail.split("\n") if line.strip()]
    if not lines:
        return None
    if letters and len(set(_OPTIONS.findall(lines[-1]))) > 1:  # the options repeated, none of them chosen
        return None
    is_one = len(tail) <= MAX_PLAIN and len(lines) == 1 and not SENTENCE_END.search(tail.rstrip(" .!?。！？*"))
    short = is_one and not is_prose(tail) and not _states_nothing(tail)
    if short and letters and (letter := answer_in_sentence(tail, True, last=True)):
        return Extraction(letter, "whole text", fallback=tail)
    last = tail if is_one else next(iter(last_sentences(lines)), "")
    nothing = _NOTHING.search(last) if is_one or _CONCLUDES.match(last) else None
    if nothing and not _LIMITED.search(last, 0, nothing.start()) and not _supposes(last):
        return Extraction(next(filter(None, nothing.groups())), "last sentence", fallback=tail if is_one else "")
    if _gives_up(last):
        return None
    if short and (quantity := concluded(tail) or formula_at_end(tail)):
        return Extraction(quantity, "last sentence", fallback=tail)
    if short:
        return Extraction(tail, "whole text", fallback=answer_in_sentence(tail, letters, last=True))
    formula = bool(MATH.fullmatch(tail))
    if not formula and _breaks_off(tail):
        return None
    whole = tail if len(tail) <= MAX_PLAIN and len(lines) == 1 else ""
    for part in [tail] if formula else last_sentences(lines)[:n_sentences]:
        if _states_nothing(part):
            continue
        if text := answer_in_sentence(part, letters, last=True):
            return Extraction(text, "last sentence", fallback=whole)
        if concluded(part) == "":
            return None
    return None
