"""Fixtures of the pages of `limo view`; what they are made of is in `view_cases`."""

from __future__ import annotations

from view_cases import browser as browser
from view_cases import folders as folders
from view_cases import one_run as one_run
