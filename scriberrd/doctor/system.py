"""What the system gives: the unit, limits of the kernel, and whether the socket answers."""

from __future__ import annotations

import http.client
import os
import re
import resource
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd.doctor.report import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.config import Config
    from scriberrd.doctor.service import Service

PATIENCE = 10.0  # seconds for an answer
WATCHES, INSTANCES = 65536, 64  # of inotify
FILES = 4096  # that may be open
EXPOSED = 4.0  # of 10: systemd-analyze calls more of it a medium exposure
TRUE = {"yes", "true", "on", "1"}
# Settings of a unit that harm, and why.
HARMFUL = {
    "MemoryDenyWriteExecute": ("problem", "transcripts are silently wrong under it: remove it"),
    "PrivateUsers": ("warning", "it hides who a client is, so everybody is refused: remove it"),
}


def unit(service: Service | None) -> Iterator[Line]:
    """The installed unit, and how exposed it is."""
    if service is None:
        what = "none is installed; `sudo scriberrd install` puts one in place, or `install --user`"
        yield Line("unit", "ok", what)
        return
    yield Line("unit", "ok", f"{service.file}, for user {service.user}")
    for key, (state, why) in HARMFUL.items():
        if service.settings.get(key, [""])[-1].lower() in TRUE:
            yield Line("unit", "problem" if state == "problem" else "warning", f"{key}=yes", why)
    if "pid" in service.settings.get("ProcSubset", []):
        what = "ProcSubset=pid may halve the speed of onnxruntime"
        yield Line("unit", "warning", what, "remove it")
    if shutil.which("systemd-analyze") is None:
        return
    # Offline: the file as it is, with its drop-ins; no manager need run.
    said = _output("systemd-analyze", "security", "--offline=true", "--no-pager", service.file)
    if score := re.search(r"Overall exposure level .*: ([\d.]+)", said):
        exposed = float(score[1]) > EXPOSED
        advice = "compare it with the shipped unit, and see docs/systemd.md" if exposed else ""
        what = f"exposure {score[1]} of 10 by systemd-analyze security"
        yield Line("unit", "warning" if exposed else "ok", what, advice)


def limits(root: Path = Path("/")) -> Iterator[Line]:
    """What the kernel allows.

    Args:
        root: where `/proc` is.
    """
    kernel = root / "proc/sys/fs/inotify"
    for name, least in (("max_user_watches", WATCHES), ("max_user_instances", INSTANCES)):
        try:
            number = int((kernel / name).read_text())
        except (OSError, ValueError):
            advice = "inboxes are looked at again and again instead"
            yield Line("inotify", "warning", f"{name} can't be read", advice)
            continue
        small = number < least
        advice = f"sysctl fs.inotify.{name}={least * 8}, kept in /etc/sysctl.d/" if small else ""
        yield Line("inotify", "warning" if small else "ok", f"{name} is {number}", advice)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    endless = hard == resource.RLIM_INFINITY
    few = not endless and hard < FILES
    yield Line(
        "descriptors",
        "warning" if few else "ok",
        f"up to {'any number of' if endless else hard} open files, for whom `doctor` runs as",
        f"set LimitNOFILE={FILES} or more in the unit" if few else "",
    )


def api(config: Config, *, running: bool, service: Service | None) -> Line:
    """Whether the daemon answers.

    Args:
        config: where its socket is.
        running: a daemon uses the state directory. Otherwise nobody is asked: under socket
            activation the question would start it.
        service: the installed unit.
    """
    path = config.daemon.socket
    if not running:
        start = "scriberrd run" if service is None else f"{service.systemctl} start scriberrd"
        return Line("daemon", "warning", "not running", f"`{start}` starts it")
    connection = http.client.HTTPConnection("scriberrd", timeout=PATIENCE)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(path)
        connection.request("GET", "/v1/health")
        status = connection.getresponse().status
    except OSError as error:
        restart = service and f"{service.systemctl} restart scriberrd.socket"
        again = f"`{restart}`" if restart else "start the daemon anew"
        what = f"it runs, but {path} does not answer: {error.strerror or error}"
        return Line("daemon", "problem", what, again)
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        advice = "see the journal: journalctl -u scriberrd"
        return Line("daemon", "problem", f"{path} answers with status {status}", advice)
    return Line("daemon", "ok", f"it answers at {path}")


def _output(*command: object) -> str:
    try:
        done = subprocess.run(
            [os.fspath(one) if isinstance(one, Path) else str(one) for one in command],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def gpus() -> list[str]:
    """Each GPU as NVIDIA's driver tells: name, compute capability, version of the driver."""
    said = _output(
        "nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"
    )
    return [line.strip() for line in said.splitlines() if line.count(",") >= 2]  # noqa: PLR2004 - three fields
