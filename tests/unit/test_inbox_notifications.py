from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from support import eventually

from scriberrd.inbox.notifications import Notifications

if TYPE_CHECKING:
    from pathlib import Path


async def test_hints_come_again_for_a_root_that_was_replaced(tmp_path: Path) -> None:
    root = tmp_path / "inbox"
    root.mkdir()
    changed = asyncio.Event()
    hints = Notifications(root, recursive=True, changed=changed, loop=asyncio.get_running_loop())
    assert not hints.alive()
    hints.refresh()
    assert hints.alive()
    root.rename(tmp_path / "old")
    root.mkdir()
    hints.refresh()
    assert hints.alive()
    changed.clear()
    (root / "x.wav").touch()
    await eventually(changed.is_set)
    root.joinpath("x.wav").unlink()
    root.rmdir()
    await eventually(lambda: not hints.alive())
    root.mkdir()
    hints.refresh()
    changed.clear()
    (root / "y.wav").touch()
    await eventually(changed.is_set)
    hints.close()
    assert not hints.alive()


def test_the_end_of_any_thread_is_noticed(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    ended = Notifications(tmp_path, recursive=True, changed=asyncio.Event(), loop=cast("Any", None))
    ended.refresh()
    kinds = {type(thread) for thread in set(threading.enumerate()) - before}
    assert len(kinds) == 3
    for kind in kinds:
        (thread,) = (one for one in set(threading.enumerate()) - before if isinstance(one, kind))
        cast("Any", thread).stop()
        thread.join()
        assert not ended.alive(), kind
        ended.refresh()
        assert ended.alive()
    ended.close()
    assert set(threading.enumerate()) == before


async def test_a_notification_after_the_end_of_the_loop_is_harmless(tmp_path: Path) -> None:
    calls: list[object] = []

    class Ended:
        def call_soon_threadsafe(self, *call: object) -> None:
            calls.append(call)
            raise RuntimeError("Event loop is closed")

    loop = cast("asyncio.AbstractEventLoop", Ended())
    hints = Notifications(tmp_path, recursive=False, changed=asyncio.Event(), loop=loop)
    hints.refresh()
    for n in range(3):
        before = len(calls)
        (tmp_path / f"{n}.wav").touch()
        await eventually(lambda before=before: len(calls) > before)
    assert hints.alive()
    hints.close()


OUT_OF_WATCHES = """
import asyncio, logging, pathlib, sys, time
from scriberrd.config import Inbox
from scriberrd.files.folders import Folders
from scriberrd.inbox.watch import Watching, watch

logging.basicConfig(format="%(message)s")
root = pathlib.Path(sys.argv[1])

async def unknown(batch):
    return batch

async def accept(file):
    print(status.state, status.reason)
    sys.stdout.flush()
    task.cancel()

async def main():
    global task, status
    inbox = Inbox(name="inbox", path=root, output=root, settle=0)
    status = Watching()
    task = asyncio.create_task(watch(
        inbox, unknown=unknown, accept=accept, rescan=0.05, clock=time,
        folders=Folders(), status=status))
    while status.state == "starting":
        await asyncio.sleep(0.01)
    (root / "x.wav").touch()
    await asyncio.wait([task])

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("max_inotify_watches", "inotify watch limit reached"),
        ("max_inotify_instances", "inotify instance limit reached"),
    ],
)
def test_without_notifications_the_inbox_is_polled(tmp_path: Path, limit: str, reason: str) -> None:
    """In a user namespace the limits of inotify can be set for one process."""
    for n in range(5):
        (tmp_path / f"{n}").mkdir()
    most = {"max_inotify_watches": 3, "max_inotify_instances": 0}[limit]
    script = f'echo {most} > /proc/sys/user/{limit} && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not permitted")
    done = subprocess.run(
        [*command, sys.executable, "-c", OUT_OF_WATCHES, tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"polling no notifications: {reason}\n", done.stderr
    assert done.stderr == f"inbox inbox: polling: no notifications: {reason}\n"
