"""Room of a report's charts: one function a chart, from a report to an `<svg>` element.  Import from the modules."""
