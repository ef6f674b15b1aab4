"""Pictures of measured records beside what is printed; SVG whose bytes depend on the records alone."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reproduce.claim import Claim
from trustworthy.core.files import atomic_write
from trustworthy.core.record import Record

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "trustworthy",
    "svg.fonttype": "none",
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#000000")
_MANY = (*mpl.color_sequences["tab20"][::2], *mpl.color_sequences["tab20"][1::2])  # dark ones first
DASHES = {"certified": "-", "empirical": "--", "best": ":"}
EOT = "-eot"
"""End of the name of a curve under an attack that averages draws: dashed, in the colour of the one without."""
Records = dict[str, Record]


def draw(claim: Claim, records: Records, folder: Path) -> list[Path]:
    """Draw what the claim asks for; returns the files, none where nothing was measured.

    What is `derived` from other numbers, so that sentences can be judged, is not drawn beside them.
    """
    shown = {name: record for name, record in records.items() if not record.conditions.get("derived")}
    measured = {name: record for name, record in shown.items() if record.value is not None}
    if not measured or claim.plot == "none":
        return []
    if claim.plot == "picture":
        return [_png(claim, name, record, folder) for name, record in sorted(shown.items()) if _has_png(record)]
    with mpl.rc_context(STYLE):
        return [_svg(KINDS[claim.plot](claim, measured), folder / f"{claim.name}.svg")]


def _has_png(record: Record) -> bool:
    return "png" in record.conditions


def _png(claim: Claim, name: str, record: Record, folder: Path) -> Path:
    path = folder / f"{claim.name}-{name.partition('.')[0].partition('@')[0]}.png"
    with atomic_write(path, "wb") as stream:
        stream.write(base64.b64decode(record.conditions["png"]))
    return path


def _svg(figure: Figure, path: Path) -> Path:
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return path


def _curves(claim: Claim, records: Records) -> Figure:
    """A panel a data set: measured curves as lines, printed numbers as crosses of the same colour.

    A method has its colour in all panels, a kind of error its dashes. Intervals are shaded where they are over random
    splits, and cut off where they would flatten the lines.
    """
    heads = sorted(dict.fromkeys(name.partition(".")[0] for name in records if "@" in name), key=_order(claim))
    curves = {head: _curves_of(head, records) for head in heads}
    named = [_parts(curve)[1] for head in heads for curve in curves[head]]
    methods = list(dict.fromkeys(method.removesuffix(EOT) for method in named))
    palette = COLOURS if len(methods) <= len(COLOURS) else _MANY
    colours = dict(zip(methods, palette * len(methods), strict=False))
    figure, axes = _panels(len(heads))
    printed = {place: value for place, value in claim.printed().items() if place in records}
    for axis, head in zip(axes, heads, strict=True):
        for curve in curves[head]:
            _curve(axis, curve, records, printed, colours[_parts(curve)[1].removesuffix(EOT)])
        if axis.collections:
            heights = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axis.lines])
            low, room = heights.min(), 0.25 * np.ptp(heights) + 0.01
            axis.set_ylim(low - room, heights.max() + room)
        if claim.log_axis:
            places = np.concatenate([np.asarray(line.get_xdata(), dtype=float) for line in axis.lines])
            axis.set_xscale("symlog", linthresh=places[places > 0].min())
        axis.set(title=head, xlabel=claim.axis_label, ylabel=claim.unit)
    kinds = [kind for kind in DASHES if any(_parts(curve)[0] == kind for found in curves.values() for curve in found)]
    styles = {kind: DASHES[kind] for kind in kinds}
    if any(method.endswith(EOT) for method in named):
        styles["attacked by the mean of draws"] = "--"
    _legend(figure, colours, styles, crosses=any("@" in place for place in printed))
    return figure


def _curve(axis: Axes, curve: str, records: Records, printed: dict[str, float], colour: Any) -> None:
    points = sorted(
        (float(name.partition("@")[2]), record) for name, record in records.items() if name.startswith(f"{curve}@")
    )
    x, y = [at for at, _ in points], [record.value or 0.0 for _, record in points]
    kind = _parts(curve)[0]
    axis.plot(x, y, "--" if curve.endswith(EOT) else DASHES.get(kind, "-"), color=colour, lw=1.2)
    bands = [(at, *record.interval) for at, record in points if record.interval and "seeds" in record.conditions]
    if bands:
        axis.fill_between(*zip(*bands, strict=True), color=colour, alpha=0.15, lw=0)
    known = [(at, printed[f"{curve}@{at:g}"]) for at in x if f"{curve}@{at:g}" in printed]
    if known:
        axis.plot(*zip(*known, strict=True), "+" if kind == "empirical" else "x", color=colour, ms=4)


def _curves_of(head: str, records: Records) -> list[str]:
    found = (name.partition("@")[0] for name in records if name.startswith(f"{head}.") and "@" in name)
    return _by_size(list(dict.fromkeys(found)))


def _parts(curve: str) -> tuple[str, str]:
    """Kind of error and method of "data.kind.method"; no kind in "data.method"."""
    rest = curve.partition(".")[2]
    kind, _, method = rest.partition(".")
    return (kind, method) if kind in DASHES else ("", rest)


def _legend(figure: Figure, colours: dict[str, Any], styles: dict[str, str], *, crosses: bool) -> None:
    """One legend for all panels, below them."""
    handles = [Line2D([], [], color=colour, lw=1.2, label=method) for method, colour in colours.items()]
    handles += [Line2D([], [], ls=style, color="black", lw=1.2, label=label) for label, style in styles.items()]
    if crosses:
        handles.append(Line2D([], [], ls="none", marker="x", color="black", ms=4, label="printed"))
    width, height = figure.get_size_inches()
    columns = max(1, int(width / 1.35))
    figure.set_size_inches(width, height + 0.13 * -(-len(handles) // columns))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=6)


def _by_size(curves: list[str]) -> list[str]:
    """Curves named by a number of labels, as n100, in its order; others as they are."""
    sizes = {curve: int(found[1]) for curve in curves if (found := re.search(r"\.n(\d+)", curve))}
    return sorted(curves, key=sizes.__getitem__) if len(sizes) == len(curves) else curves


def _ratios(claim: Claim, records: Records) -> Figure:
    """Measured over printed, a column a data set; 1 is the dissertation's number."""
    printed = {name: value for name, value in claim.printed().items() if name in records and value}
    heads = list(dict.fromkeys(name.partition(".")[0] for name in printed))
    methods = list(dict.fromkeys(name.partition(".")[2] for name in printed))
    figure, (axis,) = _panels(1, width=6.0)
    bases = list(dict.fromkeys(method.removeprefix("asr.") for method in methods))
    for i, method in enumerate(methods):
        colour = COLOURS[bases.index(method.removeprefix("asr.")) % len(COLOURS)]
        rows = [(heads.index(name.partition(".")[0]), name) for name in printed if name.partition(".")[2] == method]
        ratio = np.array([records[name].value / printed[name] for _, name in rows])  # pyright: ignore[reportOptionalOperand]
        spread = np.array([_half(records[name]) / printed[name] for _, name in rows])
        x = np.array([at for at, _ in rows]) + (i - len(methods) / 2) * 0.8 / len(methods)
        marker = "s" if method.startswith("asr.") else "o"  # success rates of attacks, not sizes
        axis.errorbar(x, ratio, spread, fmt=marker, ms=3, lw=1, color=colour, label=method)
    axis.axhline(1, color="0.6", lw=0.8)
    axis.set_xticks(range(len(heads)), heads)
    axis.set_ylabel("measured / printed")
    axis.legend(fontsize=6, ncol=2)
    return figure


