"""Verifiers for the tests of training by reward."""

from limo.core.records import Verdict


class Always:
    """Calls everything correct."""

    identity = "always/1"
    system = "Answer."

    def why_not(self, problem):
        return ""

    def verify(self, problem, completion):
        return Verdict("correct")
