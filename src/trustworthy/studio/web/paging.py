"""Long lists, sixty to a page: which page is asked for, and how many there are."""

from __future__ import annotations

from typing import NamedTuple

from flask import request

SIZE = 60


class Paging(NamedTuple):
    """A page of a list. number : from 1. pages : at least one. first : its first item, from 0. size : items on it."""

    number: int
    pages: int
    first: int
    size: int


def paging(count: int) -> Paging:
    """The page `?page=N` of a list of `count`: the last one where there are not so many."""
    pages = max(1, -(-count // SIZE))
    number = min(max(1, request.args.get("page", 1, int)), pages)
    return Paging(number, pages, SIZE * (number - 1), SIZE)
