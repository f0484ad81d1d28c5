"""The service in a real systemd: what an administrator would do to it, and what would befall it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import wave
from typing import TYPE_CHECKING, Any

import pytest
import root
from machine import MODEL
from program import AUDIO, wait_for

from scriberrd.logs.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from machine import Machine

pytestmark = pytest.mark.real
SOCKET = "/run/scriberrd/scriberrd.sock"
CONFIG = "/etc/scriberrd/scriberrd.toml"


def job(machine: Machine, name: str) -> dict[str, Any]:
    listed = machine.run("scriberrctl", "--json", "list").splitlines()
    found = [one for one in map(json.loads, listed) if one["path"] == name]
    return dict(found[0]) if found else {}


def completed(machine: Machine, name: str) -> dict[str, Any]:
    wait_for(lambda: job(machine, name).get("state") == "completed", machine.journal)
    return job(machine, name)


def long(name: str) -> bytes:
    """Two minutes of speech, which no other recording has: finished work would not be redone."""
    new = io.BytesIO()
    with wave.open(str(AUDIO / "sentence.wav")) as source, wave.open(new, "wb") as file:
        file.setparams(source.getparams())
        file.writeframes(source.readframes(source.getnframes()) * 45 + name.encode() * 2)
    return new.getvalue()


def underway(machine: Machine, name: str) -> int:
    """Drop a recording that takes seconds, and wait until a block of it is done."""
    machine.write(f"/srv/slow/{name}", long(name))
    wait_for(lambda: (job(machine, name).get("progress") or {}).get("seconds", 0) > 0, "progress")
    return int(job(machine, name)["id"])


def runs(machine: Machine, id_: int) -> int:
    return len(json.loads(machine.run("scriberrctl", "--json", "show", id_))["executions"])


def pid(machine: Machine) -> int:
    return int(machine.shown("scriberrd", "MainPID"))


def active(machine: Machine) -> None:
    wait_for(lambda: machine.shown("scriberrd", "ActiveState") == "active", "it runs")


@contextlib.contextmanager
def drop_in(machine: Machine, text: str, unit: str = "scriberrd.service") -> Iterator[None]:
    """A unit with something changed, as by `systemctl edit`."""
    name = f"/etc/systemd/system/{unit}.d/test.conf"
    machine.write(name, text)
    machine.run("systemctl", "reset-failed", "scriberrd")  # so many starts are not suspicious here
    try:
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", unit)
        yield
    finally:
        machine.run("rm", "-r", f"/etc/systemd/system/{unit}.d")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", unit)


def test_it_runs_as_it_was_installed(machine: Machine) -> None:
    for unit in ("scriberrd.service", "scriberrd.socket"):
        assert machine.run("systemctl", "is-enabled", unit) == "enabled\n"
        assert machine.run("systemctl", "is-active", unit) == "active\n"
    assert " is ready" in machine.journal()
    assert machine.run("systemd-analyze", "verify", "--man=no", "scriberrd.service") == ""
    again = machine.run("scriberrd", "install")
    assert "write" not in again
    assert "systemctl restart scriberrd" in again


def test_whose_everything_is(machine: Machine) -> None:
    expected = {
        "/srv/recordings": "scriberrd scriberrd 2770",
        "/srv/transcripts": "scriberrd scriberrd 2770",
        "/var/lib/scriberrd": "scriberrd scriberrd 700",
        "/var/cache/scriberrd": "scriberrd scriberrd 700",
        "/var/log/scriberrd": "scriberrd scriberrd 750",
        "/run/scriberrd": "scriberrd scriberrd 755",
        SOCKET: "scriberrd scriberrd 660",
        CONFIG: "root root 644",
        "/etc/systemd/system/scriberrd.service": "root root 644",
    }
    stat = machine.run("stat", "--format=%n %U %G %a", *expected)
    assert dict(line.split(" ", 1) for line in stat.splitlines()) == expected
    # Whoever can write a model for telling speakers apart runs code as the daemon.
    models = "/var/cache/scriberrd/huggingface"
    machine.run("install", "-d", "-o", "scriberrd", "-g", "scriberrd", "-m", "770", models)
    machine.refused("touch", f"{models}/new", user="anna")


def test_scores(machine: Machine) -> None:
    strict, no_network = documented("ProtectSystem=strict"), documented("IPAddressDeny=any")
    for overall, text in ((2.2, ""), (1.5, strict), (0.7, strict + no_network)):
        with drop_in(machine, text):
            said = machine.run("systemd-analyze", "security", "--no-pager", "scriberrd.service")
            score = re.search(r"exposure level for \S+: ([\d.]+)", said)
            assert score is not None
            assert float(score[1]) <= overall
            # A real worker with a real model lives under it.
            name = f"{overall}.wav"
            machine.write(f"/srv/recordings/{name}", (AUDIO / "sentence.wav").read_bytes())
            completed(machine, name)
            text_there = machine.files / f"srv/transcripts/{overall}.txt"
            assert text_there.read_text() == "The train to Madrid leaves at twelve twenty.\n"


def documented(first: str) -> str:
    """The drop-in that begins with this."""
    text = (root.SOURCE / "docs/systemd.md").read_text("utf-8")
    (found,) = re.findall(rf"```ini\n(\[Service\]\n{first}\n.*?)```", text, re.DOTALL)
    return str(found)


def test_members_of_the_group_drop_and_submit(machine: Machine) -> None:
    for name, source in (("dropped.m4a", "speech.m4a"), ("talk.opus", "speech.opus")):
        machine.write(f"/home/anna/{name}", (AUDIO / source).read_bytes())
    machine.run("cp", "/home/anna/dropped.m4a", "/srv/recordings", user="anna")
    machine.run("scriberrctl", "submit", "--wait", "/home/anna/talk.opus", user="anna")
    completed(machine, "dropped.m4a")
    for name in ("talk", "dropped"):
        machine.run("cat", f"/srv/transcripts/{name}.txt", user="anna")
        mode = machine.run("stat", "--format=%U %G %a", f"/srv/transcripts/{name}.json")
        assert mode == "scriberrd scriberrd 660\n"


def test_others_are_told_how_to_be_let_in(machine: Machine) -> None:
    said = machine.refused("scriberrctl", "status", user="bob")
    assert 'usermod --append --groups scriberrd "$USER"' in said
    machine.refused("ls", "/srv/recordings", user="bob")
    machine.refused("ls", "/var/lib/scriberrd", user="anna")


def test_who_is_no_member_is_refused_even_at_an_open_socket(machine: Machine) -> None:
    machine.run("chmod", "666", SOCKET)
    try:
        said = machine.refused("scriberrctl", "status", user="bob")
    finally:
        machine.run("chmod", "660", SOCKET)
    assert "sudo usermod -aG scriberrd bob" in said
    assert job(machine, "talk.opus")["submitted_by"]["name"] == "anna"


def test_the_journal_tells_the_life_of_a_recording(machine: Machine) -> None:
    id_ = underway(machine, "journal.wav")
    completed(machine, "journal.wav")
    said = machine.journal(f"JOB_ID={id_}", "INBOX=slow")
    for what in ("queued", "started on worker", "published", "completed"):
        assert f"job {id_} slow/journal.wav: {what}" in said
    assert "talk.opus" not in said
    entries = machine.run("journalctl", "--output=json", f"JOB_ID={id_}").splitlines()
    last = json.loads(entries[-1])
    assert (last["PRIORITY"], last["_SYSTEMD_UNIT"]) == ("6", "scriberrd.service")
    assert last["MESSAGE_ID"] == Event.JOB_COMPLETED.value


def test_a_reload_is_in_force_or_refused(machine: Machine) -> None:
    (id_, before) = underway(machine, "reload.wav"), pid(machine)
    text = (machine.files / CONFIG.lstrip("/")).read_text()
    machine.write(CONFIG, text.replace('"1s"', '"soon"'))
    machine.refused("systemctl", "reload", "scriberrd")
    assert "'soon' is not a duration" in machine.journal()
    machine.write(CONFIG, text)
    machine.run("systemctl", "reload", "scriberrd")
    assert "reloaded the configuration" in machine.journal()
    assert pid(machine) == before
    assert completed(machine, "reload.wav")["id"] == id_


def test_it_comes_back_when_it_is_killed(machine: Machine) -> None:
    id_, before = underway(machine, "killed.wav"), pid(machine)
    machine.kill(before)
    wait_for(lambda: pid(machine) not in {0, before}, "another daemon")
    active(machine)
    assert completed(machine, "killed.wav")["id"] == id_
    assert runs(machine, id_) == 2


def test_a_killed_worker_is_replaced(machine: Machine) -> None:
    id_, before = underway(machine, "worker.wav"), pid(machine)
    workers = json.loads(machine.run("scriberrctl", "--json", "status"))["workers"]
    machine.kill(next(one["pid"] for one in workers if one["job"] == id_))
    assert completed(machine, "worker.wav")["id"] == id_
    assert runs(machine, id_) == 2
    assert pid(machine) == before


def test_the_watchdog_bites(machine: Machine) -> None:
    with drop_in(machine, "[Service]\nWatchdogSec=2\n"):
        before = pid(machine)
        machine.kill(before, "STOP")
        wait_for(lambda: pid(machine) not in {0, before}, "another daemon")
        active(machine)
        assert machine.shown("scriberrd", "NRestarts") == "1"


def test_a_stop_in_mid_job_costs_nothing(machine: Machine) -> None:
    id_ = underway(machine, "stopped.wav")
    machine.run("systemctl", "stop", "scriberrd.service")
    assert machine.shown("scriberrd", "Result") == "success"
    # Whoever asks now starts it again: systemd listens meanwhile.
    assert completed(machine, "stopped.wav")["id"] == id_
    assert runs(machine, id_) == 2
    active(machine)


def test_a_reboot_in_mid_job_costs_nothing(machine: Machine) -> None:
    id_ = underway(machine, "reboot.wav")
    machine.reboot()
    active(machine)
    assert completed(machine, "reboot.wav")["id"] == id_
    assert runs(machine, id_) == 2


def test_no_client_is_refused_during_a_restart(machine: Machine) -> None:
    loop = "for i in $(seq 20); do scriberrctl status > /dev/null || exit; done"
    machine.run("sh", "-c", f"systemctl restart scriberrd & {loop}; wait")


def test_a_socket_that_was_removed(machine: Machine) -> None:
    machine.run("rm", SOCKET)
    advice = "`systemctl restart scriberrd.socket` makes it anew"
    wait_for(lambda: advice in machine.journal(), "advice")
    machine.run("systemctl", "restart", "scriberrd.service")  # which returns when it is ready
    machine.run("systemctl", "restart", "scriberrd.socket")
    active(machine)
    machine.run("scriberrctl", "status")


def test_a_socket_elsewhere(machine: Machine) -> None:
    elsewhere = "/run/scriberrd/elsewhere.sock"
    listens = f"[Socket]\nListenStream=\nListenStream={elsewhere}\n"
    with drop_in(machine, listens, "scriberrd.socket"):
        machine.run("systemctl", "restart", "scriberrd.service")
        machine.run("scriberrctl", "--socket", elsewhere, "status")
    active(machine)


def test_without_the_socket_unit_it_listens_itself(machine: Machine) -> None:
    machine.run("systemctl", "stop", "scriberrd.socket")
    machine.run("systemctl", "disable", "scriberrd.socket")
    link = "/etc/systemd/system/scriberrd.socket"
    machine.run("rm", link)
    machine.run("systemctl", "mask", "scriberrd.socket")
    try:
        assert f"leave {link}, which is masked\n" in machine.run("scriberrd", "install")
        machine.run("systemctl", "start", "scriberrd.service")
        machine.run("scriberrctl", "status")
        machine.run("rm", SOCKET)
        wait_for(lambda: machine.status("scriberrctl", "status") == 0, "a new socket")
        assert "the socket was removed, created it again" in machine.journal()
    finally:
        machine.run("systemctl", "unmask", "scriberrd.socket")
        machine.run("scriberrd", "install")
        machine.run("systemctl", "enable", "scriberrd.service", "scriberrd.socket")
        machine.run("systemctl", "restart", "scriberrd.service")
    assert machine.run("systemctl", "is-active", "scriberrd.socket") == "active\n"


def test_an_upgrade_in_mid_job(machine: Machine) -> None:
    version = f"{root.VENV}/lib/python3.11/site-packages/scriberrd/__init__.py"
    id_ = underway(machine, "upgrade.wav")
    text = (machine.files / version.lstrip("/")).read_text()
    machine.write(version, text.replace('__version__ = "', '__version__ = "99.'))
    machine.run("scriberrd", "install")
    machine.run("systemctl", "restart", "scriberrd")
    assert "scriberrd 99." in machine.run("scriberrctl", "status")
    assert completed(machine, "upgrade.wav")["id"] == id_
    assert runs(machine, id_) == 2
    machine.write(version, text)


def test_root_may_shut_others_out(machine: Machine) -> None:
    unit, page = "/etc/systemd/system/scriberrd.service", "/usr/local/share/man/man1/scriberrd.1"
    folders = ("/etc/scriberrd", "/usr/local/share/man/man1")
    machine.run("chmod", "700", *folders)
    machine.run("chmod", "600", CONFIG, unit, page)
    said = machine.refused("scriberrd", "check")
    assert said == f"{CONFIG}: Permission denied\n"
    said = machine.run("sh", "-c", f"umask 077; rm {unit}; scriberrd install")
    assert f"let everybody read {page}" in said
    modes = machine.run("stat", "--format=%a", *folders, CONFIG, unit, page)
    assert modes.split() == ["755", "755", "644", "644", "644"]
    machine.run("systemctl", "restart", "scriberrd")
    assert "let " not in machine.run("scriberrd", "install")


def test_a_folder_that_is_not_for_the_service_is_told(machine: Machine) -> None:
    machine.run("sh", "-c", "chown root:root /srv/transcripts; chmod 755 /srv/transcripts")
    said = machine.run("scriberrd", "install")
    (cure,) = re.findall(r"^leave /srv/transcripts, .* can't write: (.*)", said, re.MULTILINE)
    machine.run("sh", "-c", cure)
    assert "leave" not in machine.run("scriberrd", "install")


def test_a_user_has_one_of_his_own(machine: Machine) -> None:
    machine.run("loginctl", "enable-linger", "carl")
    wait_for(lambda: machine.status("systemctl", "--user", "status", user="carl") == 0, "manager")
    said = machine.run("scriberrd", "install", "--user", user="carl")
    assert "systemctl --user enable --now scriberrd" in said
    config = "/home/carl/.config/scriberrd/scriberrd.toml"
    text = (machine.files / config.lstrip("/")).read_text()
    for words, ours in (("10s", "0.2s"), ("base", MODEL)):
        text = text.replace(f' = "{words}"\n', f' = "{ours}"\n')
    machine.write(config, text)
    machine.run("systemctl", "--user", "enable", "--now", "scriberrd", user="carl")
    machine.write("/home/carl/Recordings/mine.wav", (AUDIO / "sentence.wav").read_bytes())
    there = machine.files / "home/carl/Transcripts/mine.txt"
    wait_for(there.exists, "a transcript")
    assert "1 completed" in machine.run("scriberrctl", "status", user="carl")
    assert not (machine.files / "home/carl/.config/scriberrd/state").exists()
    assert (machine.files / "home/carl/.local/state/scriberrd/scriberrd.db").exists()
    machine.run("systemctl", "--user", "reload", "scriberrd", user="carl")
    machine.run("scriberrd", "uninstall", "--user", user="carl")
    assert machine.status("systemctl", "--user", "cat", "scriberrd", user="carl") == 1
    assert there.exists()


def test_uninstalling_leaves_all_work(machine: Machine) -> None:  # the last one: it ends it
    own = "/etc/systemd/system/scriberrd.service.d"
    machine.run("mkdir", own)
    said = machine.run("scriberrd", "uninstall")
    assert "userdel scriberrd" in said
    assert f"rm -r {own} " in said
    assert machine.status("systemctl", "cat", "scriberrd.service") == 1
    assert machine.run("systemctl", "list-units", "--no-legend", "scriberrd*") == ""
    for kept in (CONFIG, "/srv/transcripts/dropped.json", "/var/lib/scriberrd/scriberrd.db"):
        machine.run("test", "-e", kept)
    for gone in ("/usr/local/bin/scriberrd", "/etc/sysusers.d/scriberrd.conf", SOCKET):
        machine.refused("test", "-e", gone)
