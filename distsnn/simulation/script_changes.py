"""What a script has set while a network ran, which its description alone does not repeat."""

from collections.abc import Callable


class ScriptChanges:
    """Names of stimuli, sources, populations and projections, in the order of their first setting.

    Attributes
    ----------
    names : list of str
        The names.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._listener: Callable[[list[str]], None] = lambda names: None

    def subscribe(self, listener: Callable[[list[str]], None]) -> None:
        """Call a listener with the names set so far, now and after every new name."""
        self._listener = listener
        if self.names:
            listener(self.names)

    def forget(self) -> None:
        """Remove all names and the listener."""
        self.names, self._listener = [], lambda names: None

    def add(self, *names: str) -> None:
        """Take note of what has just been set."""
        new = [name for name in dict.fromkeys(names) if name not in self.names]
        if new:
            self.names += new
            self._listener(self.names)
