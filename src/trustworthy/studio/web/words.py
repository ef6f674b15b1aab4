"""Numbers and moments in the words of the pages: filters of the templates."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from markupsafe import Markup


def moment(when: datetime | None) -> Markup:
    """A moment; static/studio.js writes it in the visitor's zone, and without scripts it is in UTC."""
    if when is None:
        return Markup("–")
    when = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(), when.strftime("%Y-%m-%d %H:%M UTC"))


def size(count: float) -> str:
    """A number of bytes, as disks are sold: 1,000 to the next unit."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float | None) -> str:
    """A stretch of time, to two units; "–" for one that nobody knows."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"


def add_words(app: Flask) -> None:
    """`{{ job.created | moment }}`, `{{ image.bytes | size }}`, `{{ job.seconds_left | duration }}`."""
    app.jinja_env.filters.update(moment=moment, size=size, duration=duration)
