"""Analysis of runs: open a run, statistics on Dask, plots, and a report as one page."""

from distsnn.analysis.html_report import report
from distsnn.analysis.plots import raster, summary
from distsnn.analysis.run import Run, SpikeArrays, open_run

__all__ = ["Run", "SpikeArrays", "open_run", "raster", "report", "summary"]
