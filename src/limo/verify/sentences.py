"""What one sentence of a completion gives as the answer: letters, mathematics, a number with its unit, or its words.

answer_in_sentence("there are 12 apples left in the box", letters=False, last=True)    # "12"
answer_in_sentence("it is D, not C", letters=True)                                     # "D"
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Any

from limo.core.files import shipped_yaml
from limo.verify.maths.notations import is_formula_of_elements
from limo.verify.maths.tables import table
from limo.verify.maths.times import read_range
from limo.verify.maths.units import read_unit

PHRASES: dict[str, Any] = shipped_yaml(__file__, "phrases.yaml")


def alternatives(name: str) -> str:
    """The regular expressions under a name as one."""
    return "|".join(PHRASES[name])


def find_phrases(name: str, text: str, start: int = 0) -> list[re.Match[str]]:
    """The phrases of a kind in a text, in order; a language is searched for only where one of its words occurs."""
    lowered = text[start:].lower()
    patterns = tuple(entry["pattern"] for entry in PHRASES[name] if any(word in lowered for word in entry["words"]))
    return [*_compiled(patterns).finditer(text, start)] if patterns else []


@lru_cache(maxsize=1024)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.I)


OPTION = r"[\(（]?[A-GＡ-Ｇ][\)）]?"
_LETTERS = rf"{OPTION}(?:(?:\s*[,，、/]\s*|\s*(?:\b(?:and|or|nor)\b|[和或])\s*){OPTION})*(?![A-Za-z'])"
_DENIED_LETTERS = re.compile(alternatives("denied_letters").replace("LETTERS", _LETTERS))
_GOVERNOR, _MODIFIER = re.compile(PHRASES["governors"], re.I), re.compile(PHRASES["modifiers"], re.I)
TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{|[{}$]")
_ENDING = re.compile(rf"\s*(?:{alternatives('endings')})\s*[。.।!！]*\s*\Z")
MATH = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:\\\$|[^$])+?)(?<!\\)\$", re.S)
SENTENCE_END = re.compile(
    r"(?<=[^\s.A-Z])[.!?](?=\s+[A-Z\[<*(]|\s*$|\s*\n)|(?<!\d)[。！？]|[。！？](?!\d)|\n\s*\n|(?<=\S)\n(?=\s*[A-Z*#\-])"
)
_GAP = re.compile(r"[\s,;]*(?:and|or|和|或)?[\s,;]*")  # between formulas of one list
_AMOUNT = re.compile(r"(?<!\\)\$(?=\d[\d,.]*(?:\s|$|\.))")  # of dollars: its sign is no delimiter of mathematics
_QUALIFIER = re.compile(r"(?<=[\d=<>])(?:\s*\w)?[\s,]+(?:for (?:all|any|every|each)|where)\b[^.\n]*\Z")
_CHECKED = re.compile(r"\W*\\(?:checkmark|blacksquare|square|qed|Box)\W*")
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_BRACKET = re.compile(r"\[([^\[\]\n]{1,80})\]")
NUMBER = re.compile(
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
_UNDECIDED = re.compile(rf"{OPTION}\s*(?:\bor\b|或)\s*{OPTION}(?![A-Za-z'])[^A-G]*\Z")
_DENIED_START, _NOT_BUT = re.compile(PHRASES["denied_start"], re.I), re.compile(PHRASES["not_but"], re.I)
_REFUSED = re.compile(PHRASES["refused"], re.I | re.S)
_REASON = re.compile(r"\s(?:because|since|so that|as (?:we|the|it|this))\b.*|[，,]\s*(?:因为|由于).*", re.S)
# "326.5 is the sum of 313.9 and 12.6": what such a sentence is about comes first.
_SUBJECT = re.compile(
    r"\W*(?:so|thus|hence|therefore)?,?\s*((?:\\?\$)?-?\d[\d,.]*\d|-?\d)\s+(?:is|was)\s+(?:indeed\s+)?(?:the|our|my)\b",
    re.I,
)
STATEMENT = re.compile(r"(?:\b(?:is|are|was|equals|by|be|to|get|have|approximately|about)|[=:])\s*(?=[-+$]?[\d.])")
_TRUTH = re.compile(
    r"\b(?:is|:)\s+(true|false|yes|no)\W*\Z|\A\W*(yes|no)(?=\s*[,.;:!—]|\W*\Z)(?!.*\botherwise\b)", re.I
)
_ENGLISH = table("languages/english")
_COUNT = "|".join([*_ENGLISH["ones"][::-1], *_ENGLISH["tens"], "hundred", *_ENGLISH["scales"]])
_PART = f"(?:{'|'.join(_ENGLISH['parts'])})s?"
_COUNT = rf"(?:(?:{_COUNT})\b(?:[\s-]+(?:and\s+(?:an?\s+)?|point\s+)?(?:{_COUNT}|{_PART})\b)*|an?\s+{_PART}\b)"
_COUNT_WORD = re.compile(rf"({_COUNT})", re.I)
_COUNT_AT_END = re.compile(
    r"\b(?:gives?(?: us)?|is|are|have|has|gets?|makes?|equals?) "
    rf"((?:minus|negative) (?:\d[\d.,]*(?<=\d)|{_COUNT})|{_COUNT}|half)\W*\Z",
    re.I,
)
_FORMULA_AT_END = re.compile(
    r"(?:\b(?:is|are|was)\s+|(?<!不)[是为]\s*)([A-Z(]\S{0,40}?)(?:\s*[(（][^()（）]*[)）])?[\s.。!！]*\Z"
)
_UNIT = r"(?:[A-Za-zµμΩ]+|°[CF]?)(?:\^?\{?-?[\d²³]\}?)?"
_UNIT_WORD = re.compile(rf"\s*({_UNIT}(?:[/·*]{_UNIT})*)(?![\w/])")
_OPENING = re.compile(rf"(?:\A|(?<=[,，;；]))[\s*]*(?:{alternatives('chinese_conclusions')})[\s,，:：]*")
_VERB = re.compile(alternatives("chinese_verbs"))
_FORMULA_SIGN = re.compile(r"[=<>≤≥≠≈√∞∈∪∩^\\{}$()（）\[\]|]|\d\s*[-+−~～:：至到]\s*\d|\d[A-Za-z]")
_CLAUSE_END = re.compile(r"[,，;；](?!\d{3})")
_CHINESE = table("languages/chinese")
_SCALE = re.compile(rf"\s*[{''.join([*_CHINESE['small_scales'], *_CHINESE['large_scales']])}]+(?![米克瓦焦帕伏赫卡])")
_NUMERAL = "".join([*_CHINESE["digits"], *_CHINESE["small_scales"], *_CHINESE["large_scales"]])
WORDS_AND_NUMBER = re.compile(rf"\W*[^\W\d].*[\d{_NUMERAL}]", re.S)
_NUMERAL_AT_END = re.compile(rf"负?[{_NUMERAL}分之点]*[{_NUMERAL}](?=\s*\Z|{_CHINESE['measures']})")
_HAN = re.compile(r"\s*([\u4e00-\u9fff]{1,4})(?![/每])")
_NO_UNITS = frozenset(["a", "am", "are", "as", "at", "in", "t", "u"])  # words first, units in the second place


def answer_in_sentence(sentence: str, letters: bool, *, last: bool = False) -> str:
    """The answer inside one sentence: a letter, the mathematics, a bracket, a number, or the words themselves."""
    sentence = sentence.strip().strip("*").strip()
    if letters:
        kept = _DENIED_LETTERS.sub(" ", TEXT_COMMAND.sub(" ", sentence))
        named = _OPTION_LETTER.findall(_REASON.sub("", kept)) or _OPTION_LETTER.findall(kept)
        if last and len(named) > 1 and _UNDECIDED.search(kept):
            return ",".join(named[-2:])
        if named:
            return named[-1] if last and not _ONLY_LETTERS.fullmatch(kept) else ",".join(dict.fromkeys(named))
    if "n" in sentence or "N" in sentence or not sentence.isascii():
        sentence = _without_refused(sentence)
        if not sentence:
            return ""
        if last and (quantity := concluded(sentence)) is not None:
            return quantity
    formulas = [match for match in MATH.finditer(sentence) if not _CHECKED.fullmatch(match.group())]
    if formulas and not (len(formulas) == 1 and len(_AMOUNT.findall(sentence)) >= 2):
        rest = sentence[formulas[-1].end() :]
        if STATEMENT.search(rest) and NUMBER.search(rest):
            return _last_number(rest, last)
        return _joined_maths(sentence, formulas)
    if last:
        bold = _BOLD.findall(sentence + "**" * (sentence.count("**") % 2))
        if bold and re.search(r"\d|[A-Za-z]", bold[-1]):
            return str(bold[-1]).strip(" .:")
    bracket = _BRACKET.findall(sentence)
    if bracket and is_prose(sentence):
        return str(bracket[-1])
    if not is_prose(sentence) and len(sentence) <= 200 and not last:
        return _stripped(_REASON.sub("", sentence))
    return _last_number(sentence, last)


def concluded(sentence: str) -> str | None:
    """What a Chinese conclusion states: its one quantity with its unit, or the formula behind its verb.

    "" where a quantity is part of something else, or one of several; None where the sentence is no conclusion, or one
    in words (what `答：` opens aside).
    """
    openings = [] if sentence.isascii() else list(_OPENING.finditer(sentence))
    clause = sentence[openings[-1].end() :].strip(" *。.!！") if openings else ""
    start = max((verb.end() for verb in _VERB.finditer(clause)), default=0)
    said = clause[start:].strip(" :：")
    if _FORMULA_SIGN.search(clause):
        is_formula = NUMBER.search(said) and not re.search(r"(?![或和且])[\u4e00-\u9fff]|[$\\]", said)
        return said if is_formula and not NUMBER.search(clause, 0, start) else None
    parts = [part for part in _CLAUSE_END.split(clause) if NUMBER.search(part)]
    if not parts:
        words = clause.lstrip("是为") if openings and "答" in openings[-1].group() else ""
        return said if _NUMERAL_AT_END.match(said) else words or None
    *_, last = NUMBER.finditer(parts[0])
    start = max((verb.end() for verb in _VERB.finditer(parts[0], 0, last.start())), default=0)
    number, *others = NUMBER.finditer(parts[0], start)
    if len(parts) > 1 or others or _is_part(parts[0], number):
        return ""
    scale = _SCALE.match(parts[0], number.end())
    end = scale.end() if scale else number.end()
    return parts[0][number.start() : end].strip() + _unit_behind(parts[0], end)


def _is_part(sentence: str, number: re.Match[str]) -> bool:
    """Whether a number is part of something else: 12 *of* them, *at least* 12."""
    before = TEXT_COMMAND.sub(" ", sentence[max(0, number.start() - 60) : number.start()])
    after = TEXT_COMMAND.sub(" ", sentence[number.end() : number.end() + 40])
    return bool(_GOVERNOR.search(before) or _MODIFIER.match(after))


def _without_refused(sentence: str) -> str:
    """`12` of `12, not 13` and of `not 13 but 12`; "" where `not 13` is all that it says."""
    if contrast := _NOT_BUT.match(sentence):
        return sentence[contrast.end() :]
    if _DENIED_START.match(sentence):
        return ""
    kept = _REFUSED.sub("", sentence)
    return kept if re.search(r"[\w$]", kept) else sentence


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
    text = text.strip(" *:").rstrip(" .*:。")
    text = _ENDING.sub("", text).strip(" *:") if not text.isascii() else text
    return text if re.match(r"\.\d", text) else text.lstrip(" .*:")


def _last_number(sentence: str, last: bool) -> str:
    """What a sentence says in the end: the phrase behind its verb, or the last number that is not part of another."""
    if last and (subject := _SUBJECT.match(sentence)):
        return subject.group(1)
    tail = _stripped(re.split(r"\b(?:is|are|equals|be|was)\b\s*(?:equal to)?", _REASON.sub("", sentence))[-1])
    tail = re.sub(r"^(?:(?:approximately|about|therefore|thus)\b\s*|一?共?[是为有])", "", tail)
    if tail and _GOVERNOR.search(sentence[: sentence.rfind(tail)][-60:]):  # `cannot be 12`
        tail = ""
    if not last and 0 < len(tail) <= 60 and not is_prose(tail):
        return tail
    chain = re.search(r"=\s*([^=]{1,80})$", sentence.strip(" ."))
    if chain and not is_prose(chain.group(1)):
        return chain.group(1).strip()
    n_han, n_leading = (
        len(re.findall(r"[\u4e00-\u9fff]", text)) for text in (tail, re.split(r"\d", tail, maxsplit=1)[0])
    )
    wordy = re.search(r"(?<![A-Za-z\\])[A-Za-z]{4,}", tail) or n_han > 4 or n_leading > 1
    if 0 < len(tail) <= 60 and re.search(r"\d", tail) and not is_prose(tail) and not wordy:
        return tail
    if last and (said := formula_at_end(sentence) or ((count := _COUNT_AT_END.search(sentence)) and count[1])):
        return said
    numbers = list(NUMBER.finditer(sentence))
    for number in reversed(numbers):
        if not _is_part(sentence, number):
            return number.group().strip() + _unit_behind(sentence, number.end())
    if numbers:  # only parts of something: the phrase is the answer, if there is one
        return "" if last else tail
    word = _TRUTH.search(sentence) or (None if last else _COUNT_WORD.match(sentence))
    if word and _is_part(sentence, word):
        return ""
    return next(filter(None, word.groups())) if word else ""


def formula_at_end(sentence: str) -> str:
    """The chemical formula that a sentence ends in: `the acid is H₂SO₄`; "" where it ends in none."""
    formula = _FORMULA_AT_END.search(sentence)
    return formula[1] if formula and is_formula_of_elements(formula[1]) else ""


def _unit_behind(sentence: str, end: int) -> str:
    """The unit right behind a number, so that 60 km/h is not taken for 60; words that are units by chance are none."""
    if han := _HAN.match(sentence, end):
        return next((unit for n in range(len(han[1]), 0, -1) if read_unit(unit := han[1][:n])), "")
    word = _UNIT_WORD.match(sentence, end)
    return word.group() if word and word.group(1) not in _NO_UNITS and read_unit(word.group(1)) else ""


def first_sentence(text: str) -> str:
    """Up to the first stop that ends a sentence; stops inside mathematics do not count."""
    masked = MATH.sub(lambda m: "x" * len(m.group()), text[:2000])
    end = SENTENCE_END.search(masked)
    return text[: end.start()] if end else text[:2000]


def last_sentences(lines: list[str]) -> list[str]:
    """Sentences of the last lines, last first; display mathematics that spans lines stays whole."""
    block = "\n".join(lines[-12:])
    masked = MATH.sub(lambda m: "x" * len(m.group()), block)
    cuts = [0, *[m.end() for m in re.finditer(r"[.!?](?=\s)|[。！？]|\n", masked)], len(block)]
    parts = [block[a:b].strip() for a, b in pairwise(cuts)]
    return [part for part in reversed(parts) if part][:6]


def is_prose(text: str) -> bool:
    """Whether a text is words more than formulas: four words or more, or two beside masked formulas."""
    if " to " in text and len(text) < 60 and read_range(text.strip(" .*")):
        return False
    bare = MATH.sub(" ", text) if text.count("$") > 1 or "\\(" in text or "\\[" in text else text
    masked = bare != text
    bare = _QUALIFIER.sub("", re.sub(r"\\[A-Za-z]+\s*\{[^{}]*\}|\\[A-Za-z]+", " ", bare))
    if masked and len(re.findall(r"[A-Za-z]{3,}", bare)) >= 2:
        return True
    n_words = len(re.findall(r"(?<![A-Za-z\\])[A-Za-z]{3,}", bare))
    return n_words >= 4 or len(_PROSE.findall(bare)) >= (1 if len(bare.split()) > 2 else 2)
