"""The canonical form of a statement: without wrapper and markup, in one spelling, scanned by compiled code."""
