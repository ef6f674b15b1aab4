"""A piece is measured once under its mark, and progress begins and ends it."""

from trustworthy.core.study import Piece, study


class Memory(dict):
    def load(self, key, mark):
        return self.get((key, mark))

    def save(self, key, mark, record):
        self[key, mark] = record


def test_a_piece_is_measured_where_the_store_has_none_of_its_mark():
    store, measured, told = Memory(), [], []

    def pieces(mark):
        return (
            Piece(key, mark, lambda key=key: measured.append(key) or key * 2, lambda share, key=key: told.append(key))
            for key in "ab"
        )

    first = study(pieces("one"), store)
    assert next(first) == "aa"
    assert measured == ["a"]  # an interrupted study has begun nothing else
    assert list(study(pieces("one"), store)) == ["aa", "bb"]
    assert measured == ["a", "b"]
    assert list(study(pieces("two"), store)) == ["aa", "bb"]
    assert list(study(pieces("two"), store, again=True)) == ["aa", "bb"]
    assert measured == ["a", "b"] * 3
    assert told[:6] == ["a"] * 4 + ["b"] * 2
