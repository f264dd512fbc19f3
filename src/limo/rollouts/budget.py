"""The budget of a run, and a meter of what was spent: no more is requested when it would pass the budget.

What counts is what the run's ledger holds, over all its starts, so the same command with a larger budget continues.
Costs are estimates by the tokens that servers report, or by the texts where they report none: a provider may bill
thoughts that it does not return.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydantic import Field

from limo.core.recipe import Settings
from limo.ledger.store import Ledger
from limo.models.settings import Price

FIRST = 4  # rollouts that are requested at once before any has told what one costs; our choice


class Budget(Settings):
    """The most that a run may spend on rollouts; nothing set is no limit."""

    tokens: int | None = Field(None, ge=1, description="tokens, read and written")
    usd: float | None = Field(None, gt=0, description="US dollars, by the `price` of the models")
    hours: float | None = Field(None, gt=0, description="hours of requesting, over all starts")


class BudgetMeter:
    """Counts the cost of a ledger's rollouts.  `prices` are by the models' names."""

    def __init__(self, budget: Budget, prices: Mapping[str, Price], ledger: Ledger) -> None:
        self.budget, self.prices, self.ledger = budget, prices, ledger
        self.n_rollouts = self.n_tokens = 0
        self.usd = 0.0
        self._seconds_before, self._began = ledger.seconds(), time.monotonic()
        self._saved_at = self._began
        for model, usage in ledger.usage_by_model().items():
            self.add(model, usage.n_prompt_tokens, usage.n_completion_tokens, usage.n_rollouts)

    def add(self, model: str, n_prompt_tokens: int, n_completion_tokens: int, n_rollouts: int = 1) -> None:
        """Count `n_rollouts` with all their tokens."""
        self.n_rollouts += n_rollouts
        self.n_tokens += n_prompt_tokens + n_completion_tokens
        price = self.prices.get(model)
        if price is not None:
            self.usd += (n_prompt_tokens * price.input + n_completion_tokens * price.output) / 1e6

    @property
    def hours(self) -> float:
        """Hours of requesting so far."""
        return (self._seconds_before + time.monotonic() - self._began) / 3600

    def save_seconds(self, at_least: float = 0.0) -> None:
        """Store the seconds since the last call in the ledger, if they are `at_least` so many."""
        now = time.monotonic()
        if now - self._saved_at >= at_least:
            self.ledger.add_seconds(now - self._saved_at)
            self._saved_at = now

    def limit_reached(self, n_outstanding: int = 0) -> str:
        """The limit that one more request would pass, in words, with `n_outstanding` not yet counted; '' if none.

        Until the first ones have told what a rollout costs, `FIRST` of them may be outstanding.
        """
        budget = self.budget
        if not self.n_rollouts and n_outstanding >= FIRST and (budget.tokens, budget.usd) != (None, None):
            return "the cost of a rollout is not known yet"
        limit = self.passed(1 + (n_outstanding + 1) / self.n_rollouts if self.n_rollouts else 1.0)
        return f"{limit}; the next rollout could pass it" if limit and not self.passed() else limit

    def passed(self, growth: float = 1.0) -> str:
        """The limit that what was spent, times `growth`, is past, in words; '' if none."""
        budget = self.budget
        if budget.tokens is not None and self.n_tokens * growth > budget.tokens:
            return f"{self.n_tokens:,} of {budget.tokens:,} tokens"
        if budget.usd is not None and self.usd * growth > budget.usd:
            return f"{self.usd:,.2f} of {budget.usd:,.2f} US dollars"
        if budget.hours is not None and self.hours > budget.hours:
            return f"{self.hours:,.2f} of {budget.hours:,.2f} hours"
        return ""