def _half(record: Record) -> float:
    return 0.0 if record.interval is None else (record.interval[1] - record.interval[0]) / 2


def _bars(claim: Claim, records: Records) -> Figure:
    """Measured as bars on a logarithmic axis, printed numbers as crosses."""
    names = [name for name in records if "@" not in name and (records[name].value or 0) > 0]
    printed = claim.printed()
    figure, (axis,) = _panels(1, width=6.0, height=0.6 + 0.22 * len(names))
    axis.barh(range(len(names)), [records[name].value or 0 for name in names], color=COLOURS[0], height=0.6)
    known = [(printed[name], i) for i, name in enumerate(names) if name in printed]
    if known:
        axis.plot(*zip(*known, strict=True), "x", color=COLOURS[1], label="printed")
        axis.legend(fontsize=6)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    least = min([records[name].value or 0 for name in names] + [value for value, _ in known])
    axis.set(xscale="log", xlabel=claim.unit, xlim=(10.0 ** np.floor(np.log10(least) - 0.1), None))
    return figure


def _boxes(claim: Claim, records: Records) -> Figure:
    """A panel a head: at each place a box a curve, of what `each` of the conditions holds."""
    heads = list(dict.fromkeys(name.partition(".")[0] for name in records if "@" in name))
    curves = list(dict.fromkeys(name.partition("@")[0] for name in records if "@" in name))
    methods = list(dict.fromkeys(curve.partition(".")[2] for curve in curves))
    colours = dict(zip(methods, COLOURS, strict=False))
    figure, axes = _panels(len(heads), width=4.0, columns=2)
    for axis, head in zip(axes, heads, strict=True):
        for i, method in enumerate(methods):
            found = sorted((float(name.partition("@")[2]), record) for name, record in records.items()
                           if name.startswith(f"{head}.{method}@"))  # fmt: skip
            at = np.array([place for place, _ in found]) + (i - (len(methods) - 1) / 2) * 0.8 / len(methods)
            drawn = axis.boxplot(
                [record.conditions["each"] for _, record in found], positions=at, widths=0.6 / len(methods),
                manage_ticks=False, showfliers=False, patch_artist=True, medianprops={"color": "black", "lw": 0.6},
                whiskerprops={"lw": 0.5}, capprops={"lw": 0.5}, boxprops={"lw": 0.4},
            )  # fmt: skip
            for box in drawn["boxes"]:
                box.set_facecolor(colours[method])
        axis.set(title=head, xlabel=claim.axis_label)
    _legend(figure, colours, {}, crosses=False)
    return figure


