"""Figure 7.3: the five most relevant words of texts, and how many of them say nothing of the subject."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from reproduce.ch7.judged import explained, methods_of
from reproduce.ch7.suites import BUDGETS, suite
from reproduce.runner import Setting
from reproduce.store import Measured

WORDS = 5


def cells(options: dict[str, Any]) -> list[str]:
    """One cell."""
    return ["text"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Share of stop words among the five most relevant ones, of each method, with the words of a few texts."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    scale = setting.options["budget"]
    rows = suite(cell, BUDGETS[scale][cell])
    everything = [word in ENGLISH_STOP_WORDS for text in rows.words for word in text]
    yield Measured(name=f"{cell}.all", value=round(float(np.mean(everything)), 5))
    for method in methods_of(cell, setting.options["methods"]):
        orders = explained(cell, scale, method, setting.seed).orders["complement"]
        chosen = [[text[place] for place in order[:WORDS]] for text, order in zip(rows.words, orders, strict=True)]
        idle = np.mean([word in ENGLISH_STOP_WORDS for words in chosen for word in words])
        names = rows.class_names
        shown = {f"{k}: {names[int(rows.y[k])]}": " ".join(chosen[k]) for k in range(setting.options["shown"])}
        yield Measured(name=f"{cell}.{method}", value=round(float(idle), 5), conditions={"words": shown})
