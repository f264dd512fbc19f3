"""Killable worker processes: a child that answers calls of one function, and a pool of such children."""
