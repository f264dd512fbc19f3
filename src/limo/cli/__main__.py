"""Lets launchers that want a module run the command: `accelerate launch -m limo.cli train ...`."""

from limo.cli import main

if __name__ == "__main__":  # processes that are spawned import this file too
    main()