def _regions(claim: Claim, records: Records) -> Figure:
    """Decision regions of two-dimensional examples; `conditions` has grid, extent, points, labels and arrows."""
    shown = [(name, record) for name, record in records.items() if "grid" in record.conditions]
    figure, axes = _panels(len(shown))
    for axis, (name, record) in zip(axes, shown, strict=True):
        found = record.conditions
        grid = np.array([[int(code) for code in line] for line in found["grid"]])
        axis.imshow(grid, extent=found["extent"], origin="lower", cmap="Pastel1", vmin=0, vmax=8, aspect="equal")
        points, labels = np.array(found["points"]), np.array(found["labels"])
        for code, marker in enumerate("s^o"):
            axis.plot(*points[labels == code].T, marker, color=COLOURS[code], ms=4)
        for colour, (label, (start, stop)) in zip(COLOURS[2:], found.get("arrows", {}).items(), strict=False):
            last = {"ls": "--", "zorder": 5} if label == "exact" else {}  # may lie on another one
            axis.annotate(
                "", stop, start, arrowprops={"arrowstyle": "->", "color": colour, "shrinkA": 0, "shrinkB": 0, **last}
            )
            axis.plot([], [], color=colour, ls=last.get("ls", "-"), label=label)
            axis.plot(*start, "*", color="black", ms=6)
        axis.set(title=f"{name}: {record.value:.3f}", xticks=[], yticks=[])
        axis.spines[["left", "bottom"]].set_visible(False)
        if found.get("arrows"):
            axis.legend(fontsize=6)
    return figure


def _matrix(claim: Claim, records: Records) -> Figure:
    """A panel a data set of the values "data.row-to-column"."""
    pairs = {name: name.partition(".")[2].partition("-to-")[::2] for name in records if "-to-" in name}
    heads = list(dict.fromkeys(name.partition(".")[0] for name in pairs))
    labels = list(dict.fromkeys(row for row, _ in pairs.values()))
    figure, axes = _panels(len(heads))
    for axis, head in zip(axes, heads, strict=True):
        grid = np.full((len(labels), len(labels)), np.nan)
        for name, (row, column) in pairs.items():
            if name.startswith(f"{head}."):
                grid[labels.index(row), labels.index(column)] = records[name].value
        axis.imshow(grid, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                colour = "white" if value > 0.6 else "black"
                axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
        axis.set(title=head, xlabel="to", ylabel="from")
        axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        axis.set_yticks(range(len(labels)), labels)
    return figure


def _toy(claim: Claim, records: Records) -> Figure:
    """Labelled (large) and unlabelled points before and after a flip; the shaded ones, and the flipped one ringed."""
    shown = next(record.conditions for record in records.values() if "flipped" in record.conditions)
    points, known = np.array(shown["points"]), shown["labelled"]
    figure, axes = _panels(2, width=3.0)
    for axis, title in zip(axes, ("before", "after"), strict=True):
        for code, (marker, colour, label) in enumerate((("v", COLOURS[1], "negative"), ("^", COLOURS[0], "positive"))):
            own = np.array(shown[title]) == code
            axis.plot(*points[:known][own[:known]].T, marker, color=colour, ms=8, label=f"labelled {label}")
            axis.plot(
                *points[known:][own[known:]].T, marker, color=colour, ms=5, mfc="none", label=f"predicted {label}"
            )
        axis.plot(*points[shown["shaded"]].T, "o", color="0.85", ms=15, zorder=0)
        axis.plot(*points[shown["flipped"]], "o", color=COLOURS[7], ms=13, mfc="none")
        axis.set(title=title, xticks=[], yticks=[])
    axes[0].legend(fontsize=6, loc="upper center", ncol=2)
    axes[0].set_ylim(points[:, 1].min() - 0.4, points[:, 1].max() + 1.2)
    axes[1].set_ylim(axes[0].get_ylim())
    return figure


def _panels(count: int, width: float = 2.7, height: float = 2.2, columns: int = 3) -> tuple[Figure, list[Axes]]:
    columns = min(max(count, 1), columns)
    lines = -(-max(count, 1) // columns)
    figure = Figure(figsize=(width * columns, height * lines), layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _order(claim: Claim) -> Callable[[str], int]:
    heads = list(claim.axis)
    return lambda head: heads.index(head) if head in heads else len(heads)


KINDS: dict[str, Callable[[Claim, Records], Figure]] = {
    "curves": _curves,
    "boxes": _boxes,
    "ratios": _ratios,
    "bars": _bars,
    "regions": _regions,
    "toy": _toy,
    "matrix": _matrix,
}
