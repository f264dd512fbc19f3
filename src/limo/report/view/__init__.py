"""Room of `limo view`: rollouts in a web browser, problems as rows, models as columns, texts side by side."""
