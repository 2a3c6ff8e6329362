"""How many requests are let in."""

import pytest

from imagetext.wire.errors import Busy
from services.chassis.limits import Admission


def test_one_too_many_is_busy_until_another_leaves():
    """The limit counts who is inside, whether they leave well or by an error."""
    admission = Admission(2)
    with admission.enter():
        with pytest.raises(ZeroDivisionError), admission.enter():
            raise ZeroDivisionError
        with admission.enter(), pytest.raises(Busy), admission.enter():
            pass

    assert admission.inside == 0
