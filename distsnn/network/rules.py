"""Connection rules with closed-form expectations."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import Interval, as_integer, as_number, check_range
from distsnn.units import format_count


def binomial_bound(trials: float, probability: float) -> int:
    """Return a bound that a binomial count exceeds in none of any number of neurons.

    It is mean + 8 standard deviations + 8: the last term covers small means, whose tail is longer
    than a normal one.
    """
    mean = trials * probability
    return math.ceil(mean + 8.0 * math.sqrt(mean * (1.0 - probability)) + 8.0)


@dataclass(frozen=True, eq=False)
class ConnectionRule(Description, ABC):
    """Base class of connection rules.

    ``n_pre`` and ``n_post`` are the numbers of sources and targets. ``is_recurrent`` is true if
    sources and targets are the same neurons.
    """

    def __post_init__(self) -> None:
        for name in ("autapses", "multapses"):
            if not isinstance(getattr(self, name, True), bool):
                raise DescriptionError(
                    "must be True or False", where=self._place(name), value=getattr(self, name)
                )

    @property
    def skips_autapses(self) -> bool:
        """Whether the rule makes no synapse from a neuron to itself."""
        return not getattr(self, "autapses", True)

    def check(self, n_pre: int, n_post: int, is_recurrent: bool, *, where: str) -> None:
        """Check that the rule can be followed.

        Raises
        ------
        DescriptionError
            If it asks for more than there is.
        """

    def array_shape(self, n_pre: int, n_post: int) -> tuple[int, ...] | None:
        """Return the shape of arrays of weights or delays, None where arrays make no sense."""
        return None

    @abstractmethod
    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return the expected number of synapses."""

    @abstractmethod
    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return a bound of the largest number of synapses onto a target.

        It is hard where there is a hard one, else mean + 8 standard deviations + 8.
        """

    def connection_probability(
        self, targets: npt.NDArray[np.float64], n_pre: int, n_post: int, is_recurrent: bool
    ) -> npt.NDArray[np.float64]:
        """Return the probability that a source has a synapse onto one of its targets.

        Parameters
        ----------
        targets : ndarray of float64
            Numbers of targets; where there are no autapses the source itself does not count.

        Raises
        ------
        TypeError
            Of rules that give their pairs and draw none.
        """
        raise TypeError(f"{type(self).__name__} gives its pairs")

    def _pairs(self, n_pre: int, n_post: int, is_recurrent: bool) -> int:
        return n_pre * n_post - (n_post if is_recurrent and self.skips_autapses else 0)


def _check_degree(
    degree: int,
    candidates: int,
    rule: ConnectionRule,
    is_recurrent: bool,
    *,
    multapses: bool,
    where: str,
    meaning: str,
) -> None:
    # A neuron that may not connect to itself has one candidate less.
    candidates -= is_recurrent and rule.skips_autapses
    if degree > (candidates if not multapses else math.inf) or (degree and not candidates):
        raise DescriptionError(
            f"more synapses than {meaning}" + ("" if multapses else " without multapses"),
            where=where,
            value=degree,
            allowed=f"at most {candidates}",
        )


@dataclass(frozen=True, eq=False)
class OneToOne(ConnectionRule):
    """Source i connects to target i."""

    def check(self, n_pre: int, n_post: int, is_recurrent: bool, *, where: str) -> None:
        """Check that there are as many sources as targets."""
        if n_pre != n_post:
            raise DescriptionError(
                "one-to-one needs as many sources as targets",
                where=f"{where}, field rule",
                value=f"{format_count(n_pre, 'source')}, {format_count(n_post, 'target')}",
            )

    def array_shape(self, n_pre: int, n_post: int) -> tuple[int, ...]:
        """Return (n,)."""
        return (n_pre,)

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return n."""
        return float(n_post)

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return 1."""
        return 1


@dataclass(frozen=True, eq=False)
class AllToAll(ConnectionRule):
    """Every source connects to every target.

    Parameters
    ----------
    autapses : bool
        Whether a neuron connects to itself.
    """

    autapses: bool = True

    def array_shape(self, n_pre: int, n_post: int) -> tuple[int, ...]:
        """Return (n_pre, n_post)."""
        return n_pre, n_post

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return the number of pairs."""
        return float(self._pairs(n_pre, n_post, is_recurrent))

    def connection_probability(
        self, targets: npt.NDArray[np.float64], n_pre: int, n_post: int, is_recurrent: bool
    ) -> npt.NDArray[np.float64]:
        """Return 1 where there are targets."""
        return (targets > 0).astype(np.float64)

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return n_pre."""
        return n_pre


@dataclass(frozen=True, eq=False)
class FixedIndegree(ConnectionRule):
    """Every target draws the same number of sources uniformly.

    Parameters
    ----------
    indegree : int
        Synapses onto each target.
    autapses, multapses : bool
        Whether a neuron may connect to itself; whether a pair may connect more than once.
    """

    indegree: int
    autapses: bool = True
    multapses: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fill(indegree=as_integer(self.indegree, where=self._place("indegree")))

    def check(self, n_pre: int, n_post: int, is_recurrent: bool, *, where: str) -> None:
        """Check the indegree against the number of sources."""
        place = f"{where}, field rule.indegree"
        multapses = self.multapses
        _check_degree(
            self.indegree,
            n_pre,
            self,
            is_recurrent,
            multapses=multapses,
            where=place,
            meaning="sources",
        )

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return indegree · n_post."""
        return float(self.indegree * n_post)

    def connection_probability(
        self, targets: npt.NDArray[np.float64], n_pre: int, n_post: int, is_recurrent: bool
    ) -> npt.NDArray[np.float64]:
        """Return 1 - (probability that a target draws others alone)^targets."""
        candidates = max(1, n_pre - (is_recurrent and self.skips_autapses))
        if self.multapses:
            others = (1.0 - 1.0 / candidates) ** self.indegree
        else:
            others = 1.0 - self.indegree / candidates
        return 1.0 - others**targets

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return the indegree."""
        return self.indegree


@dataclass(frozen=True, eq=False)
class FixedOutdegree(ConnectionRule):
    """Every source draws the same number of targets uniformly.

    Parameters
    ----------
    outdegree : int
        Synapses of each source.
    autapses, multapses : bool
        Whether a neuron may connect to itself; whether a pair may connect more than once.
    """

    outdegree: int
    autapses: bool = True
    multapses: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fill(outdegree=as_integer(self.outdegree, where=self._place("outdegree")))

    def check(self, n_pre: int, n_post: int, is_recurrent: bool, *, where: str) -> None:
        """Check the outdegree against the number of targets."""
        place = f"{where}, field rule.outdegree"
        multapses = self.multapses
        _check_degree(
            self.outdegree,
            n_post,
            self,
            is_recurrent,
            multapses=multapses,
            where=place,
            meaning="targets",
        )

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return outdegree · n_pre."""
        return float(self.outdegree * n_pre)

    def connection_probability(
        self, targets: npt.NDArray[np.float64], n_pre: int, n_post: int, is_recurrent: bool
    ) -> npt.NDArray[np.float64]:
        """Return 1 - (probability that all draws are other targets)."""
        candidates = max(1, n_post - (is_recurrent and self.skips_autapses))
        others = candidates - np.minimum(targets, candidates)
        if self.multapses:
            return 1.0 - (others / candidates) ** self.outdegree
        drawn = np.arange(self.outdegree)
        left = np.maximum(others[..., np.newaxis] - drawn, 0.0) / (candidates - drawn)
        missed: npt.NDArray[np.float64] = left.prod(axis=-1)
        return 1.0 - missed

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return a bound of Binomial(outdegree · n_pre, 1/n_post), at most n_pre sans multapses."""
        if self.multapses:
            bound = binomial_bound(self.outdegree * n_pre, 1.0 / n_post)
            return min(self.outdegree * n_pre, bound)
        return min(n_pre, binomial_bound(n_pre, min(1.0, self.outdegree / n_post)))


@dataclass(frozen=True, eq=False)
class FixedTotalNumber(ConnectionRule):
    """A given number of synapses, each with source and target drawn uniformly.

    Parameters
    ----------
    n : int
        Number of synapses.
    autapses : bool
        Whether a neuron may connect to itself.
    multapses : bool
        Must be True, as in NEST: a pair may connect more than once.
    """

    n: int
    autapses: bool = True
    multapses: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fill(n=as_integer(self.n, where=self._place("n")))
        if not self.multapses:
            raise DescriptionError(
                "a fixed total number without multapses is not defined, as in NEST",
                where=self._place("multapses"),
                value=False,
                allowed="True",
                hint="use PairwiseBernoulli, which makes no multapses",
            )

    def check(self, n_pre: int, n_post: int, is_recurrent: bool, *, where: str) -> None:
        """Check that there is a pair to connect."""
        pairs = self._pairs(n_pre, n_post, is_recurrent)
        if self.n and not pairs:
            raise DescriptionError(
                "no pair to connect without autapses", where=f"{where}, field rule.n", value=self.n
            )

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return n."""
        return float(self.n)

    def connection_probability(
        self, targets: npt.NDArray[np.float64], n_pre: int, n_post: int, is_recurrent: bool
    ) -> npt.NDArray[np.float64]:
        """Return 1 - (probability that all draws are other pairs)."""
        return 1.0 - (1.0 - targets / max(1, self._pairs(n_pre, n_post, is_recurrent))) ** self.n

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return a bound of Binomial(n, 1/n_post)."""
        return min(self.n, binomial_bound(self.n, 1.0 / n_post))


@dataclass(frozen=True, eq=False)
class PairwiseBernoulli(ConnectionRule):
    """Every pair connects, independently, with the same probability.

    Parameters
    ----------
    p : float
        Probability, 0 to 1.
    autapses : bool
        Whether a neuron may connect to itself.
    """

    p: float
    autapses: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fill(p=as_number(self.p, where=self._place("p")))
        check_range(self.p, Interval(0.0, 1.0), where=self._place("p"))

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return p · pairs."""
        return self.p * self._pairs(n_pre, n_post, is_recurrent)

    def connection_probability(
        self, targets: npt.NDArray[np.float64], n_pre: int, n_post: int, is_recurrent: bool
    ) -> npt.NDArray[np.float64]:
        """Return 1 - (1 - p)^targets."""
        return 1.0 - (1.0 - self.p) ** targets

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return a bound of Binomial(n_pre, p), at most n_pre."""
        return min(n_pre, binomial_bound(n_pre, self.p))
