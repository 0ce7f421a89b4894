"""What every HTML page of results is made with: templates, how numbers are written, scripts and styles."""

from __future__ import annotations

import base64
import gzip
import math
import re
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def rendered_page(template: str, **content: Any) -> str:
    """A page from its template; styles, scripts and the version are there already.

    Args:
        template: a file of ``templates``.
        content: what the template asks for; all of it is escaped.
    """
    return (
        _templates()
        .get_template(template)
        .render(
            version=version("gradfree"),
            css=_static("report.css"),
            js=_static("report.js"),
            plotly=_plotly(),
            **content,
        )
    )


def number(value: float, digits: int = 3) -> str:
    """Fixed decimals for what is near one, significant digits for the rest; a dash for what is missing.

    >>> number(0.12345), number(123456.0), number(float("nan"))
    ('0.123', '1.23e+05', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.{digits}g}"


def short(value: float) -> str:
    """Three digits and a letter for the power of a thousand; a dash for what is missing.

    >>> short(12_345.0), short(0.25)
    ('12.3 k', '0.25')
    """
    if math.isnan(value):
        return "–"
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g} {letter}"
    return f"{value:.3g}"


@lru_cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"number": number, "short": short, "anchor": _anchor}
    templates.filters |= {"sortable": _sortable, "breaks": _breaks}
    templates.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "ensure_ascii": False,
        "allow_nan": False,
    }
    return templates


def _anchor(place: int, kind: str) -> str:
    """Of a section: by number, since a name may hold anything."""
    return f"{kind}-{place}"


def _breaks(name: str) -> Markup:
    """A name that may be broken behind what joins its parts, before it is broken anywhere else."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([/,\[=])(?=[^/,\[=])", r"\1<wbr>", str(escape(name))))


def _sortable(value: Any) -> str:
    """What a column is sorted by; empty for what is missing, which stands last either way."""
    return "" if isinstance(value, float) and math.isnan(value) else str(value)


@lru_cache
def _static(name: str) -> str:
    return (files("harness.report") / "static" / name).read_text(encoding="utf-8")


@lru_cache
def _plotly() -> str:
    """The plotly.js that comes with plotly, packed to a third of its size; the browser unpacks it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
