"""Long lists, sixty to a page: which page is asked for, how many there are, and what stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from flask import request
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

SIZE = 60


class Paging(NamedTuple):
    """A page of a list. number : from 1. pages : at least one. first : its first item, from 0. total : of the list."""

    number: int
    pages: int
    first: int
    total: int


def paging(count: int) -> Paging:
    """The page `?page=N` of a list of `count`: the last one where there are not so many."""
    pages = max(1, -(-count // SIZE))
    number = min(max(1, request.args.get("page", 1, int)), pages)
    return Paging(number, pages, SIZE * (number - 1), count)


def page_of(session: Session, chosen: Select[Any]) -> tuple[Sequence[Any], Paging]:
    """The rows of a list that stand on its page, and which one that is."""
    shown = paging(session.scalar(select(func.count()).select_from(chosen.order_by(None).subquery())) or 0)
    return session.scalars(chosen.limit(SIZE).offset(shown.first)).all(), shown
