"""How charts are drawn: one palette for both themes, panels placed in pixels, and the drawing as inline SVG or files.

Colours leave matplotlib as placeholders and become CSS variables, so one drawing serves light, dark and print; text
stays text, in the reader's own fonts.  Files have the light theme's colours.  Blue, orange and grey stay apart for the
common kinds of colour blindness, and each arm has a marker of its own.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from limo.core.files import atomic, write_text
from limo.report.content import Language, Report
from limo.report.words import one_line, read_data, word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NARROW = 520  # CSS pixels; below it labels stand above their rows instead of left of them
COLORS: dict[str, tuple[str, str]] = read_data("palette.yaml")["colors"]
"""Name -> light, dark; the style sheet is made from it too."""
_FREE_COLORS = ("green", "purple", "gold", "teal", "brick")
_THIN, _BROAD = frozenset(" ,.:;·'|!()[]Iijlftr"), frozenset("ABCDEFGHJKLMNOPQRSTUVWXYZmw%@−")
LEGEND_LINE = 18  # pixels of a line of names
MARKERS = {
    "base": "o",
    "bulk": "s",
    "limo": "D",
    "L1": "v",
    "L5": "^",
    "green": "P",
    "purple": "X",
    "gold": "p",
    "teal": "v",
    "brick": "^",
}
_PLACEHOLDER = {name: f"#0{index:02x}f0{index % 10}" for index, name in enumerate(COLORS, 1)}


def placeholder(name: str) -> str:
    """The colour to give to matplotlib for a colour of the palette; `to_svg` turns it into a CSS variable."""
    return _PLACEHOLDER[name]


def arm_colors(report: Report) -> dict[str, str]:
    """A palette name for each arm: its own where it names one, else the next free one, in the report's order."""
    taken = {arm.color for arm in report.arms}
    of_arms = COLORS.keys() - {"paper", "card", "ink", "muted", "line", "rule"}  # those are the page's own
    free = cycle([name for name in _FREE_COLORS if name not in taken] or _FREE_COLORS)
    return {arm.name: arm.color if arm.color in of_arms else next(free) for arm in report.arms}


def style_sheet(file: Path) -> str:
    """A style sheet with the palette written in for both themes."""
    sheet = file.read_text(encoding="utf-8")
    for index, theme in enumerate(("light", "dark")):
        variables = " ".join(f"--{name}: {pair[index]};" for name, pair in COLORS.items())
        sheet = sheet.replace(f"/* {theme} palette */", variables)
    return sheet


def alt_text(chart: str, language: Language, **values: object) -> str:
    """The description of a chart for those who do not see it."""
    space = "" if language == "zh" else " "
    return word(f"alt_{chart}", language, **values) + space + word("alt_after", language)


def new_figure(width: float, height: float) -> Figure:
    """An empty drawing of that many CSS pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    return figure


def add_panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """A bare plotting area placed in pixels from the top left corner: no frame, no ticks, no background."""
    full_width, full_height = (side * 72 for side in figure.get_size_inches())
    corner = (left / full_width, 1 - (top + height) / full_height)
    axes = figure.add_axes((*corner, width / full_width, height / full_height))
    axes.set_axis_off()
    axes.patch.set_visible(False)
    return axes


def add_text(axes: Axes, x: float, y: float, text: str, color: str = "ink", size: float = 13, **rest: Any) -> None:
    """Text at a data position, shifted by `dx`, `dy` pixels (right, up); left and centred by default."""
    rest = {"ha": "left", "va": "center_baseline", "xycoords": "data"} | rest
    shift = (rest.pop("dx", 0), rest.pop("dy", 0))
    rest |= {"textcoords": "offset pixels", "annotation_clip": False, "parse_math": False}
    axes.annotate(one_line(text), (x, y), shift, color=placeholder(color), fontsize=size, **rest)


def add_line(axes: Axes, xs: list[float], ys: list[float], color: str, width: float = 1, **rest: Any) -> None:
    """A line in data coordinates, never clipped."""
    rest = {"solid_capstyle": "round"} | rest
    axes.plot(xs, ys, color=placeholder(color), linewidth=width, clip_on=False, **rest)


def add_interval(axes: Axes, ends: tuple[float, float], y: float, color: str, width: float = 1.4, **rest: Any) -> None:
    """A horizontal interval with small end caps; `cap` is their half height in data units, 0 for none."""
    cap = rest.pop("cap", 0.0)
    add_line(axes, list(ends), [y, y], color, width, **rest)
    for end in ends if cap else ():
        add_line(axes, [end, end], [y - cap, y + cap], color, width, **rest)


def add_marker(axes: Axes, x: float, y: float, color: str, size: float = 7, **rest: Any) -> None:
    """The marker that belongs to a palette colour, so that colour never stands alone."""
    shape = MARKERS.get(color, "o")
    axes.plot([x], [y], shape, color=placeholder(color), markersize=size, clip_on=False, **rest)


def text_width(text: str) -> float:
    """About how many pixels a text of 12 pixels takes in the reader's font."""
    return sum(
        13 if ord(character) > 0x2E80 else 3.6 if character in _THIN else 8.6 if character in _BROAD else 6.8
        for character in text
    )


