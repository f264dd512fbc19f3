"""What is closed where its `with` ends."""

from __future__ import annotations

from typing import Self


class Closing:
    """Base of a context manager that ends with `close()`."""

    def close(self) -> None:
        """Give back what is held; a second call does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
