"""From a matplotlib figure to an inline SVG that follows the page's colours and font.

Text stays text; ids are unique on the page and depend on the figure's key alone; fixed
colours become CSS variables. Uses matplotlib's object interface only: no window system,
no `pyplot`, no figure that outlives the call.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from heedful.reports.palette import PAGE, variables

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_HEX = re.compile(r"#[0-9a-f]{6}\b")
# matplotlib before 3.11 writes `font: 12px ...`, later versions one property each.
_FONT = re.compile(r"font: (?:[a-z]+ )*([\d.]+)px [^;]*")
_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_VARIABLES = {colour.light: f"var(--{name})" for name, colour in variables().items()}

INK, MUTED, RULE, SURFACE = (PAGE[name].light for name in ("ink", "muted", "rule", "surface"))


@contextmanager
def new_figure(key: str, width: float, height: float) -> Iterator[Figure]:
    """An empty figure of `width` x `height` CSS pixels in the page's style.

    Draw and call `to_svg` inside the block: the style holds only there.
    """
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": key,
            "text.parse_math": False,
            "font.size": 13,
            "text.color": INK,
            "axes.facecolor": "none",
            "axes.edgecolor": MUTED,
            "axes.labelcolor": MUTED,
            "axes.labelsize": 12,
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.formatter.use_mathtext": False,
            "axes.formatter.useoffset": False,
            "axes.unicode_minus": True,
            "grid.color": RULE,
            "grid.linewidth": 0.8,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelsize": 12,
            "ytick.labelsize": 12,
            "legend.frameon": False,
            "legend.fontsize": 12,
            "lines.linewidth": 1.8,
            "figure.dpi": 72,
        }
    ):
        yield Figure(figsize=(width / 72, height / 72), facecolor="none", layout="constrained")


def to_svg(figure: Figure, key: str, title: str, description: str) -> Markup:
    """The figure as an `<svg>` element that names and describes itself."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=no_metadata)
    root = ET.fromstring(buffer.getvalue())
    for unwanted in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}defs/{{{_SVG}}}style/.."):
        for element in root.findall(unwanted):
            root.remove(element)
    _rename_ids(root, key)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if "style" in element.attrib:
            element.set("style", _restyle(element.get("style", "")))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{key}-title {key}-desc")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(tag, id=f"{key}-{tag}")
        element.text = text
        root.insert(position, element)
    return Markup(ET.tostring(root, encoding="unicode"))


def _restyle(style: str) -> str:
    style = _FAMILY.sub("", _FONT.sub(r"font-size: \1px", style))
    return _HEX.sub(lambda match: _VARIABLES[match.group()], style)


def _rename_ids(root: ET.Element, key: str) -> None:
    """Keep the ids that something refers to, made unique by the figure's key."""
    referred: set[str] = set()
    for element in root.iter():
        if _XLINK in element.attrib:
            target = element.attrib.pop(_XLINK).removeprefix("#")
            element.set("href", f"#{key}-{target}")
            referred.add(target)
        for name, value in element.attrib.items():
            referred.update(_REFERENCE.findall(value))
            element.set(name, _REFERENCE.sub(rf"url(#{key}-\1)", value))
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in referred:
            element.set("id", f"{key}-{identity}")