def legend_places(labels: Sequence[str], width: float) -> list[tuple[int, float]]:
    """Line and distance from the left of each name of a legend, in as many lines of `width` pixels as they take."""
    places, line, left = [], 0, 0.0
    for label in labels:
        length = 34 + text_width(label)
        if left and left + length > width:
            line, left = line + 1, 0.0
        places.append((line, left))
        left += length
    return places


def legend_height(labels: Sequence[str], width: float) -> int:
    """Pixels that a legend takes beside its first line."""
    return LEGEND_LINE * legend_places(labels, width)[-1][0] if labels else 0


def add_legend(axes: Axes, labels: Sequence[str], colors: Sequence[str], y: float, width: float) -> None:
    """Markers and names; the lowest line is `y` pixels above the bottom of the panel."""
    size = axes.get_window_extent()
    places = legend_places(labels, width)
    for (line, left), label, color in zip(places, labels, colors, strict=True):
        at = left / size.width, (y + LEGEND_LINE * (places[-1][0] - line)) / size.height
        add_marker(axes, *at, color, transform=axes.transAxes)
        add_text(axes, *at, label, "ink", 12, xycoords="axes fraction", dx=9)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished chart; `key` names it and makes its ids unique on a page, `alt` describes it."""

    figure: Figure
    key: str
    alt: str

    def svg(self) -> str:
        """The chart as an `<svg>` element of a page."""
        return _page_element(self._rendered(), self.key, self.alt)

    def write(self, folder: Path) -> list[Path]:
        """Write it into `folder` as KEY.svg and KEY.png (twice the size) in the light theme, on white paper."""
        svg, png = folder / f"{self.key}.svg", folder / f"{self.key}.png"
        colors = {code: COLORS[name][0] for name, code in _PLACEHOLDER.items()}
        for artist in self.figure.findobj():
            for kind in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
                value = getattr(artist, f"get_{kind}", str)()
                if isinstance(value, str) and value in colors:
                    getattr(artist, f"set_{kind}")(colors[value])
        text = self._rendered()
        for code, color in colors.items():
            text = text.replace(code, color)
        write_text(svg, text)
        with atomic(png) as path, _quiet(self.key):
            self.figure.patch.set(visible=True, facecolor="white")
            self.figure.savefig(path, format="png", dpi=144)
        return [svg, png]

    def _rendered(self) -> str:
        buffer = io.StringIO()
        with _quiet(self.key):
            self.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return buffer.getvalue()


@contextmanager
def _quiet(key: str) -> Iterator[None]:
    """Text as text, the same bytes each time, fonts for both languages, and no word about missing glyphs."""
    import matplotlib

    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": key, "text.parse_math": False}
    settings["font.family"] = [*chinese_fonts(), "DejaVu Sans"]
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # the browser has the glyphs
        yield


@cache
def chinese_fonts() -> tuple[str, ...]:
    """The installed fonts that draw Chinese; empty where there is none."""
    from matplotlib import font_manager

    wanted = read_data("palette.yaml")["chinese_fonts"]
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in wanted if name in installed)[:1]


def _page_element(svg: str, key: str, alt: str) -> str:
    """matplotlib's file as an element of a page: no prolog, ids prefixed, colours and fonts left to the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{key}-", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"font: ([^;\"]*?)([\d.]+px) [^;\"]*", _font, svg)
    for name, placeholder in _PLACEHOLDER.items():
        svg = svg.replace(placeholder, f"var(--{name})")
    svg = re.sub(r'\bfill="(var\([^"]*)"', r'style="fill: \1"', svg)  # attributes know no variables, styles do
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    width = size.group(1) if size else "720"
    head = f'<svg role="img" aria-label="{escape(alt)}" style="width:{width}px" '
    opening = re.sub(r' (?:width|height|id)="[^"]*"', "", svg[len("<svg") : svg.index(">")])
    return head + opening.strip() + re.sub(r"\n\s*", "\n", svg[svg.index(">") :])


def _font(match: re.Match[str]) -> str:
    weight = re.search(r"\b(\d00|bold)\b", match.group(1))
    return f"font-size: {match.group(2)}" + (f"; font-weight: {weight.group(1)}" if weight else "")
