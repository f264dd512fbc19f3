"""Fixtures shared by the rooms that request completions; what they are made of is in `rollout_cases`."""

from __future__ import annotations

from rollout_cases import recording as recording
