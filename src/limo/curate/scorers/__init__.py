"""Scorers of chains."""
