"""Memos: results that several askers share, kept beside the value that they were made from."""

from itertools import count

import pytest

from jit.domain.values.memo import Memo


def test_a_question_is_answered_once():
    """The second asker gets the answer of the first."""
    memo, numbers = Memo(), count(1)

    answers = [memo.recall("how many?", lambda: next(numbers)) for _ in range(3)]

    assert answers == [1, 1, 1]


def test_another_question_has_an_answer_of_its_own():
    """Also if the first answer was nothing."""
    memo = Memo()

    assert [memo.recall(key, lambda: None) for key in "ab"] == [None, None]
    assert memo.recall("c", lambda: 3) == 3


def test_a_failure_is_no_answer():
    """The next asker tries again."""
    memo = Memo()

    with pytest.raises(ZeroDivisionError):
        memo.recall("why?", lambda: 1 // 0)

    assert memo.recall("why?", lambda: 7) == 7
