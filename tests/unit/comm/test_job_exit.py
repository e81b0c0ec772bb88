import sys

import pytest
from thread_ranks import run

from distsnn.comm import Communicator, SingleProcess, collective_phase, run_job
from distsnn.errors import DescriptionError, DistsnnError, StoreError

NO_FILE = StoreError("cannot be created", path="/run.zarr")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DescriptionError("no neurons", where="population 'E'"), 2, "population 'E': no neurons"),
        (NO_FILE, 2, "/run.zarr: cannot be created"),
        (DistsnnError("diverged"), 1, "diverged"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit("usage: ..."), 1, "usage: ..."),
    ],
)
def test_known_errors_give_their_code_and_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    def main() -> None:
        raise error

    assert run_job(SingleProcess(), main) == code
    captured = capsys.readouterr()
    assert captured.err == f"distsnn: {message}\n"
    assert captured.out == ""


def test_unexpected_error_is_a_message_first_and_a_traceback_after(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main() -> None:
        with collective_phase(SingleProcess(), "dividing"):
            print(1 // 0)

    assert run_job(SingleProcess(), main) == 1
    first, second, *remaining = capsys.readouterr().err.splitlines()
    assert first.startswith("distsnn: unexpected ZeroDivisionError: ")
    assert __file__ in "\n".join(remaining)
    assert second.startswith("Traceback")
    assert remaining[-1] == "while dividing"


@pytest.mark.parametrize(
    ("returned", "code"), [(None, 0), (0, 0), (3, 3), (256, 1), (-1, 255), (512 + 4, 4)]
)
def test_returned_codes(returned: int | None, code: int) -> None:
    assert run_job(SingleProcess(), lambda: returned) == code


@pytest.mark.parametrize(("argument", "code"), [(None, 0), (0, 0), (2, 2)])
def test_sys_exit_is_silent(
    capsys: pytest.CaptureFixture[str], argument: int | None, code: int
) -> None:
    assert run_job(SingleProcess(), lambda: sys.exit(argument)) == code
    assert capsys.readouterr().err == ""


def test_job_has_one_code_and_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    def main(ranks: Communicator) -> int:
        def body() -> None:
            with collective_phase(ranks, "opening"):
                if ranks.rank == 1:
                    raise NO_FILE
                if ranks.rank == 2:
                    raise ValueError("another")

        return run_job(ranks, body)

    results, aborted = run(4, main)
    assert results == [2, 2, 2, 2]
    assert aborted is None
    assert capsys.readouterr().err == "distsnn: rank 1: /run.zarr: cannot be created\n"


def test_rank_that_fails_alone_aborts_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distsnn.comm.supervision.job_exit._TIMEOUT_S", 0.2)

    def main(ranks: Communicator) -> int:
        def body() -> None:
            if ranks.rank == 1:
                # not one on which other ranks agreed before
                raise StoreError("cannot be created", path="/run.zarr")
            ranks.barrier()

        return run_job(ranks, body)

    _, aborted = run(2, main)
    assert aborted == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "distsnn: rank 1: /run.zarr: cannot be created"


def test_rank_that_is_done_waits_for_one_that_fails_later(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main(ranks: Communicator) -> int:
        def body() -> None:
            if ranks.rank == 1:
                raise KeyboardInterrupt

        return run_job(ranks, body)

    results, aborted = run(3, main)
    assert results == [130, 130, 130]
    assert aborted is None
    assert capsys.readouterr().err == "distsnn: interrupted\n"
