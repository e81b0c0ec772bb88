"""Errors that say what is wrong, where, which value was given and what is allowed."""

import difflib
from collections.abc import Iterable


class DistsnnError(Exception):
    """Base class of every error that distsnn raises on purpose.

    A message may repeat the text of a file from anywhere. Characters on which a terminal would act
    are escaped.
    """

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))


class DescriptionError(DistsnnError, ValueError):
    """A network, model or setting that cannot be simulated as described.

    Parameters
    ----------
    what : str
        What is wrong, in one sentence without the value.
    where : str
        The place: population, projection, field or file, e.g. ``"population 'E', field tau_m"``.
    value : object, optional
        The value that was given.
    allowed : str, optional
        What is allowed instead.
    nearest : str, optional
        The nearest valid name, for a typo.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        value: object = None,
        allowed: str = "",
        nearest: str | None = None,
    ) -> None:
        self.what, self.where, self.value = what, where, value
        self.allowed, self.nearest = allowed, nearest
        message = f"{where}: {what}" if where else what
        if value is not None:
            message += f"; given {value!r}"
        if allowed:
            message += f"; allowed: {allowed}"
        if nearest is not None:
            message += f"; did you mean {nearest!r}?"
        super().__init__(message)

    def within(self, place: str) -> "DescriptionError":
        """Return the same error with the file or field in which its place is."""
        return DescriptionError(
            self.what,
            where=f"{place}: {self.where}",
            value=self.value,
            allowed=self.allowed,
            nearest=self.nearest,
        )


class StoreError(DistsnnError):
    """A run's store that cannot be created, written or read.

    Parameters
    ----------
    what : str
        What is wrong.
    path : str
        The store or file.
    """

    def __init__(self, what: str, *, path: str) -> None:
        self.what, self.path = what, path
        super().__init__(f"{path}: {what}")


class RecordingError(StoreError):
    """A recording that could not be written while its run went on, such as onto a full disk."""


class Stopped(DistsnnError):
    """A run that was asked to stop before its end, and did in good order.

    Parameters
    ----------
    reason : str
        Who or what asked, such as ``"SIGUSR1"`` or ``"the wall limit"``.
    at_ms : float
        Biological time reached, ms.
    store : str or None
        The run that was saved; None where it is not recorded.

    Attributes
    ----------
    resumable : bool
        Whether nothing is lost if the same command is started again.
    """

    def __init__(self, reason: str, *, at_ms: float, store: str | None) -> None:
        self.reason, self.at_ms, self.store = reason, at_ms, store
        self.resumable = store is not None or at_ms == 0.0
        text = f"stopped by {reason} at {at_ms:g} ms"
        if store is not None:
            text += f"; saved, go on with: distsnn run --resume {store}"
        super().__init__(text)


class StateError(DistsnnError):
    """A neuron whose state is no number any more, or that cannot do what its input asks for.

    Parameters
    ----------
    what : str
        Population, gid, step, and what is wrong.
    """


class RunawayError(DistsnnError):
    """A population whose mean rate went over the ceiling that was set.

    Parameters
    ----------
    population : str
        The population.
    rate, ceiling : float
        Its mean rate over the last window, and the ceiling, spikes/s.
    at_ms : float
        When it was found, ms.
    """

    def __init__(self, population: str, rate: float, ceiling: float, *, at_ms: float) -> None:
        self.population, self.rate, self.ceiling, self.at_ms = population, rate, ceiling, at_ms
        super().__init__(
            f"population {population!r}: {rate:.4g} spikes/s at {at_ms:g} ms, "
            f"over the ceiling of {ceiling:g} spikes/s"
        )


class RankError(DistsnnError):
    """An error on another rank, told to this one so that all ranks stop together.

    Parameters
    ----------
    rank : int
        The rank on which the error was raised.
    message : str
        That rank's message.
    """

    def __init__(self, rank: int, message: str) -> None:
        self.rank, self.message = rank, message
        super().__init__(f"rank {rank}: {message}")


def printable(text: str) -> str:
    """Return a text in which every character is escaped that a terminal could act upon."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the valid name most like `name`, or None where none is close."""
    candidates = list(names)
    folded = {candidate.lower(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return folded[matches[0]] if matches else None


def unknown(kind: str, name: object, names: Iterable[str], *, where: str = "") -> DescriptionError:
    """Return the error for a name that is not among `names`, with its nearest match."""
    valid = sorted(names)
    return DescriptionError(
        f"unknown {kind} {name!r}",
        where=where,
        allowed=", ".join(valid) or "none",
        # a stored description may hold anything in a name's place
        nearest=nearest(name, valid) if isinstance(name, str) else None,
    )
