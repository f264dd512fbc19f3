"""What stands around a statement and is none of it: headings, marks, tags of exams, instructions to a model.

    unwrap_all(["Q12. Find x. [5 points]"])[0].core == "Find x."

Found by a list, and by what many rows of a source share (`find_shared_wrappers`).  Only keys leave wrappers out; the
statement in the pool stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from string import ascii_uppercase as LETTERS
from typing import Any, NamedTuple

import numpy as np

from limo.pool.canonical.markup import HEAD_WORD, NUMBERED, TAIL_WORD

Array = Any  # of NumPy

SharedWrappers = Mapping[str, frozenset[str]]  # by source
MIN_SHARED_ROWS, MIN_SHARED_SHARE = 10, 0.005  # of a source, from which on a head or tail is a wrapper; own choice
_MAX_MARKS = 8  # taken off each end, one after the other
_HAN = r"[\u3400-\u9fff]"
_SENTENCE = rf"(?:(?-i:[A-Z])[a-z]|(?-i:A|I)\s|{_HAN})"  # how one begins
_POINTS = (
    r"[(\[【]\s*(?:本小?题|此题|每小?题)?\s*(?:满分|共|worth|total:?)?\s*\d{1,3}\s*(?:points?|marks?|pts?|分)[.,]?\s*[)\]】]"
    r"|[(\[](?:(?:max(?:imum)?|total)\s+)?(?:points?|marks?)\s*:\s*\d{1,3}[)\]]"
)
_NAME = r"(?:[\w\s.,#/:-]|\\cdot){0,40}"
_YEAR = rf"[(\[](?=[^()\[\]]*(?-i:[A-Z]{{2}}|[A-Z][a-z]|{_HAN})){_NAME}(?:19|20)\d\d{_NAME}[)\]]"
_IN_TAG = r"[^()\[\]【】{}$=+*^]*"  # what may stand in one of the two, and more
_TAG = rf"(?:{_POINTS}|{_YEAR}|【[^【】]{{1,40}}】)"
_ASKING = r"(?:what|find|how|if|let|is the|are|plus|sum|than|two|three|four|five|six|seven|eight|nine|ten)"
_LABEL_WORD = "(?:problem|question|exercise|task|puzzle)"
_LABEL = rf"(?:[A-Za-z'-]+[ ]){{1,8}}?{_LABEL_WORD}(?:\s*{NUMBERED})?\s*:"
_HAN_LABEL = rf"(?:{_HAN}|,){{1,14}}(?<!命)题目?\s*:"
_ROLE = "user|human|system|用户|系统|人类|提问者?|问"
_COUNTED = "个人只名条本张件元米年月日天次岁分秒点位支块把辆头棵"  # what may be counted: `例 3 人`
_CHAT = r"(?:<\|[^|<>\n]{1,30}\|>|\[/?INST\]|</?s>)"  # marks of chat templates
# What may stand before a statement, one after the other in any order.
_HEADS = (
    rf"{_CHAT}(?:\s*system\b.*?{_CHAT})?(?:\s*(?:user|human|system)\b(?=\s*[:\n]))?",
    r"<<SYS>>.*?<</SYS>>|#{1,6}(?=\s)",
    rf"{_TAG}\s*[.:]?|[(\[]\s*[★☆]{{1,5}}\s*[)\]]",
    # A label: its word, then a number or nothing, then a mark, a line's end, a tag, or a sentence.
    rf"[(\[]?(?:{HEAD_WORD}|{_ROLE}|q)\s*[)\]]?\s*(?::|\n)",
    rf"[(\[]?(?:{HEAD_WORD}|q)\s*{NUMBERED}(?:\s*[.:)\]]+(?!\d)|\s*,(?=\s*{_HAN})|\s*\n|\s+(?=(?-i:[A-Z][a-z]|[AI]\s))"
    rf"|\s*(?={_TAG}))",
    rf"(?:(?:{HEAD_WORD})(?<={_HAN}{_HAN})|例\s*)\d{{1,3}}\s+(?={_HAN}|\$|\\)(?![{_COUNTED}])",
    rf"第\s*[\d一二三四五六七八九十]{{1,4}}\s*小?题(?:\s*[.:,)]|\s*(?={_TAG})|\s+)",
    # Up to eight words that end in a label and ask for nothing: `AIME 2015 Problem 3:`, `Here is a problem:`.
    rf"(?-i:(?:[A-Z0-9][\w'.,()/-]*[ ]){{1,8}}){_LABEL_WORD}(?:\s*{NUMBERED}\s*[:.\n](?!\d)|\s*:)",
    rf"(?={_LABEL})(?![^\n:]*\b{_ASKING}\b){_LABEL}",
    rf"(?={_HAN_LABEL})(?![^\n:]*[一二三四五六七八九十两百几]){_HAN_LABEL}",
    # A number or a letter alone.
    rf"\(\s*\d{{1,3}}\s*\)(?=\s*(?:[A-Za-z]{{2}}|(?-i:[A-Z])\s[a-z]{{2}}|{_HAN}|{_TAG}))",
    rf"\d{{1,3}}\s*[.)](?=\s+[A-Za-z\"'$\\(\[]|[A-Za-z]{{2}}|(?-i:[A-Z])\s|\s*(?:{_HAN}|{_TAG}))",
    rf"\d{{1,3}}\s*,(?=\s*{_HAN})|[\(]?[一二三四五六七八九十]{{1,3}}(?:\)|\s*,)(?=\s*(?:{_HAN}|\d))",
    rf"\(?(?:[a-h]|[ivx]{{1,4}})\)(?:\s+(?=(?-i:[A-Z]))|\s*(?={_TAG}))|(?-i:[a-h])\.\s+(?={_SENTENCE})",
    rf"(?-i:[IVX]{{1,5}}|[A-Z]\d{{1,2}})[.):]\s+(?={_SENTENCE})",
    rf"(?:[*•▪►★☆■◆]|-(?=\s+{_SENTENCE}))\s*(?=[A-Za-z\"$\\]|{_HAN})",
)
_HEAD = re.compile(rf"\s*(?:{'|'.join(_HEADS)})", re.I | re.S)
_TAIL_TAG = re.compile(_TAG, re.I)
_EMPTY_BOX = r"(?:\\boxed\s*\{\s*\}\.?)"
_TAIL = re.compile(
    rf"(?:{_CHAT}|{_CHAT}\s*assistant|(?:(?<=[\s.?!:)$])|(?<={_HAN}))(?:{TAIL_WORD})\s*:[\s_.]*{_EMPTY_BOX}?"
    rf"|(?:(?<=[.?!:)$])|\n)\s*\n\s*(?:{TAIL_WORD})\.?|{_EMPTY_BOX})$",
    re.I,
)
_TAIL_ENDS = (":", "_", ">", "]", "}", "answer", "solution", "assistant", "response", "explanation", "output",
              "choices", "options", "答案", "解", "答", "解析", "选项", "助手", "回答")  # fmt: skip
_NAMED = r"[A-Z](?:\.|[^\s$\\?.]*)"  # a word of a name
_CREDIT = (  # ends a statement
    r"(?-i:(?:Proposed|Posed|Submitted|Contributed|Suggested|Authored)\s+by:?\s+"
    rf"{_NAMED}(?:\s+(?:[(]?{_NAMED}|and|of|de|van|von|the|&))*)\.?[)\]]?"
)
_CREDIT_TAIL = re.compile(rf"(?:\n|(?<=[.?!$)\]])\s)\s*[(\[~—-]*\s*{_CREDIT}$")
_INSTRUCTION = re.compile(  # a sentence that tells a model how to answer
    r"step[- ]by[- ]step|last line of your (?:response|answer)|\\boxed\s*\{\s*\}|\bfinal answer\b"
    r"|your answer on its own"
    r"|(?:solve|answer|read|consider) the (?:math\w* )?(?:problem|question|exercise|task)s? (?:below|carefully)"
    r"|(?:solve|answer|read|consider) (?:the following|this) (?:math\w* )?(?:problem|question|exercise|task)s?\b"
    r"|show (?:all )?(?:your|the) (?:work|reasoning|steps)|explain your (?:reasoning|answer)|without quotes"
    r"|(?:choose|select|pick) (?:the|one) (?:\w+ )*(?:options?|answer|choice|letter)\b"
    r"|you are an? (?:\w+ )*(?:assistant|expert|tutor|mathematician)"
    r"|(?:解答|回答|解决)(?:下面|以下|下列)的?(?:数学)?(?:问题|题目)|一步一步|逐步|最[终后]答案|(?:写|给)出.{0,4}(?:过程|步骤)",
    re.I,
)
_POSES = re.compile(  # ... and asks for nothing itself: neither "Find $f(3)$ and show your work"
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|half|twice|double|thirds?|quarters?|fifths?)\b"
    r"|\b(?:compute|determine|evaluate|calculate|prove|simplify|how (?:many|much|far|long|old))\b"
    r"|\bfind\b(?! the (?:\w+ )?answer)|求|多少|计算|证明",
    re.I,
)
_ANSWER_FORM = re.compile(r"\$Answer\b[^\n]*\n+", re.I)  # ends a sentence about the form of the answer
# For whole batches, in the syntax of RE2: how a statement with a mark at its head or tail, a figure, or options looks.
_HEAD_MARK, _TAIL_MARK, _FIGURE_MARK, _OPTION_MARK = (
    pattern.replace(r"\u3400-\u9fff", "\u3400-\u9fff")
    for pattern in (
        rf"^\s*(?:[#<(\[【0-9*•▪►★☆■◆-]|(?:{HEAD_WORD}|q|{_ROLE})(?:[^A-Za-z]|$)|[\u3400-\u9fff,]*[题例]|第|[a-h][.)]|[ivx]+[.)]|[a-z]\d"
        r"|[一二三四五六七八九十]{1,3}\s*,|[^\n:]+" + _LABEL_WORD + r"[^\n:]*[:.\n])",
        rf"(?:{_CHAT}(?:\s*assistant)?|(?:{TAIL_WORD})\s*:[\s_.]*{_EMPTY_BOX}?|\n\s*(?:{TAIL_WORD})\.?|{_EMPTY_BOX}"
        rf"|[(\[【]{_IN_TAG}(?:point|mark|pt|分|19|20){_IN_TAG}[)\]】]|【[^【】]+】|{_CREDIT})\s*$",
        r"(?:\[asy|!\[|<im|\\includeg|\\begin\{(?:asy|tikz|figure)|```|\[(?:ima?ge?|fig))",
        r"(?:^|[^A-Za-z]|quad)A\s?[.):\],](?:.|\n)*(?:[^A-Za-z]|quad)B\s?[.):\],]",
    )
)
_BREAK = re.compile(r"\n\s*|[.?!:](?:\s+|(?=[\u3400-\u9fff]))")
_SPEAKS_OF_ANSWERING = re.compile(
    r"answer|respon|step|box|format|output|reason|assistant|problem|question|instruction|答|步骤|过程|题", re.I
)
_ASKS = re.compile(r"express|give|round|write|enter|find|what|which|how|if|when|let|求", re.I)  # parts of problems
_FIGURE = re.compile(  # none of it scans to the end of a text at each opening without a close
    r"\[asy\](?:(?!\[asy\]).)*?\[/asy\]|\\begin\{(asy|tikzpicture|figure)\}(?:(?!\\begin\{\1\}).)*?\\end\{\1\}"
    r"|```(?:asy|tikz).*?```|!\[[^\[\]]*\]\([^()\s]*\)|<im(?:g|age)[^<>]*>"
    r"|\\includegraphics\s*+(?:\[[^\[\]]*\]\s*+)?\{[^{}]*\}|\[(?:image|img|figure)[ _]?\d{0,2}\]",
    re.S | re.I,
)
_MAY_SHOW = re.compile(r"[\[!<\\{`](?i:asy|im|fig|(?<=!)\[|includeg|tikz|``)")  # and what looks like it
_NO_ADDRESS = re.compile(r"<image[^<>=]*>|\[[a-z]+[ _]?\d{0,2}\]", re.I)  # says that there is a figure, not which
_PART = re.compile(
    r"\?|\b(?:find|compute|determine|show|prove|what|how|calculate|evaluate|if)\b|求|证", re.I
)  # of a problem
_FIRST_OPTION, _SECOND_OPTION = re.compile(r"[Aa]\s?[.):\],]"), re.compile(r"[Bb]\s?[.):\],]")
_LETTER = r"[(\[]?\s?[A-Ja-j]"
_OPTION = re.compile(  # a first character that can be searched for fast, what stands before it, and the rest
    rf"[-*•OoCc(\[A-Ja-j](?:(?<=[\s)}}$.?:;,\u3400-\u9fff].)|(?<=quad.))"
    rf"(?:(?<=[-*•])\s+(?i:(?:option|choice)\s+)?{_LETTER}|(?<=[Oo])(?i:ption)\s+{_LETTER}|(?<=[Cc])(?i:hoice)\s+{_LETTER}"
    r"|(?<=[(\[])\s?[A-Ja-j]|(?<=[A-Ja-j]))(?<=([A-Ja-j]))\s?(?:[.):\]]+|,)(?!\Z)\s*"
)


NO_WRAPPER = ("", "")


class Unwrapped(NamedTuple):
    """A statement without its wrapper, figure and listed options; and these."""

    core: str
    wrapper: tuple[str, str] = NO_WRAPPER
    figure: str = ""
    options: tuple[str, ...] = ()

    @property
    def whole(self) -> str:
        """The statement with its options in one order and style."""
        return self.core + "".join(f"\n{text};" for text in sorted(self.options)) if self.options else self.core


def unwrap_all(texts: Sequence[str], shared: Sequence[frozenset[str]] = ()) -> list[Unwrapped]:
    """Take off what is around normalised statements; `shared` are the heads and tails of each one's source.

    Most statements have nothing around them, which a few searches of the whole batch find out.
    """
    shared = shared or [frozenset()] * len(texts)
    column = _column(texts)
    marks = [
        _matches(column, pattern)
        for pattern in (_INSTRUCTION.pattern, _HEAD_MARK, _TAIL_MARK, _FIGURE_MARK, _OPTION_MARK)
    ]
    shares = np.zeros(len(texts), bool)
    for sentences in filter(None, set(shared)):
        rows = [row for row, known in enumerate(shared) if known is sentences]
        shares[rows] = _matches(column.take(rows), _any_of(sentences))
    parts = list(map(Unwrapped, texts))
    rows = np.flatnonzero(np.logical_or.reduce([*marks, shares])).tolist()
    for row, is_shared, *may in zip(rows, *(mask[rows].tolist() for mask in (shares, *marks)), strict=True):
        parts[row] = _unwrap(texts[row], shared[row] if is_shared else frozenset(), *may)
    return parts


def _column(texts: Sequence[str]) -> Any:
    """The texts as an array of Arrow."""
    import pyarrow as pa

    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair
        return pa.array([text.encode("utf-8", "replace") for text in texts]).cast(pa.string())


def _matches(column: Any, pattern: str) -> Array:
    """In which texts of a column the pattern (of RE2, without regard to case) is found: bool [n]."""
    import pyarrow.compute as pc

    return pc.match_substring_regex(column, pattern, ignore_case=True).to_numpy(zero_copy_only=False)


@lru_cache(maxsize=256)
def _any_of(sentences: frozenset[str]) -> str:
    return "|".join(r"\s+".join(map(re.escape, sentence.split())) for sentence in sorted(sentences))


def _unwrap(
    text: str, shared: frozenset[str], may_instruct: bool, has_head: bool = True, has_tail: bool = True,
    has_figure: bool = True, has_options: bool = True,
) -> Unwrapped:  # fmt: skip
    """`has_head` and so on: whether there may be such a mark, which a search of the batch says."""
    figure = ""
    if has_figure and _MAY_SHOW.search(text):
        figures = [found[0] for found in _FIGURE.finditer(text)]
        if figures:
            figure, text = "".join(code for code in figures if not _NO_ADDRESS.fullmatch(code)), _FIGURE.sub(" ", text)
            has_head = has_tail = has_options = True
    speaks = may_instruct or bool(shared)
    start, end = _after_head(text, shared, may_instruct) if has_head or speaks else 0, len(text.rstrip())
    options: tuple[str, ...] = ()
    for _ in range(_MAX_MARKS):
        before = _before_tail(text, start, end, shared, may_instruct) if has_tail or speaks else end
        if before == end and has_options and not options:
            options, before = _options(text, start, end)
        if before == end:
            break
        end, has_tail = before, True
    if (not start and end == len(text)) or not any(map(str.isalnum, text[start:end])):
        return Unwrapped(text, figure=figure)
    return Unwrapped(text[start:end], (text[:start], text[end:] if not options else ""), figure, options)


def _after_head(text: str, shared: frozenset[str], may_instruct: bool) -> int:
    start = 0
    for _ in range(_MAX_MARKS):
        mark = _HEAD.match(text, start)
        stop = mark.end() if mark else start
        found = (
            None
            if mark or not (may_instruct or shared)
            else _BREAK.search(text, len(text) - len(text[start:].lstrip()))
        )
        if found:
            sentence = text[start : found.end()].strip()
            if sentence and found.end() < len(text) and _is_wrapper(sentence, shared, may_instruct):
                form = _ANSWER_FORM.match(text, found.end())
                stop = form.end() if form else found.end()
        if stop == start or stop >= len(text):
            break
        start = stop
    return start


def _before_tail(text: str, start: int, end: int, shared: frozenset[str], may_instruct: bool) -> int:
    mark = None
    if text[end - 1 : end] in (")", "]", "】"):
        opening = max(text.rfind(bracket, start, end) for bracket in "([【")
        mark = _TAIL_TAG.fullmatch(text, opening, end) if opening > start else None
    if mark is None and text[max(start, end - 14) : end].lower().rstrip(".").endswith(_TAIL_ENDS):
        mark = _TAIL.search(text, max(start, end - 80), end)
    if mark is None and "by" in text[max(start, end - 100) : end]:
        mark = _CREDIT_TAIL.search(text, max(start, end - 100), end)
    if mark:
        return len(text[: mark.start()].rstrip())
    if not may_instruct and not shared:
        return end
    tail = text[max(start, end - 400) : end]
    breaks = [found for found in _BREAK.finditer(tail) if found.end() < len(tail)]
    if breaks and _is_wrapper(tail[breaks[-1].end() :].strip(), shared, may_instruct):
        return len(text[: end - len(tail) + breaks[-1].start() + 1].rstrip())
    return end


def _is_wrapper(sentence: str, shared: frozenset[str], may_instruct: bool) -> bool:
    if " ".join(sentence.split()) in shared:
        return True
    return may_instruct and bool(_INSTRUCTION.search(sentence)) and not _POSES.search(sentence)


def _options(text: str, start: int, end: int) -> tuple[tuple[str, ...], int]:
    """The texts of the options that end the statement, A to the last one, and where they begin; (), `end` without."""
    first = _FIRST_OPTION.search(text, start, end)
    if first is None or not _SECOND_OPTION.search(text, first.end(), end):
        return (), end
    ahead = text[start : first.start()].rstrip().rstrip("([").rstrip()[: -len("option")].rstrip()  # and a bullet
    marks = list(_OPTION.finditer(text, start + max(0, len(ahead) - 1), end))
    letters = "".join([mark[1] for mark in marks])
    listed = marks[max(letters.rfind("A"), letters.rfind("a"), 0) :]
    letters = letters[-len(listed) :]
    if len(listed) < 2 or letters not in (LETTERS[: len(listed)], LETTERS[: len(listed)].lower()):
        return (), end
    stops = [mark.start() for mark in listed[1:]] + [end]
    texts = tuple([text[mark.end() : stop].strip(" \n.,;") for mark, stop in zip(listed, stops, strict=True)])
    is_list = letters.isupper() or not any(map(_PART.search, texts))
    if any(mark[0].rstrip()[-1] == "," for mark in listed):  # `A、` is a label, the `A,` of English is none
        is_list = is_list and not text[start:end].isascii()
    before = len(text[start : listed[0].start()].rstrip()) + start
    return (texts, before) if is_list and all(texts) and before > start else ((), end)


def find_shared_wrappers(texts: Sequence[str], sources: Sequence[str]) -> SharedWrappers:
    """Of normalised statements with their sources: by source the sentences at their ends that many rows share.

    Only those that speak of answering count.
    """
    n_rows = Counter(sources)
    counts: Counter[tuple[str, str]] = Counter()
    for row in np.flatnonzero(_matches(_column(texts), _SPEAKS_OF_ANSWERING.pattern)).tolist():
        text, source = texts[row], sources[row]
        counts.update((source, sentence) for sentence in set(_end_sentences(text)))
    shared: dict[str, set[str]] = {}
    for (source, sentence), n in counts.items():
        if n >= max(MIN_SHARED_ROWS, MIN_SHARED_SHARE * n_rows[source]) and _may_be_wrapper(sentence):
            shared.setdefault(source, set()).add(sentence)
    return {source: frozenset(sentences) for source, sentences in shared.items()}


def _end_sentences(text: str) -> Iterator[str]:
    """The first two and the last two sentences."""
    start = 0
    for _ in range(2):
        found = _BREAK.search(text, start, 600)
        if found is None:
            break
        yield " ".join(text[start : found.end()].split())
        start = found.end()
    ends = [found.end() for found in _BREAK.finditer(text, max(start, len(text) - 500)) if found.end() < len(text)]
    for begin, end in pairwise([*ends, len(text)][-3:]):
        yield " ".join(text[begin:end].split())


def _may_be_wrapper(sentence: str) -> bool:
    """Whether it speaks of answering, and neither holds a digit nor asks: such sentences belong to no problem."""
    n_words = len(sentence.split()) + 2 * (not sentence.isascii())
    return (
        n_words >= 4
        and not _ASKS.match(sentence)
        and not any(map(str.isdigit, sentence))
        and bool(_SPEAKS_OF_ANSWERING.search(sentence))
    )
