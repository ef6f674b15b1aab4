"""Pieces of the page as markup: elements, verdicts, the marks of models and lines, cells of tables."""

from __future__ import annotations

from markupsafe import Markup, escape

from trustworthy.report.finding import Finding, Verdict
from trustworthy.report.plots.theme import Style, dashes_of

_ICONS: dict[Verdict | None, str] = {  # shapes differ as well as colours: circle, triangle, octagon
    "good": '<circle cx="10" cy="10" r="8"/><path d="m6.3 10.3 2.6 2.6 4.9-5.4"/>',
    "attention": '<path d="M10 2.2 18.6 17.5H1.4Z"/><path d="M10 8v4M10 14.8v.1"/>',
    "worry": '<path d="M6.6 1.8h6.8l4.8 4.8v6.8l-4.8 4.8H6.6l-4.8-4.8V6.6Z"/><path d="m7 7 6 6M13 7l-6 6"/>',
    "information": '<circle cx="10" cy="10" r="8"/><path d="M10 9.3v4.6M10 6.2v.1"/>',
    None: '<path d="M5 10h10"/>',
}
_SWATCHES = {
    "o": '<circle cx="20" cy="9" r="6.5"/>',
    "s": '<path d="M14 3h12v12H14Z"/>',
    "^": '<path d="m20 1 8 15H12Z"/>',
    "D": '<path d="m20 1 8 8-8 8-8-8Z"/>',
    "v": '<path d="m20 17 8-15H12Z"/>',
    "P": '<path d="M17 1h6v5h5v6h-5v5h-6v-5h-5V6h5Z"/>',
    "X": '<path d="m15 1 5 4 5-4 4 4-4 4 4 4-4 4-5-4-5 4-4-4 4-4-4-4Z"/>',
    "h": '<path d="m20 1 7 4v8l-7 4-7-4V5Z"/>',
}


def element(tag: str, *content: str, **attributes: object) -> Markup:
    """An element; text and attributes are escaped, empty attributes left out, and `look` is its class."""
    given = {"class" if name == "look" else name.replace("_", "-"): value for name, value in attributes.items()}
    written = "".join(f' {name}="{escape(value)}"' for name, value in given.items() if value not in ("", None))
    return Markup(f"<{tag}{written}>{''.join(map(escape, content))}</{tag}>")


def icon(verdict: Verdict | None) -> Markup:
    """Sign of a verdict; None for what was not measured."""
    return Markup(
        '<svg viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round">{_ICONS[verdict]}</svg>'
    )


def pill(verdict: Verdict | None) -> Markup:
    """A verdict in its colour, sign and word."""
    return element("span", icon(verdict), verdict or "not measured", look=f"verdict {verdict or 'none'}")


def swatch(look: Style) -> Markup:
    """Line and marker of a model."""
    return Markup(
        f'<svg viewBox="0 0 40 18" aria-hidden="true" style="color: var({look.variable})" fill="currentColor">'
        f'<path d="M1 9h38" stroke="currentColor" stroke-width="3.5"/>{_SWATCHES[look.marker]}</svg>'
    )


def model(name: str, look: Style) -> Markup:
    """Name of a model behind its line and marker."""
    return element("span", swatch(look), element("span", name), look="model")


def outcome(*, fooled: bool, said: str = "") -> Markup:
    """Whether an attack fooled the model, or what is `said` instead."""
    verdict: Verdict = "worry" if fooled else "good"
    return element("span", icon(verdict), said or ("fooled" if fooled else "held"), look=f"outcome {verdict}")


def claim(finding: Finding, value: str, interval: str, title: str = "", *, minor: bool = False) -> Markup:
    """The value of a finding, large, with its interval, verdict and sentence."""
    said = element("span", value, look="value") if finding.value is not None else ""
    within = element("span", interval, look="interval") if interval else ""
    what = element("p", title, look="what") if title else ""
    sentence = element("p", finding.statement) if finding.statement else ""
    figure = element("div", said, within, pill(finding.verdict), look="figure")
    return element("div", figure, what, sentence, look="claim minor" if minor else "claim")


def image(source: str, shows: str) -> Markup:
    """A picture; `shows` is what a screen reader says in its place."""
    return Markup('<img src="{}" alt="{}">').format(source, shows)


def bar(share: float, lowest: float = 0.0) -> Markup:
    """Cell with a bar as long as `share`, up to 1; a negative one leads to the left, down to `lowest` <= 0."""
    length = abs(share) / (1.0 - lowest) if share == share else 0.0
    start = -lowest / (1.0 - lowest) - (length if share < 0.0 else 0.0)
    style = f"--v: {length:.3f}" + (f"; --from: {max(start, 0.0):.3f}" if lowest else "")
    return element("td", element("i", look="negative" if share < 0.0 else ""), look="bar", style=style)


def heat(share: float, text: str) -> Markup:
    """Cell coloured by `share`, from 0 to 1."""
    return element("td", text, look="cell", style=f"--v: {share:.2f}" if share == share else "--v: 0")


def heading(text: str, look: str = "", span: int | None = None) -> Markup:
    """Heading of a column, of a class, over `span` columns."""
    return element("th", text, scope="col", look=look, colspan=span)


def dashed(place: int) -> Markup:
    """Picture of the `place`-th kind of thin line."""
    return _line(f'<path d="M1 9h42" stroke="currentColor" stroke-width="2" stroke-dasharray="{dashes_of(place)}"/>')


def bounded() -> Markup:
    """Picture of a line with what it rules out shaded."""
    return _line(
        '<path d="M0 0h44v9H0Z" fill="currentColor" opacity=".25"/>'
        '<path d="M1 9h42" stroke="var(--ink)" stroke-width="2"/>'
    )


def proved() -> Markup:
    """Picture of the line of what is proved, with the hatched gap above it."""
    return _line(
        '<path d="M2 11 9 1M13 11 20 1M24 11 31 1M35 11 42 1" stroke="currentColor" opacity=".6"/>'
        '<path d="M3 14.5h40" stroke="var(--ink)" stroke-width="4" stroke-dasharray="1 6.6" stroke-linecap="round"/>'
    )


def _line(drawing: str) -> Markup:
    return Markup(f'<svg viewBox="0 0 44 18" aria-hidden="true">{drawing}</svg>')
