"""The canonical form of a statement: a compiled scanner and its plain Python reference."""
