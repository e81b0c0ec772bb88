"""Names of the parts of a network that a script has set: the description lacks their values."""

from collections.abc import Callable

from distsnn.engine.rank_engine import RankEngine


def changed_parts(engine: RankEngine, keep_weights: bool) -> list[str]:
    """Return populations and projections that a reset leaves unlike their descriptions.

    Parameters
    ----------
    engine : RankEngine
        The engine after the reset.
    keep_weights : bool
        Whether plastic weights keep their values.
    """
    populations = [name for name, neurons in engine.neurons.items() if neurons.changed]
    projections = [
        str(plastic.projection.name)
        for plastic in engine.plastic
        if keep_weights or not plastic.learns or plastic.rows.changed
    ]
    weights = [name for name, changed in engine.changed_weights.items() if changed.is_set]
    return [*populations, *projections, *weights]


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
