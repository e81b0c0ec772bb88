"""The kernel cache: folders that others could change are refused, corrupt files compiled again."""

import errno
import os
import pickle
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_ci import IN_CI

from distsnn import jit, kernel_cache
from distsnn.codegen.modules import load
from distsnn.errors import UsageError

OTHER_USER = 65534

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not IN_CI, reason="only root gives a folder to another user"
)


def directory(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache folder of a process that starts with this base."""
    monkeypatch.setenv("DISTSNN_CACHE_DIR", str(base))
    return kernel_cache.cache_directory.__wrapped__()


def default_directory(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DISTSNN_CACHE_DIR", raising=False)
    return kernel_cache.cache_directory.__wrapped__()


def refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with pytest.raises(UsageError, match="so its code is not run") as caught:
        directory(base, monkeypatch)
    message = str(caught.value)
    assert "allowed: a folder of" in message and "DISTSNN_CACHE_DIR" in message
    return message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty cache folder that kernels of this test use."""
    made = directory(tmp_path / "base", monkeypatch)
    monkeypatch.setattr(kernel_cache, "cache_directory", lambda: made)
    return made


def test_folders_are_made_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        made = directory(tmp_path / "new" / "base", monkeypatch)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (made, made.parent)] == [0o700, 0o700]


def test_default_folder_made_with_umask_002_is_taken_from_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "distsnn" / "peers").mkdir(parents=True)
    (tmp_path / "distsnn").chmod(0o775)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = default_directory(monkeypatch)
    assert made.parent == tmp_path / "distsnn"
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o755
    made.parent.chmod(0o777)
    with pytest.raises(UsageError, match="can be written by other users"):
        default_directory(monkeypatch)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702, 0o1777])
@pytest.mark.parametrize("inner", [False, True])
def test_folder_that_others_can_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, inner: bool
) -> None:
    base = tmp_path / "base"
    place = directory(base, monkeypatch) if inner else base
    place.mkdir(exist_ok=True)
    place.chmod(mode)
    message = refused(base, monkeypatch)
    assert message.startswith(f"{place}: ")
    assert "can be written by other users" in message
    assert f"({os.geteuid()}), mode {mode:04o}" in message


@needs_root
@pytest.mark.parametrize("inner", [False, True])
def test_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: bool
) -> None:
    # he was first in a folder that all may write to
    base = tmp_path / "base"
    place = base / kernel_cache.fingerprint() if inner else base
    place.mkdir(0o700, parents=True)
    os.chown(place, OTHER_USER, OTHER_USER)
    message = refused(base, monkeypatch)
    assert message.startswith(f"{place}: ")
    assert "belongs to another user" in message and f"({OTHER_USER}), mode 0700" in message


def test_link_in_place_of_the_inner_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / "base").mkdir(0o700)
    link = tmp_path / "base" / kernel_cache.fingerprint()
    link.symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refused(tmp_path / "base", monkeypatch)


def test_own_link_to_the_base_may_lead_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir(0o700)
    (tmp_path / "base").symlink_to("scratch")
    directory(tmp_path / "base", monkeypatch)
    assert (tmp_path / "scratch" / kernel_cache.fingerprint()).is_dir()
    (tmp_path / "scratch").chmod(0o777)
    refused(tmp_path / "base", monkeypatch)


@needs_root
def test_link_of_another_user_to_a_folder_of_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours").mkdir(0o700)
    (tmp_path / "base").symlink_to("ours")
    os.chown(tmp_path / "base", OTHER_USER, OTHER_USER, follow_symlinks=False)
    assert "is a link" in refused(tmp_path / "base", monkeypatch)
    assert list((tmp_path / "ours").iterdir()) == []


def test_folder_exchanged_after_the_start_is_refused(folder: Path, tmp_path: Path) -> None:
    kernel_cache.folder().write("one.nbc", b"ours")
    folder.rename(tmp_path / "away")
    (tmp_path / "theirs").mkdir(0o700)
    folder.symlink_to(tmp_path / "theirs")
    for use in (
        lambda: kernel_cache.folder().read("one.nbc"),
        lambda: kernel_cache.folder().write("a", b""),
    ):
        with pytest.raises(UsageError, match="is a link"):
            use()
    assert list((tmp_path / "theirs").iterdir()) == []


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(position: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(position * (len(data) - 1))] ^= 4
        path.write_bytes(data)

    return change


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def only_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:49])


