"""Imported once by the process that the children are forked from: what takes long is done before."""

import numpy as np

from alerting.detector import Settings, State, update
from tests.faults import alerter_child  # noqa: F401 - the children run it

update(
    State.fresh(1), np.array([0]), np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), Settings()
)  # compiled or loaded
