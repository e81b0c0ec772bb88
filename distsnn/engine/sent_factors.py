"""Factors with which spikes in flight were sent, by the synapse model of their projection."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import LocalLayout
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import CountedHolder, Ints, StateField, Values, projection_fields
from distsnn.network import Projection

Floats = npt.NDArray[np.float64]


class SentFactors(CountedHolder):
    """Factors of a rank's spikes in flight, for one projection with a synapse model.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    projection : Projection
        The projection.
    """

    fields: tuple[StateField, ...] = ()

    def __init__(self, layout: LocalLayout, projection: Projection) -> None:
        self._layout, self._projection = layout, projection
        group, variables = "sent_factors", {"factor": ("float64", "1")}
        self.fields = projection_fields(projection, "source", group, variables, count_group=group)
        # in the order of (block, step, gid)
        self._step, self._gid = np.empty(0, np.int32), np.empty(0, np.uint32)
        self._factor = np.empty(0)

    def append(
        self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32], factor: Floats
    ) -> None:
        """Take some spikes with their factors, later than all before."""
        steps, gids = np.concatenate([self._step, step]), np.concatenate([self._gid, gid])
        order = self._by_block(gids)
        self._step, self._gid = steps[order], gids[order]
        self._factor = np.concatenate([self._factor, factor])[order]

    def drop(self, until: int) -> None:
        """Drop the spikes up to a step, which have no events ahead of them."""
        remains = self._step > until
        self._step, self._gid = self._step[remains], self._gid[remains]
        self._factor = self._factor[remains]

    def counts(self) -> Ints:
        """Return the number of spikes in flight of each of the rank's blocks."""
        table = self._layout.blocks
        each = np.bincount(table.block_of_gid(self._gid), minlength=table.n_blocks)
        return each[self._layout.blocks_of_rank(self._projection.pre.population)].astype(np.int64)

    def take(self, step: int) -> list[Values]:
        """Return a copy of the factors by block, in the order of (step, gid)."""
        return [self._factor.copy()]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Take the factors of all ranks' spikes in flight; `resume` follows with the spikes."""
        (self._factor,) = values

    def of_spikes(self, in_flight: Spikes) -> Floats:
        """Return the factor of each of this rank's spikes in flight; 1 for other neurons' spikes.

        Parameters
        ----------
        in_flight : (ndarray of int32, ndarray of uint32)
            This rank's spikes in flight, all of which have been taken.
        """
        sources = is_source(self._layout, self._projection, in_flight[1])
        factors = np.ones(sources.size)
        factors[np.flatnonzero(sources)[self._by_block(in_flight[1][sources])]] = self._factor
        return factors

    def resume(self, flying: Spikes) -> Floats:
        """Return the factor of each spike in flight, and keep the factors of this rank's spikes.

        Parameters
        ----------
        flying : (ndarray of int32, ndarray of uint32)
            All ranks' spikes in flight, in the order of (step, gid).

        Returns
        -------
        ndarray of float64, shape (n_spikes,)
            1 for the spikes of other neurons.

        Raises
        ------
        ValueError
            If there are not as many factors as spikes.
        """
        step, gid = flying
        sources = is_source(self._layout, self._projection, gid)
        if self._factor.size != np.count_nonzero(sources):
            raise ValueError(
                f"{self._factor.size} factors of {np.count_nonzero(sources)} spikes of "
                f"{self._projection.name!r}"
            )
        factors = self.of_spikes(flying)
        kept = np.flatnonzero(sources & self._layout.is_local(gid))
        kept = kept[self._by_block(gid[kept])]
        self._step, self._gid, self._factor = step[kept], gid[kept], factors[kept]
        return factors

    def _by_block(self, gid: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        return np.argsort(self._layout.blocks.block_of_gid(gid), kind="stable")


def is_source(
    layout: LocalLayout, projection: Projection, gid: npt.NDArray[np.uint32]
) -> npt.NDArray[np.bool_]:
    """Return which neurons are sources of a projection."""
    return layout.network.positions(projection.pre, gid) >= 0
