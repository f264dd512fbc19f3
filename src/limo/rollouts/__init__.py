"""Ask models many times, pay for each answer once, stop when the answer is known."""
