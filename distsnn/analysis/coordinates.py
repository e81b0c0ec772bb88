"""Statistics as labelled arrays: xarray objects on Dask, with gids, times and units."""

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import Delayed
from numpy.typing import NDArray

from distsnn.analysis.selection import Neurons, Selection


def neuron_coordinates(neurons: Neurons) -> dict[str, tuple[str, NDArray[Any]]]:
    """Return the coordinates of the dimension ``neuron``: gid, population, index within it."""
    gids = neurons.gids
    first = np.repeat(neurons.first_gid, neurons.stop - neurons.start)
    return {
        "gid": ("neuron", gids),
        "population": ("neuron", np.array(neurons.names or [""])[neurons.population_index]),
        "index": ("neuron", gids - first),
    }


def lazy(value: Delayed, shape: tuple[int, ...], dtype: str) -> da.Array:
    """Return a delayed array of known shape as a Dask array of one chunk."""
    array: da.Array = da.from_delayed(value, shape, dtype=np.dtype(dtype))  # type: ignore[no-untyped-call]
    return array


def per_neuron(
    value: Delayed, selection: Selection, dtype: str, *, name: str, units: str, long_name: str
) -> xr.DataArray:
    """Return a delayed array of one value per neuron as a labelled array on Dask."""
    return xr.DataArray(
        lazy(value, (selection.neurons.count,), dtype),
        dims="neuron",
        coords=neuron_coordinates(selection.neurons),
        name=name,
        attrs={"units": units, "long_name": long_name},
    )


def bin_centres(selection: Selection, bin_steps: int) -> NDArray[np.float64]:
    """Return the middle of each bin, ms.

    Bin i counts the spikes with steps in (start_step + i·bin_steps, start_step + (i+1)·bin_steps].
    """
    bins = selection.bins(bin_steps)
    middle = selection.start_step + (np.arange(bins, dtype=np.float64) + 0.5) * bin_steps
    return middle * np.float64(selection.dt)
