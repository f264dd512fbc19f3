"""Reading problems: file formats, field names, options, benchmarks, generators."""
