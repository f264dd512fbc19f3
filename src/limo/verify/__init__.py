"""Room of the verdict: extract, understand, compare, and Math-Verify in a child that may be killed."""
