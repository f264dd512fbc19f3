r"""Takes off markup: the HTML, Markdown and LaTeX that change how a statement looks, and not what it says.

A head word that stands alone in markup (`**Question 5**`, `<h3>Solution</h3>`, `\textbf{Problem 2.}`) becomes a label
on a line of its own (`Question 5:`), which `limo.pool.canonical.wrappers` takes off like any other.
"""

from __future__ import annotations

import html
import re

HEAD_WORD = (
    r"problem statement|problem|prob|question|exercise|ex|example|task|prompt|query|instructions?|input|statement"
    r"|puzzle|challenge|riddle|quiz|item|part|homework|practice|warm-?up|题目|问题|例题|习题|试题|练习|变式|典例|原题|题干|题文"
    r"|(?:思考|选择|填空|解答|计算|应用|判断)题|题|例"
)
TAIL_WORD = (
    r"(?:the\s+|your\s+)?(?:final\s+)?(?:answer|solution)|assistant|response|explanation|output|(?:answer\s+)?choices"
    r"|options|助手|回答|参考答案|答案|解答|解析|详解|选项|答|解"
)
NUMBER = r"(?:(?:[A-Z]-?)?\d{1,4}(?:[.-]\d{1,3})*[a-z]?|[IVX]{1,5}|[A-H]|\([a-h\d]{1,2}\)|[一二三四五六七八九十]{1,3})"
NUMBERED = rf"(?:no\.?|number|[.#№])?\s*{NUMBER}(?![A-Za-z0-9])(?:\s*(?:of|/)\s*\d{{1,3}})?"
_LABEL = re.compile(
    rf"\s*((?:{HEAD_WORD})(?:\s*{NUMBERED})?|{TAIL_WORD}|Q\s*\.?\s*\d{{1,4}}|[QA])\s*[.:：．。]?\s*", re.I
)

_FONT = r"text(?:bf|it|sl|sc|up|normal)|emph|uline|(?:sub)*section\*?|paragraph\*?"
_HTML = re.compile(
    r"</?(?:p|b|i|u|em|strong|div|span|center|li|ul|ol|font|h[1-6]|sub|sup)(?:\s+[a-z-]+\s*=[^<>]*)?\s*/?>", re.I
)
_HTML_BREAK = re.compile(r"<br\s*/?>", re.I)
_HTML_SCRIPT = re.compile(r"<(sup|sub)>([^<>]*)</\1>", re.I)
_HTML_MARKED = re.compile(r"<(b|i|u|em|strong|h[1-6])(?:\s[^<>]*)?>([^<>]*)</\1>", re.I)
_LATEX_MARKED = re.compile(
    rf"\\(?:{_FONT})\s*\{{([^{{}}]*)\}}|\{{\s*\\(?:bf|it|em|sl|sc)(?:series|shape)?\s+([^{{}}]*)\}}"
    r"|\\underline\s*\{([^{}\\$_~]*(?:[a-z]|[\u3400-\u9fff]){2}[^{}\\$_~]*)\}"
    r"|\\(?:text|textrm|mathrm|mathbf)\s*\{(\s*[(\[]?[A-J][.):\]]*\s*)\}"  # around the letter of an option
)
_LATEX_LAYOUT = re.compile(
    r"\\(?:begin|end)\s*\{(?:problem|question|exercise|center|enumerate|itemize|quote|document|flushleft)\*?\}"
    r"(?:\[[^\[\]]*\])?|\\(?:noindent|par|bigskip|medskip|smallskip|centering|newpage)(?![A-Za-z])"
)
# What one of the two above needs, in a much faster search.
_MAY_BE_MARKED = re.compile(
    r"\\(?:text(?:bf|it|sl|sc|up|normal)|em|bf|it|s(?:c|l|ec|ub)|ul|underl|par(?!all)|noind|bigsk|medsk|smallsk|cente|newp"
    r"|(?:text(?:rm)?|math(?:rm|bf))\s*\{\s*[(\[]?[A-J][.):\]\s]*\}|(?:begin|end)\s*\{(?:pr|qu|ex|ce|en|it|do|fl))"
)
# Asterisks and lines stand at the ends of words: `2*3*4` and `x_1 y_2` are mathematics.  Bounded, since what does not
# close is searched from each mark again.
_STARRED = re.compile(
    r"(\*(?<![A-Za-z0-9)\]}*\\]\*)\*{0,2})(?=[^\s*])((?:[^*\n]|\n(?!\n))+?)(?<=[^\s*])\1(?![A-Za-z0-9*({\\])"
)
_LINED = re.compile(
    r"_(?<![A-Za-z0-9)\]}_\\$]_)(?:_(?=[^\s_])([^\n]{1,1000}?)(?<=[^\s_])__|(?=[A-Za-z]{2}|[\u3400-\u9fff])([^_\n\\$]+?)_)"
    r"(?![A-Za-z0-9_{(\\])"
)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+(.+)$", re.M)
_RULE = re.compile(r"^[ \t]*(?:-{3,}|\*{3,}|={3,})[ \t]*$", re.M)
_QUOTED = re.compile(r"^[ \t]*>[ \t]?", re.M)


def without_markup(text: str) -> str:
    """A statement as its author wrote it, without markup; most have none, which a few searches find out."""
    if "&" in text and ";" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _HTML_BREAK.sub("\n", _HTML_SCRIPT.sub(_script, text))
        text = _HTML.sub(" ", _HTML_MARKED.sub(_plain, text))
    if "\\" in text and _MAY_BE_MARKED.search(text):
        text = _LATEX_LAYOUT.sub(" ", _LATEX_MARKED.sub(_plain, text))
    if "*" in text:
        text = _STARRED.sub(_plain, text)
    if "_" in text:
        text = _LINED.sub(_plain, text)
    if "#" in text:
        text = _HEADING.sub(_heading, text)
    if ">" in text and text.lstrip().startswith(">"):
        text = _QUOTED.sub("", text)
    may_have_rule = "\n" in text or text[:1] in "-= \t"
    return _RULE.sub("", text) if may_have_rule and ("---" in text or "===" in text) else text


def _plain(marked: re.Match[str]) -> str:
    """What was marked up; a label as a line of its own."""
    content = marked[marked.lastindex or 0]
    return _label(content) or (f" {content} " if marked[0][0] in "\\{" else content)


def _heading(marked: re.Match[str]) -> str:
    """A heading without its marks, which may stand behind it too."""
    content = marked[1].rstrip(" \t#") or marked[1][0]
    return _label(content) or content


def _label(content: str) -> str:
    """A label (`Problem 3`) as a line of its own; '' for other words."""
    label = _LABEL.fullmatch(content)
    return f"\n{label[1]}:\n" if label else ""


def _script(script: re.Match[str]) -> str:
    return f"{'^' if script[1].lower() == 'sup' else '_'}{{{script[2]}}}" if script[2] else ""
