"""Fixtures of all rooms; what completions are requested of is made in `rollout_cases`."""

from __future__ import annotations

import pytest

from limo.core import secrets
from rollout_cases import recording as recording


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    """A key that one test reads is no secret in the next."""
    for name in ("_secrets", "_whole", "_numbers"):
        monkeypatch.setattr(secrets, name, {})
