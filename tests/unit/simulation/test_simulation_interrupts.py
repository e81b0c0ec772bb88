"""Signals: noted while a network runs, acted upon at once while it is built."""

import os
import signal
import sys
import threading

import pytest

from distsnn.simulation.interrupts import Interrupts


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted_and_the_second_acts(number: int) -> None:
    interrupts = Interrupts()
    before = signal.getsignal(number)
    with interrupts.noted():
        assert not interrupts.wished
        send(number)
        assert interrupts.wished
        with pytest.raises(KeyboardInterrupt):
            send(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_acts_at_once(number: int) -> None:
    interrupts = Interrupts()
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interrupts.acting():
        send(number)
        raise AssertionError("went on")
    assert signal.getsignal(number) is before


def test_compiler_that_fails_after_an_interrupt_was_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts().acting():
        try:
            send()
        except KeyboardInterrupt:
            raise RuntimeError("no compiled object yet") from None


def test_interrupt_that_was_lost_comes_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    class Lost:
        def __del__(self) -> None:
            send()

    hook = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), Interrupts().acting():
        Lost()  # an exception in __del__ goes to the hook and no further
    assert sys.unraisablehook is hook
    assert capsys.readouterr().err == ""


def test_other_lost_exceptions_are_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: shown.append(lost.exc_type))

    class Lost:
        def __del__(self) -> None:
            raise ValueError

    with Interrupts().acting():
        Lost()
    assert shown == [ValueError]


def test_error_without_an_interrupt_stays_itself() -> None:
    with pytest.raises(ValueError, match="own"), Interrupts().acting():
        raise ValueError("own")


def test_other_threads_have_no_signals() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def body() -> None:
        with Interrupts().noted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]
