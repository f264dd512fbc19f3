"""Mathematical answers: parsing, values, comparison."""
