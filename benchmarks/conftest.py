"""For kernels' benchmarks: times per element, told at the end as pytest-benchmark has no column."""

import pytest

LINES = pytest.StashKey[list[tuple[str, str, float]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start with no lines."""
    config.stash[LINES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the times per element."""
    lines = terminalreporter.config.stash[LINES]
    if not lines:
        return
    terminalreporter.section("ns per element (median)")
    width = max(len(name) for name, _, _ in lines)
    for name, element, nanoseconds in lines:
        terminalreporter.write_line(f"{name.ljust(width)} {nanoseconds:8.2f} ns / {element}")
