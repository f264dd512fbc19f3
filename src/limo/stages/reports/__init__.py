"""Reports of runs: what a run folder of any kind holds, as the content that `limo.report` draws."""
