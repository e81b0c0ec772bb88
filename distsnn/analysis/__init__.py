"""Analysis of runs: open a run, statistics on Dask, plots, and a report as one page.

Modules are imported when a name is first used. A plain installation opens a run and reads its
attributes; the statistics, plots and the report need the extra `analysis`.
"""

from typing import TYPE_CHECKING, Any

from distsnn.analysis.run import Run, SpikeArrays, open_run
from distsnn.extras import load
from distsnn.public_api import no_such_name

if TYPE_CHECKING:
    from distsnn.analysis.html_report import write_report
    from distsnn.analysis.plots import raster, summary
else:
    _HOMES = {"raster": "plots", "summary": "plots", "write_report": "html_report"}

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise no_such_name(__name__, name)
        return load(f"{__name__}.{_HOMES[name]}", name, "analysis")


__all__ = ["Run", "SpikeArrays", "open_run", "raster", "summary", "write_report"]
