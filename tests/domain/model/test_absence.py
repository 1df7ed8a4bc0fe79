"""Absence: a resource counts as deleted if it is missed twice, a minute apart."""

from datetime import timedelta

import pytest

from jit.domain.model.absence import Absence
from tests.builders.values import NOW, vm_id


@pytest.mark.parametrize(("seconds", "proved"), [(0, False), (59, False), (60, True), (300, True)])
def test_one_look_proves_no_absence(seconds, proved):
    """A second one does, at least a minute later."""
    absence = Absence(key=vm_id(), since=NOW)

    assert absence.is_proved(NOW + timedelta(seconds=seconds)) is proved
