"""Killable worker processes with limits."""