def without_checksum(path: Path) -> None:
    path.write_bytes(pickle.dumps(("a pickle of", "another program")))


def for_all(path: Path) -> None:
    path.chmod(0o666)


DAMAGES = [
    *(truncate, empty, lengthen, only_head, without_checksum, for_all),
    *(pytest.param(flip(part), id=f"flip at {part}") for part in (0.0, 0.001, 0.3, 1.0)),
]


def thrice(x):
    return 3.0 * x


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_named_and_compiled_again(
    folder: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert jit.kernel(thrice)(2.0) == 6.0
    (file,) = folder.glob("*.nbc")
    damage(file)
    again: Any = jit.kernel(thrice)
    assert again(2.0) == 6.0
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith(f"distsnn: {file}: this file of compiled kernels ")
    assert message.endswith("; the kernel is compiled again")
    reads: Any = jit.kernel(thrice)
    assert reads(2.0) == 6.0
    assert capsys.readouterr().err == ""
    assert [sum(one.stats.cache_hits.values()) for one in (again, reads)] == [0, 1]
    assert list(folder.iterdir()) == [file]


@needs_root
def test_file_that_another_user_left_is_not_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel_cache.folder().write("one.nbc", b"theirs")
    os.chown(folder / "one.nbc", OTHER_USER, OTHER_USER)
    assert kernel_cache.folder().read("one.nbc") is None
    assert "could have been written by another user" in capsys.readouterr().err


def test_a_full_disk_is_an_error_that_names_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*paths: str, **folders: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match=r"one.nbc: .*\(No space left on device\)"):
        kernel_cache.folder().write("one.nbc", b"content")
    assert list(folder.iterdir()) == []


def test_a_user_without_a_home_is_told_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(UsageError, match=r"no home folder\).*DISTSNN_CACHE_DIR"):
        default_directory(monkeypatch)


def test_signatures_have_a_file_each(folder: Path) -> None:
    compiled: Any = jit.kernel(thrice)
    assert (compiled(2.0), compiled(np.float32(2.0))) == (6.0, 6.0)
    assert len(list(folder.iterdir())) == 2
    reads: Any = jit.kernel(thrice)
    assert (reads(2.0), reads(np.float32(2.0))) == (6.0, 6.0)
    assert sum(reads.stats.cache_hits.values()) == 2


def test_ranks_that_save_at_once_lose_nothing(folder: Path) -> None:
    content = {f"{name}.nbc": os.urandom(100_000) for name in range(4)}
    gate, wrong = threading.Barrier(8), []

    def rank() -> None:
        gate.wait()
        for _ in range(10):
            for name, data in content.items():
                kernel_cache.folder().write(name, data)
                if kernel_cache.folder().read(name) != data:
                    wrong.append(name)

    ranks = [threading.Thread(target=rank) for _ in range(8)]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join()
    assert wrong == []
    assert sorted(one.name for one in folder.iterdir()) == sorted(content)


def test_partial_files_of_killed_processes_are_removed_a_day_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = directory(tmp_path, monkeypatch)
    with monkeypatch.context() as killed:
        killed.setattr(kernel_cache, "cache_directory", lambda: folder)
        killed.setattr(os, "replace", lambda *_, **__: None)
        for name in ("old.nbc", "new.nbc"):
            kernel_cache.folder().write(name, b"code")
    (folder / "old.nbc").touch()
    day_before = time.time() - 24.5 * 3600
    for one in folder.glob("old*"):
        os.utime(one, (day_before, day_before))
    assert len(list(folder.iterdir())) == 3
    assert directory(tmp_path, monkeypatch) == folder
    left, kept = sorted(one.name for one in folder.iterdir())
    assert left.startswith("new.nbc.") and kept == "old.nbc"


def test_generated_modules_have_no_file_that_could_be_changed(folder: Path) -> None:
    module = load("def f(x):\n    return 1 / x\n")
    assert list(folder.iterdir()) == []
    assert load("def f(x):\n    return 1 / x\n") is module
    with pytest.raises(ZeroDivisionError) as caught:
        module.f(0)
    assert str(caught.traceback[-1].statement).strip() == "return 1 / x"
