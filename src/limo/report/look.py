"""How charts look: one palette for both themes, one way to lay out a panel, one way to become inline SVG.

matplotlib draws, the browser dresses: colours leave matplotlib as stand-ins and become CSS variables, so the same
drawing serves light, dark and print; text stays text, so the reader's own fonts (Chinese too) set it and a screen
reader or a search finds it.  Blue, orange and grey stay apart for every common kind of colour blindness, and each
arm has a marker of its own besides.

    figure = canvas(720, 200)
    axes = panel(figure, left=120, top=20, width=560, height=160)
    write(axes, 0, 0.5, "LIMO", ink="limo")
    svg = inline(figure, "headline-en", "Bar chart of ...")

What it does not do: know any chart, or any file.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from limo.report.content import Report
from limo.report.words import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# name: (light, dark).  The page's style sheet is made from this table, so there is one place for a colour.
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#fdfcfa", "#14161a"),
    "card": ("#f6f4ef", "#1c1f25"),
    "ink": ("#1d1f24", "#eceef2"),
    "muted": ("#656a73", "#9ea4af"),
    "line": ("#e5e2da", "#2d3139"),
    "rule": ("#b9b6ae", "#4b505b"),
    "base": ("#868b94", "#8d939e"),
    "bulk": ("#c8690a", "#f0a24d"),
    "limo": ("#1b5fc4", "#6ea6ff"),
    "L1": ("#a9bad3", "#46566f"),
    "L2": ("#87a4cf", "#4f6b96"),
    "L3": ("#638dcb", "#5980b9"),
    "L4": ("#4076c8", "#6393dc"),
    "L5": ("#1b5fc4", "#6ea6ff"),
    "green": ("#0b7f5f", "#45c79c"),
    "purple": ("#94488a", "#d48bc8"),
    "gold": ("#8a7300", "#d6bd4a"),
    "brick": ("#ad3f32", "#ee8a7c"),
    "teal": ("#1d7f94", "#5fc2d6"),
}
_FREE = ("green", "purple", "gold", "teal", "brick")
_MARKERS = {"base": "o", "bulk": "s", "limo": "D", "L1": "v", "L5": "^", "green": "P", "purple": "X", "gold": "p"}
_STAND_IN = {name: f"#0{index:02x}f0{index % 10}" for index, name in enumerate(COLOURS, 1)}


def colour(name: str) -> str:
    """The stand-in to hand to matplotlib for a colour of the palette; `inline` turns it into a CSS variable."""
    return _STAND_IN[name]


def arm_colours(report: Report) -> dict[str, str]:
    """A palette name for each arm: its own where it names one, else the next free one, in the report's order."""
    taken = {arm.color for arm in report.arms}
    offered = COLOURS.keys() - {"paper", "card", "ink", "muted", "line", "rule"}  # those are the page's own
    free = [name for name in _FREE if name not in taken] or list(_FREE)
    named: dict[str, str] = {}
    for arm in report.arms:
        n_free = sum(1 for name in named.values() if name in free)
        named[arm.name] = arm.color if arm.color in offered else free[n_free % len(free)]
    return named


def marker(name: str) -> str:
    """The marker that goes with a palette colour, so that colour never stands alone."""
    return _MARKERS.get(name, "o")


def canvas(width: float, height: float) -> Figure:
    """An empty drawing of that many CSS pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    return figure


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """A bare plotting area placed in pixels from the top left corner: no frame, no ticks, no background."""
    full_width, full_height = (side * 72 for side in figure.get_size_inches())
    place = (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    axes = figure.add_axes(place)
    axes.set_axis_off()
    axes.patch.set_visible(False)
    return axes


def write(axes: Axes, x: float, y: float, text: str, ink: str = "ink", size: float = 13, **rest: Any) -> None:
    """Text at a data position, shifted by `dx`, `dy` pixels (right, up); `ha` left, `va` centre unless told."""
    rest = {"ha": "left", "va": "center_baseline"} | rest
    shift = (rest.pop("dx", 0), rest.pop("dy", 0))
    place = rest.pop("xycoords", "data")
    axes.annotate(
        plain(text),
        (x, y),
        shift,
        xycoords=place,
        textcoords="offset pixels",
        color=colour(ink),
        fontsize=size,
        annotation_clip=False,
        parse_math=False,
        **rest,
    )


def line(axes: Axes, xs: list[float], ys: list[float], ink: str, width: float = 1, **rest: Any) -> None:
    """A plain line in data coordinates, never clipped."""
    axes.plot(xs, ys, color=colour(ink), linewidth=width, clip_on=False, **{"solid_capstyle": "round"} | rest)


def whisker(axes: Axes, ends: tuple[float, float], at: float, ink: str, width: float = 1.4, **rest: Any) -> None:
    """A horizontal interval with small end caps; `cap` is their half height in data units, 0 for none."""
    cap = rest.pop("cap", 0.0)
    line(axes, list(ends), [at, at], ink, width, **rest)
    for end in ends if cap else ():
        line(axes, [end, end], [at - cap, at + cap], ink, width, **rest)


def inline(figure: Figure, key: str, alt: str) -> str:
    """The drawing as an `<svg>` element; `key` makes its ids unique on the page, `alt` describes it."""
    import matplotlib

    buffer = io.StringIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": key, "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # the browser has the glyphs
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _dressed(buffer.getvalue(), key, alt)


def _dressed(svg: str, key: str, alt: str) -> str:
    """matplotlib's file as an element of a page: no prolog, ids prefixed, colours and fonts left to the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{key}-", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"font: ([^;\"]*?)([\d.]+px) [^;\"]*", _font, svg)
    for name, stand_in in _STAND_IN.items():
        svg = svg.replace(stand_in, f"var(--{name})")
    svg = re.sub(r'\bfill="(var\([^"]*)"', r'style="fill: \1"', svg)  # attributes know no variables, styles do
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    width = size.group(1) if size else "720"
    head = f'<svg role="img" aria-label="{escape(alt)}" style="width:{width}px" '
    opening = re.sub(r' (?:width|height|id)="[^"]*"', "", svg[len("<svg") : svg.index(">")])
    return head + opening.strip() + re.sub(r"\n\s*", "\n", svg[svg.index(">") :])


def _font(match: re.Match[str]) -> str:
    weight = re.search(r"\b(\d00|bold)\b", match.group(1))
    return f"font-size: {match.group(2)}" + (f"; font-weight: {weight.group(1)}" if weight else "")
