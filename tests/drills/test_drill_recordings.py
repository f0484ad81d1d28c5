"""Recordings that are taken away, swapped, closed or oddly named."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, TALK, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]
    Seen = Callable[[object], None]

SENTENCE = AUDIO / "sentence.wav"
# Root reads everything, unless it has no capabilities.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def queued(program: Make, name: str, *prefix: str) -> Program:
    """A program with a recording that waits."""
    daemon = program(start=False)
    daemon.start(*prefix)
    daemon.ctl("pause")
    daemon.drop(SENTENCE, name)
    daemon.wait(name, "queued")
    return daemon


@pytest.mark.fault(29)
@pytest.mark.parametrize("inplace", [False, True])
def test_written_slowly(program: Make, inplace: bool) -> None:
    """a recording that is copied slowly, or written over an earlier one in its place
    -> it is not read before it has stayed the same for `settle`; all of it is transcribed"""
    daemon = program()
    daemon.ctl("pause")
    if inplace:
        daemon.drop(AUDIO / "speech.mp3", "talk.wav")
        daemon.wait("talk.wav", "queued")
    settle(daemon, "0.2s", "1h")
    before = daemon.job("talk.wav")
    content = SENTENCE.read_bytes()
    piece = len(content) // 4 + 1
    for start in range(0, len(content), piece):
        with (daemon.inbox / "talk.wav").open("r+b" if start or inplace else "wb") as file:
            file.seek(start)
            file.write(content[start : start + piece])
        (daemon.root / f"calm/{start}.wav").write_bytes(b"%d" % start)
        daemon.wait(f"{start}.wav", "queued")  # meanwhile
        wait_for(lambda: explained(daemon, "talk.wav") == "settling", "it has been seen")
        assert daemon.job("talk.wav") == before
    with (daemon.inbox / "talk.wav").open("r+b") as file:
        file.truncate(len(content))
    daemon.dropped[b"talk.wav"] = content
    settle(daemon, "1h", "0.2s")
    wait_for(lambda: explained(daemon, "talk.wav") == "queued", "it is taken")
    daemon.ctl("resume")
    assert daemon.wait("talk.wav", "completed")["failures"] == 0


def explained(daemon: Program, name: str) -> str:
    state: str = daemon.ctl("explain", daemon.inbox / name)["state"]
    return state


def settle(daemon: Program, before: str, after: str) -> None:
    """Have the inbox wait so long from now on."""
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace(f'settle = "{before}"', f'settle = "{after}"', 1))
    reloads = daemon.said("reloaded the configuration")
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.said("reloaded the configuration") > reloads, "the reload")


@pytest.mark.fault(31)
def test_deleted_while_it_is_queued(program: Make, seen: Seen) -> None:
    """a recording that is deleted while it is queued
    -> `source_missing`; it is done once it is put back"""
    daemon = queued(program, "talk.wav")
    (daemon.inbox / "talk.wav").rename(daemon.root / "away")
    daemon.ctl("resume")
    seen(daemon.wait("talk.wav", "failed")["error"]["code"])
    assert daemon.job("talk.wav")["error"]["code"] == "source_missing"  # type: ignore[index]
    (daemon.root / "away").rename(daemon.inbox / "talk.wav")
    daemon.wait("talk.wav", "completed")


@pytest.mark.fault(31)
@pytest.mark.parametrize("late", [False, True])
def test_renamed_while_it_is_queued(program: Make, late: bool) -> None:
    """a recording that is renamed while it is queued, also after it was missed
    -> its job goes on under the new name, and no other is about it"""
    daemon = queued(program, "REC001.wav")
    if late:
        (daemon.inbox / "REC001.wav").rename(daemon.root / "away")
        daemon.ctl("resume")
        daemon.wait("REC001.wav", "failed")
        (daemon.root / "away").rename(daemon.inbox / "talk.wav")
    else:
        (daemon.inbox / "REC001.wav").rename(daemon.inbox / "talk.wav")
        daemon.wait("talk.wav", "queued")
        daemon.ctl("resume")
    daemon.dropped[b"talk.wav"] = daemon.dropped.pop(b"REC001.wav")
    daemon.wait("talk.wav", "completed")
    assert [job["path"] for job in daemon.jobs()] == ["talk.wav"]


@pytest.mark.fault(32)
@pytest.mark.parametrize("swapped", ["file", "folder"])
def test_a_link_to_a_private_file(program: Make, swapped: str) -> None:
    """a link to a private file, swapped in for a queued recording or its folder
    -> it is not followed, nothing of the file is read, the recording is done when it is back"""
    daemon = queued(program, "new/talk.wav")
    (daemon.root / "private").mkdir()
    secret = daemon.root / "private/talk.wav"
    secret.write_bytes((AUDIO / "speech.mp3").read_bytes())
    os.utime(secret, (0, 0))
    place = daemon.inbox / ("new/talk.wav" if swapped == "file" else "new")
    place.rename(daemon.root / "away")
    place.symlink_to(secret if swapped == "file" else secret.parent)
    daemon.ctl("resume")
    assert daemon.wait("new/talk.wav", "failed")["error"]["code"] == "not_regular"
    assert daemon.files() == []
    assert secret.stat().st_atime == 0
    place.unlink()
    (daemon.root / "away").rename(place)
    os.utime(daemon.inbox / "new/talk.wav")
    daemon.wait("new/talk.wav", "completed")


@pytest.mark.fault(34)
@pytest.mark.parametrize("closed", ["talk.wav", "new", "new/deep"])
def test_closed_while_it_is_queued(program: Make, closed: str, seen: Seen) -> None:
    """a recording that can't be read, or is in a folder that is closed
    -> `unreadable`; it is done once permissions change, wherever that was"""
    name = "talk.wav" if closed == "talk.wav" else "new/deep/talk.wav"
    daemon = queued(program, name, *POWERLESS)
    place = daemon.inbox / closed
    mode = place.stat().st_mode
    place.chmod(0)
    daemon.ctl("resume")
    job = daemon.wait(name, "failed")
    assert job["error"]["code"] == "unreadable"
    place.chmod(mode)
    assert daemon.wait(name, "completed")["id"] == job["id"]
    seen(f"{job['error']['code']}, then completed")


@pytest.mark.fault(35)
def test_odd_names(program: Make, seen: Seen) -> None:
    """names that are no UTF-8, of 255 bytes, with line breaks, different only in case, hidden in
    one another -> each is done, with files of its own"""
    names = [
        *(b"\xff\xfe.wav", b"two\nlines.wav", b"n" * 251 + b".wav", b"n" * 250 + b"m.wav"),
        *(b"Talk.wav", b"talk.wav", b"TALK.WAV", b"talk.Wav", b" .wav", b"-rf.wav", b"%s.wav"),
        *(b"e\xcc\x81.wav", b"\xc3\xa9.wav", b"a'b\"c.wav", b"\xe2\x80\xae.wav", b"talk.wav.wav"),
    ]
    daemon = program()
    for name in names:
        with open(os.path.join(os.fsencode(daemon.root / "calm"), name), "wb") as file:
            file.write(SENTENCE.read_bytes())

    def ended() -> bool:
        states = [job["state"] for job in daemon.jobs()]
        return states == ["completed"] * len(names)

    wait_for(ended, "all of them")
    made = os.listdir(os.fsencode(daemon.root / "calm-out"))
    by_kind = {kind: sum(name.endswith(kind) for name in made) for kind in (b".json", b".txt")}
    assert by_kind == {b".json": len(names), b".txt": len(names)}
    assert not [name for name in made if len(name) > 255]
    daemon.drop(TALK, "talk.opus")  # and the others go on
    daemon.wait("talk.opus", "completed")
    seen(f"{len(names)} names, {len(made)} files")
