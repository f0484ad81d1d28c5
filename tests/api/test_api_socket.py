from __future__ import annotations

import grp
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scriberrd.api.socket import listening
from scriberrd.errors import ConfigError


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "run" / "s"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_group_may_use_it_and_nobody_else(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with listening(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(before)
    assert not path.exists()


def test_it_is_never_wider_not_even_before_it_listens(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    chmod = Path.chmod
    monkeypatch.setattr(
        Path, "chmod", lambda self, mode: (seen.append(self.stat().st_mode), chmod(self, mode))[1]
    )
    before = os.umask(0)
    try:
        with listening(path):
            pass
    finally:
        os.umask(before)
    assert [stat.S_IMODE(mode) for mode in seen] == [0o660]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to any group")
def test_its_group_may_be_another_one_and_change(path: Path) -> None:
    with listening(path, "daemon") as listener:
        assert path.stat().st_gid == grp.getgrnam("daemon").gr_gid
        assert not listener.lost()
        path.unlink()
        listener.again().close()
        assert path.stat().st_gid == grp.getgrnam("daemon").gr_gid
        path.unlink()
        listener.share("")  # a reload comes before it is seen that the file is gone
        assert listener.lost()
        listener.again().close()
        assert path.stat().st_gid == os.getegid()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_group_that_it_may_not_have_is_said(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    code = f"""
import os
from pathlib import Path
from scriberrd.api.socket import listening
os.chdir({str(path.parent)!r})
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
with listening(Path("s"), "daemon"):
    pass
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    said = "api.group: can't give the socket to daemon: Operation not permitted; have"
    assert said in done.stderr


def test_what_an_earlier_daemon_left_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with listening(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is no socket"), listening(path):
        pass
    assert path.read_text() == "mine"


def test_the_socket_of_a_successor_is_left_alone(path: Path) -> None:
    with listening(path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 108)
    complaint = r"daemon\.socket: .* has \d+ bytes, .* at most 107"
    with pytest.raises(ConfigError, match=complaint), listening(path):
        pass


def test_a_folder_that_can_not_be(path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(ConfigError, match=r"daemon\.socket"), listening(path):
        pass


PASSED = """
import os, socket, sys
path, count = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
os.dup2(server.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())}
command = [sys.executable, "-c", os.environ["THEN"], path]
os.execv(sys.executable, command)
"""
INHERITED = """
import os, sys, socket
from pathlib import Path
from scriberrd.api.socket import listening
from scriberrd.errors import ConfigError
path = Path(sys.argv[1])
with listening(Path("/elsewhere")) as listener:
    assert "LISTEN_FDS" not in os.environ
    assert not os.get_inheritable(listener.socket.fileno())
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    assert listener.socket.accept()
    path.chmod(0o600)
    assert not listener.lost()
    if sys.argv[2:] == ["removed"]:
        path.unlink()
        assert listener.lost()
        try:
            listener.again()
        except ConfigError as error:
            print(error)
assert path.exists() != (sys.argv[2:] == ["removed"])
"""


def inheriting(path: Path, then: str, count: int = 1) -> subprocess.CompletedProcess[str]:
    path.parent.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", PASSED, str(path), str(count)],
        env=os.environ | {"THEN": then},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_socket_of_systemd_is_taken_and_left(path: Path) -> None:
    done = inheriting(path, INHERITED)
    assert done.returncode == 0, done.stderr
    assert f"listening at {path}, as systemd says" in done.stderr


def test_who_makes_the_socket_of_systemd_anew(path: Path) -> None:
    done = inheriting(path, INHERITED.replace("sys.argv[2:]", '["removed"]'))
    assert done.returncode == 0, done.stderr
    manager = "systemctl" if os.geteuid() == 0 else "systemctl --user"
    assert done.stdout == (
        f"the socket {path} was removed: `{manager} restart scriberrd.socket` makes it anew\n"
    )


def test_the_socket_of_systemd_may_be_gone_at_the_start(path: Path) -> None:
    gone = """
import sys
from pathlib import Path
from scriberrd.api.socket import listening
path = Path(sys.argv[1])
path.unlink()
with listening(path, "daemon") as listener:
    assert listener.lost()
    listener.share("no-such-group")
    path.touch()
    assert listener.lost()
"""
    done = inheriting(path, gone)
    assert (done.returncode, done.stderr) == (0, "api.group: there is no group no-such-group\n")


def test_what_was_handed_to_another_is_not_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    with listening(path):
        assert path.exists()
