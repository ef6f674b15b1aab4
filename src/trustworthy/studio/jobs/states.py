"""Status of a job, and which may follow which."""

from __future__ import annotations

from typing import Final

SUBMIT: Final = "SUBMIT"
QUEUE: Final = "QUEUE"
RUN: Final = "RUN"
SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
CANCELLED: Final = "CANCELLED"

NEXT: dict[str, frozenset[str]] = {
    SUBMIT: frozenset({QUEUE, CANCELLED, FAILURE}),
    QUEUE: frozenset({RUN, CANCELLED, FAILURE}),
    RUN: frozenset({SUCCESS, FAILURE, CANCELLED, QUEUE}),
    FAILURE: frozenset({QUEUE}),
    CANCELLED: frozenset({QUEUE}),
    SUCCESS: frozenset(),
}
"""RUN goes back to QUEUE where a worker was lost; FAILURE and CANCELLED do when a person tries again."""
ENDED = frozenset({SUCCESS, FAILURE, CANCELLED})


def before(status: str) -> list[str]:
    """What may become `status`."""
    return [name for name, following in NEXT.items() if status in following]
