"""A secret stays in: whole, escaped, encoded, in pieces or cut, and without harm to other texts."""

from __future__ import annotations

import base64
import codecs
import html
import json
import random
import string
import time
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from limo.core import secrets
from limo.core.secrets import (
    hide_in_own,
    hide_in_parts,
    hide_secrets,
    holds_secret,
    remember_secret,
)
from limo.core.text import HIDDEN


def hide_in_completion(text):
    (shown,) = hide_in_parts(text)
    return shown


BOLD = {chr(65 + k): chr(0x1D400 + k) for k in range(26)} | {chr(97 + k): chr(0x1D41A + k) for k in range(26)}
FORMS = {
    "as it is": lambda key: key,
    "JSON": json.dumps,
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "JSON, every character": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "JSON, every character, twice": lambda key: "".join(f"\\\\u{ord(c):04X}" for c in key),
    "Python": repr,
    "Python, every character": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "URL": lambda key: quote(key, safe=""),
    "URL twice": lambda key: quote(quote(key, safe=""), safe=""),
    "URL, every character": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "HTML": html.escape,
    "HTML twice": lambda key: html.escape(html.escape(key)),
    "HTML, hexadecimal": lambda key: "".join(f"&#x{ord(c):x};" for c in key),
    "HTML, decimal without ends": lambda key: "".join(f"&#{ord(c):05d}" for c in key),
    "URL in JSON": lambda key: json.dumps(quote(key)),
    "JSON in a URL": lambda key: quote(json.dumps(key)),
    "HTML in JSON": lambda key: json.dumps(html.escape(key)),
    "upper case": str.upper,
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 behind a user": lambda key: base64.b64encode(b"me:" + key.encode()).decode(),
    "base64 between others": lambda key: base64.urlsafe_b64encode(b"ab" + key.encode() + b"cd").decode(),
    "with tag letters between": lambda key: "\U000e0041".join(key),
    "with tag digits between": lambda key: "\U000e0030\U000e0061".join(key),
    "with full-width letters between": lambda key: "\uff21".join(key),
    "base85": lambda key: base64.b85encode(key.encode()).decode(),
    "Ascii85": lambda key: base64.a85encode(key.encode()).decode(),
    "rot13": lambda key: codecs.encode(key, "rot13"),
    "the reverse in base64": lambda key: base64.b64encode(b"user:" + key[::-1].encode()).decode(),
    "the reverse in hexadecimal": lambda key: key.encode()[::-1].hex(),
    "base64 in reverse": lambda key: base64.b64encode(key.encode()).decode().rstrip("=")[::-1],
    "hexadecimal in reverse": lambda key: key.encode().hex()[::-1],
    "base64 in base64": lambda key: base64.b64encode(base64.b64encode(key.encode())).decode(),
    "base32": lambda key: base64.b32encode(key.encode()).decode(),
    "base32 behind a user, in small letters": lambda key: base64.b32encode(b"user:" + key.encode()).decode().lower(),
    "base32 between others": lambda key: base64.b32encode(b"abc" + key.encode() + b"defg").decode(),
    "base32 in the other alphabet": lambda key: base64.b32hexencode(b"ab" + key.encode()).decode(),
    "octal": lambda key: "".join(f"\\{ord(c):o}" for c in key),
    "octal of JSON": lambda key: "".join(f"\\\\{ord(c):03o}" for c in key),
    "octal numbers": lambda key: " ".join(f"0o{ord(c):o}" for c in key),
    "Python, 8 digits": lambda key: "".join(f"\\U{ord(c):08x}" for c in key),
    "Rust": lambda key: "".join(f"\\u{{{ord(c):x}}}" for c in key),
    "code points": lambda key: " ".join(f"U+{ord(c):04X}" for c in key),
    "decimal numbers": lambda key: str([ord(c) for c in key]),
    "decimal numbers of one width": lambda key: "-".join(f"{ord(c):03d}" for c in key),
    "hexadecimal numbers": lambda key: ", ".join(f"0x{ord(c):X}" for c in key),
    "a tag around each": lambda key: "".join(f"<i>{html.escape(c)}</i>" for c in key),
    "an empty tag between": '<span class="x1"></span>'.join,
    "a comment between": "<!-- 1 -->".join,
    "tag characters": lambda key: "".join(chr(0xE0000 + ord(c)) for c in key),
    "variation selectors": lambda key: "".join(chr(0xE00F0 + ord(c)) for c in key),
    "tag characters, as Python writes them": lambda key: ascii("".join(chr(0xE0000 + ord(c)) for c in key)),
    "tag characters, as JSON writes them": lambda key: json.dumps("".join(chr(0xE0000 + ord(c)) for c in key)),
    "full width, as JSON writes it": lambda key: json.dumps("".join(chr(ord(c) + 0xFEE0) for c in key)),
    "hexadecimal": lambda key: key.encode().hex(),
    "a character a line": "\n".join,
    "with invisible characters": "\u200b".join,
    "full width": lambda key: "".join(chr(ord(c) + 0xFEE0) for c in key),
    "bold": lambda key: "".join(BOLD.get(c, c) for c in key),
    "reversed": lambda key: key[::-1],
    "reversed, with dashes": lambda key: "-".join(key[::-1]),
    "with dashes": "-".join,
    "with spaces": "  ".join,
    "with dots and full width": lambda key: " . ".join(chr(ord(c) + 0xFEE0) for c in key),
    "a list of characters": lambda key: repr(list(key)),
    "base64 before others": lambda key: base64.b64encode(key.encode() + b"@host").decode(),
    "base64 of JSON": lambda key: base64.b64encode(json.dumps({"key": key}).encode()).decode(),
    "base64 in lines": lambda key: base64.encodebytes(b"me:" + key.encode() * 2).decode(),
    "hexadecimal in pairs": lambda key: key.encode().hex(":"),
    "half, then cut": lambda key: key[: len(key) // 2 + 1] + "...",
    "a few characters, then cut": lambda key: key[:4] + "…",
    "cut at the end of the text": lambda key: key[:4],
    "cut within an escape": lambda key: "".join(f"\\u{ord(c):04x}" for c in key[:5])[:-2] + "…",
    "the end, after a cut": lambda key: "..." + key[-4:],
    "calls of chr": lambda key: "+".join(f"chr({ord(c)})" for c in key),
    "calls of CHAR": lambda key: "||".join(f"CHAR({ord(c)})" for c in key),
    "each with its code": lambda key: " ".join(f"_={ord(c)}" for c in key),
    "binary": lambda key: " ".join(f"{ord(c):08b}" for c in key),
    "a dump in octal": lambda key: "\n".join(
        f"{k:07o} " + " ".join(f"{ord(c):03o}" for c in key[k : k + 16]) for k in range(0, len(key), 16)
    ),
    "a dump in hexadecimal": lambda key: "\n".join(
        f"{k:08x}: " + key[k : k + 16].encode().hex(" ", -2) + "  |......|" for k in range(0, len(key), 16)
    ),
    "base64 of UTF-16": lambda key: base64.b64encode(key.encode("utf-16-le")).decode(),
    "base64 of hexadecimal": lambda key: base64.b64encode(key.encode().hex().encode()).decode(),
    "both ends": lambda key: key[:4] + "***" + key[-4:],
}
KEYS = ["q7Zx0Lk3vB9nT2mR", "q7Zx0Lk3+/W\"<&9b'T2\\", "a%41b&amp;c\\x41d", "hunter-2-hunter-3"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_hidden_in_each_form(form, key):
    remember_secret(key)
    shown = hide_secrets(f"status 401: sent with token {FORMS[form](key)}")
    assert shown.startswith("status 401: sent with token ") and HIDDEN in shown
    assert not any(key[k : k + 4].lower() in shown.lower() for k in range(len(key) - 3))


@pytest.mark.parametrize("key", ["x", "k9", "q7Z", "q7Zx", "q7Zx0", "q7Zx0L"])
@pytest.mark.parametrize("form", ["as it is", "JSON, every character", "URL, every character", "HTML, hexadecimal"])
def test_a_short_key_is_hidden_too(form, key):
    remember_secret(key)
    assert hide_secrets(f"the key is {FORMS[form](key)}.") == f"the key is {HIDDEN}."


def test_any_key_is_hidden_in_any_form_and_any_place():
    rng = random.Random(5)
    for _ in range(150):
        key = "".join(rng.choices(string.ascii_letters + string.digits + "-_.+/=:~", k=rng.randrange(8, 60)))
        secrets._secrets.clear()
        secrets._whole.clear()
        secrets._numbers.clear()
        remember_secret(key)
        form = rng.choice(list(FORMS))
        shown = hide_secrets(f"{'noise ' * rng.randrange(5)}{FORMS[form](key)}")
        assert not any(key[k : k + 6].lower() in shown.lower() for k in range(len(key) - 5)), (form, key, shown)


def test_other_texts_stay_as_they_are():
    remember_secret("q7Zx0Lk3vB9nT2mR")
    for text in (
        "",
        "status 500: out of memory",
        "50% of \\n lines &amp; q7 more...",
        "é" * 100,
        "\\u",
        "%",
        "&#;",
        "…",
    ):
        assert hide_secrets(text) == text
    assert hide_secrets("sk-abcdefghijklmnopqrstuvwxyz") == HIDDEN  # its shape alone


def test_a_long_message_is_searched_to_its_end_and_not_cut():
    remember_secret("q7Zx0Lk3vB9nT2mR")
    assert hide_secrets("a " * 10_000 + "q7Zx0Lk3vB9nT2mR") == "a " * 10_000 + HIDDEN


def test_a_completion_loses_long_keys_and_no_word_that_happens_to_be_a_key():
    remember_secret("12345")
    remember_secret("q7Zx0Lk3+vB9nT2mR")
    assert hide_in_completion("so x = 12345") == "so x = 12345"


PARTS = {"half, then cut", "a few characters, then cut", "cut at the end of the text", "cut within an escape"}
TWICE = {one for one in FORMS if "twice" in one or " in " in one} - {"base64 in lines", "hexadecimal in pairs"}
TWICE -= {"base32 behind a user, in small letters", "base32 in the other alphabet"}
ONE_STEP = sorted(FORMS.keys() - PARTS - TWICE - {"the end, after a cut", "both ends"})


@pytest.mark.parametrize("form", ONE_STEP)
def test_a_completion_loses_a_long_key_in_every_form_of_one_step(form):
    remember_secret("q7Zx0Lk3+vB9nT2mR")
    written = FORMS[form]("q7Zx0Lk3+vB9nT2mR")
    shown = hide_in_completion(f"my key is {written} you know")
    assert shown.startswith("my key is ") and shown.endswith(" you know") and HIDDEN in shown
    assert len(shown) < 60


@pytest.mark.parametrize("n_lost", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", ONE_STEP)
def test_a_completion_loses_a_long_key_that_lacks_up_to_four_characters_at_its_end(form, n_lost):
    key = "q7Zx0Lk3+vB9nT2mRw5Yc8"
    remember_secret(key)
    cut = key[:-n_lost] if "reversed" not in form else key[n_lost:]
    shown = hide_in_completion(f"my key is {FORMS[form](cut)}")
    assert shown.startswith("my key is ")
    if n_lost <= secrets.LOST:
        assert HIDDEN in shown and len(shown) < 60
    elif form == "as it is":
        assert shown == f"my key is {cut}"


@pytest.mark.parametrize("text", [
    "the digits are 3.14159265358979323846264338327950288419716939937510", "{1, 2, 3, 100, 101, 110, 120}" * 9,
    "0x0000 0o777 U+FFFD \\177 \\U0001F600", "a < b, b > c and <i>q7Zx</i>0Lk3", "q7Zx0Lk3vB9 and nothing more",
])  # fmt: skip
def test_a_completion_with_numbers_and_tags_of_its_own_stays_as_it_is(text):
    for key in ("q7Zx0Lk3vB9nT2mR", "0000000000000000", "1000100010001000"):
        remember_secret(key)
    assert hide_in_completion(text) == text


WORDS = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split()


def test_ordinary_texts_stay_as_they_are_whatever_the_key():
    draw = random.Random(9)
    for _ in range(40):
        remember_secret("".join(draw.choices(string.ascii_letters + string.digits + "-_", k=draw.randrange(12, 60))))
    for _ in range(20):
        words = draw.choices(WORDS, k=200)
        text = " ".join(words) + "".join(draw.choices("αβγ数学，。１２３ \\frac{1}{2}%&#;\n", k=500)) + "."
        assert hide_in_completion(text) == text and hide_secrets(text) == text


def test_a_message_whose_ends_alone_are_searched_for_parts_loses_whole_keys_anywhere():
    remember_secret("q7Zx0Lk3vB9nT2mR")
    middle, end = "-".join("q7Zx0Lk3vB9nT2mR"), "q7Zx0Lk3v..."
    assert hide_secrets(f"{'a ' * 20_000}{middle}{' b' * 20_000} {end}") == (
        f"{'a ' * 20_000}{HIDDEN}{' b' * 20_000} {HIDDEN}..."
    )


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_key_across_a_thought_and_its_answer_is_hidden_in_both(cut):
    key = "q7Zx0Lk3+vB9nT2mR"
    remember_secret(key)
    thought, answer = hide_in_parts(f"The key is {key[:cut]}", f"{key[cut:]} and so 3")
    assert thought == f"The key is {HIDDEN}" and answer in (f"{HIDDEN} and so 3", " and so 3")
    assert hide_in_parts("The key", "is 3", "") == ("The key", "is 3", "")


@pytest.mark.parametrize("n_lost", [1, 2, 3, 4])
def test_a_completion_loses_a_long_key_that_lacks_up_to_four_characters_at_its_beginning(n_lost):
    key = "q7Zx0Lk3+vB9nT2mRw5Yc8"
    remember_secret(key)
    for written in (key[n_lost:], "-".join(key[n_lost:]), key[n_lost:].upper(), key[:-n_lost][::-1]):
        assert hide_in_completion(f"my key is {written} you know") == f"my key is {HIDDEN} you know"


def test_what_stands_behind_a_key_stays():
    remember_secret("q7Zx0Lk3+vB9nT2mR")
    for form in ("as it is", "hexadecimal", "octal", "decimal numbers of one width", "HTML, hexadecimal", "rot13"):
        written = FORMS[form]("q7Zx0Lk3+vB9nT2mR")
        for behind in ("\\boxed{4}", "\\\\ 4", " ; 4"):
            assert hide_in_completion(written + behind) == HIDDEN + behind
    assert hide_in_parts("q7Zx0Lk3+vB9nT2mR", "\\boxed{4}") == (HIDDEN, "\\boxed{4}")


INVISIBLE = [
    "\x1b[0m", "\x1b[38;5;196m", "\x9b31m", "\x1b]0;a title\x07", "\x1b]8;;http://a.b/c9\x1b\\", "\x1b(B",
    "\x1bPq1z\x1b\\", "\r", "\x7f", "\b", "\0", "\xad", "\ufe0f", "\u200d", "\u202e", "\u3164", "\u0301", "[0m",
    "ESC[1;31m", "\u241b[0m", "&#x200b;", "&#8203;", "&zwnj;", "&ZeroWidthSpace;", "&shy;", "&shy", "&nbsp",
    "&amp;#x200b;", "\\u200b", "\\\\u200b", "\\u{200b}", "\\U0001f600", "\\ud83d\\ude00", "\\x08", "\\x7f",
    "\\xe2\\x80\\x8b", "\\342\\200\\213", "\\000", "\\n", "\\r\\n", "\\\\n", "\\b", "%E2%80%8B", "%25E2%2580%258B",
    "%0A", "\\033[0m", "\\x1b[1;31m", "\\u001b[0m", "\\e[0m", "%1B[0m", "%1B%5B0m", "&#27;[0m", "^[[0m", "^H", "^M",
    "\\N{ZERO WIDTH SPACE}", "&lt;i&gt;", "<i>&#x200b;</i>",
]  # fmt: skip
MIXED = {
    "erased letters": lambda key: "".join(f"x\b{c}" for c in key),
    "several erased letters": lambda key: "".join(f"xy\b\b{c}" for c in key),
    "letters struck over": lambda key: "".join(f"{c}\b{c}" for c in key),
    "erased letters, written": lambda key: "".join(f"x\\x08{c}" for c in key),
    "every other letter escaped": lambda key: "".join(f"\\u{ord(c):04x}" if k % 2 else c for k, c in enumerate(key)),
    "digits escaped": lambda key: "".join(f"%{ord(c):02X}" if c.isdigit() else c for c in key),
    "letters by their names": lambda key: "".join(f"\\N{{{unicodedata.name(c)}}}" for c in key),
    "the reverse, coloured": lambda key: "\x1b[0m".join(key[::-1]),
    "hexadecimal with spaces of no width": lambda key: "&#x200b;".join(key.encode().hex()),
    "TeX, a group each": lambda key: "".join(f"\\text{{{c}}}" for c in key),
    "TeX, two groups": lambda key: f"\\(\\text{{{key[:6]}}}\\mathtt{{{key[6:]}}}\\)",
    "TeX, spaces": "\\quad ".join,
    "TeX, what shows nothing": "\\relax{}".join,
    "TeX, letters": lambda key: "".join(f"\\mathrm {c}" for c in key),
    "base64 in written lines": lambda key: "\\n".join(base64.b64encode(key.encode()).decode()),
}


@pytest.mark.parametrize("key", ["q7Zx0Lk3+vB9nT2mR", "sk-proj-q7Zx0Lk3vB9nT2mRw5Yc8abefntrv"])
@pytest.mark.parametrize("write", [*(between.join for between in INVISIBLE), *MIXED.values()])
def test_what_is_invisible_between_the_letters_of_a_key_hides_no_key_raw_or_written(write, key):
    remember_secret(key)
    for hide in (hide_in_completion, hide_secrets):
        shown = hide(f"my key is {write(key)} you know")
        assert shown.startswith("my key is ") and shown.endswith(" you know") and HIDDEN in shown and len(shown) < 60


HOSTILE = [
    "\\",
    "\\\\u",
    "%25",
    "&amp;",
    "^[",
    "\x1b",
    "\x1b[ ",
    "\x1b]a",
    "\x9b",
    "[0",
    "x\b",
    "x\b\b",
    "\0",
    "<a",
    "\\N{a",
]


@pytest.mark.parametrize("piece", [*HOSTILE, "q", "q7Zx0Lk3vB9", "q\\u200b7", "\\u0071"])
def test_no_completion_takes_longer_than_in_proportion_to_its_length(piece):
    remember_secret("q7Zx0Lk3vB9nT2mR")
    started_s = time.process_time()
    for text in (piece * (200_000 // len(piece)), piece[:2] + piece[-1] * 200_000):
        hide_in_completion(text)
    assert time.process_time() - started_s < 5  # a square of it would take minutes


OWN = "the server gave an error (1): runs/server/1/none.yaml, model token-abc, http.api_key_env EMPTY: 12345678"


@pytest.mark.parametrize(
    "key", ["server", "error", "1", "EMPTY", "none", "token-abc", "Model", "12345678", "no-key", "x", "ab"]
)
def test_a_key_that_is_a_word_is_hidden_in_what_comes_from_elsewhere_and_never_in_words_of_ours(key):
    remember_secret(key)
    assert hide_in_own(OWN) == OWN and not holds_secret(OWN)
    assert hide_secrets(f"no such key: {key}") == f"no such key: {HIDDEN}"


@pytest.mark.parametrize(
    "key", ["q7Zx0", "s3cret", "q7Zx0Lk3vB9nT2mR", "correct-horse-battery", "sk-no-key-required", "aB-cD-eF", "!!!!!"]
)
def test_a_key_that_is_no_word_is_hidden_in_messages_of_ours_too(key):
    remember_secret(key)
    assert hide_in_own(f"{OWN}: {key}, {key.upper()}") in (f"{OWN}: {HIDDEN}, {HIDDEN}", f"{OWN}: {HIDDEN}")
    assert holds_secret(f"m {key}") and not holds_secret(OWN)


def dump(key, offset, group, number, column=None, line=16):
    """Lines as `od`, `xxd` and `hexdump` print them: groups of so many bytes, little end first where negative."""
    raw, size, lines = b"key " + key.encode() + b" and so on", abs(group), []
    for start in range(0, len(raw), line):
        part = raw[start : start + line]
        groups = [part[k : k + size] for k in range(0, len(part), size)]
        words = [number.format(int.from_bytes(one, "little" if group < 0 else "big")) for one in groups]
        text = column.format(part.decode()) if column else ""
        width = len(number.format(0)) * line // size if column else 0
        lines.append(f"{offset.format(start)}{''.join(words).ljust(width)}{text}")
    return "\n".join([*lines, offset.format(len(raw)).rstrip(" :")])


def characters(key):
    raw = "key " + key + " and so on"
    return "\n".join(f"{k:07o}" + "".join(f"{c:>4}" for c in raw[k : k + 16]) for k in range(0, len(raw), 16))


DUMPS = {
    "od": lambda key: dump(key, "{:07o}", -2, " {:06o}"),
    "od -c": characters,
    "od -x, hexdump": lambda key: dump(key, "{:07o}", -2, " {:04x}"),
    "od -d": lambda key: dump(key, "{:07o}", -2, " {:5d}"),
    "od -b": lambda key: dump(key, "{:07o}", 1, " {:03o}"),
    "od -t u1": lambda key: dump(key, "{:07o}", 1, " {:3d}"),
    "od -t d8": lambda key: dump(key, "{:07o}", -8, " {:20d}"),
    "od -t x1z": lambda key: dump(key, "{:07o}", 1, " {:02x}", " >{}<"),
    "xxd": lambda key: dump(key, "{:08x}:", 2, " {:04x}", "  {}"),
    "xxd -g1": lambda key: dump(key, "{:08x}:", 1, " {:02x}", "  {}"),
    "xxd -g4": lambda key: dump(key, "{:08x}:", 4, " {:08x}", "  {}"),
    "xxd -g8": lambda key: dump(key, "{:08x}:", 8, " {:016x}", "  {}"),
    "xxd -e": lambda key: dump(key, "{:08x}:", -4, " {:08x}", "  {}"),
    "xxd -b": lambda key: dump(key, "{:08x}:", 1, " {:08b}", "  {}", 6),
    "hexdump -C": lambda key: dump(key, "{:08x} ", 1, " {:02x}", "  |{}|"),
    "hexdump -x": lambda key: dump(key, "{:07x}", -2, "    {:04x}"),
    "hexdump -d": lambda key: dump(key, "{:07x}", -2, "   {:05d}"),
    "hexdump -o": lambda key: dump(key, "{:07x}", -2, "  {:06o}"),
}


@pytest.mark.parametrize("key", ["sk-Zq7Lw2Xv9Tb4Nc8Rm5Ky", "0123456789abcdef0a1b2c3d4e5f6a7b"])
@pytest.mark.parametrize("tool", DUMPS)
def test_a_dump_of_a_key_is_hidden_with_its_lines(tool, key):
    remember_secret(key)
    written = DUMPS[tool](key)
    for text in (f"I see:\n{written}\nYes.", f"> {written}".replace("\n", "\n> "), json.dumps(written)):
        shown = hide_in_completion(text)
        n_lines = 1 + (len(key) + 3) // (6 if tool == "xxd -b" else 16)
        assert HIDDEN in shown and not any(line in shown for line in written.splitlines()[:n_lines])
        assert not any(key[k : k + 3] in shown for k in range(len(key) - 2))
    assert hide_in_completion(f"I see:\n{written}\nYes.").startswith("I see:\n")
    other = DUMPS[tool]("correct horse battery")
    assert hide_in_completion(other) == other


@pytest.mark.parametrize("key", ["sk-\udcff\udcfeabcdefghijklmnop", "pass\ud800word12345678"])
def test_a_key_that_is_no_unicode_is_hidden_and_breaks_no_message(key):
    remember_secret(key)
    assert key not in hide_in_own(f"the key {key} is no text") and key not in hide_secrets(f"you sent {key}")
