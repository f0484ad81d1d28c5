"""`scriberrd install --user` and `init`, as they are typed; tests/systemd has the other way."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import BIN

from scriberrd.installing import places, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Typed = Callable[..., subprocess.CompletedProcess[str]]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "a home").mkdir()
    return tmp_path / "a home"


@pytest.fixture
def typed(home: Path) -> Typed:
    # Another one in PATH would be found, and not be linked.
    names = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    environment = {key: value for key, value in os.environ.items() if key[:4] != "XDG_"} | names

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "scriberrd", *words],
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def files(home: Path) -> set[str]:
    return {str(one.relative_to(home)) for one in home.rglob("*") if not one.is_dir()}


def test_it_puts_all_in_place_once_and_says_it(home: Path, typed: Typed) -> None:
    dry = typed("install", "--user", "--dry-run")
    assert (dry.returncode, dry.stderr, files(home)) == (0, "", set())
    done = typed("install", "--user")
    assert (done.returncode, done.stderr) == (0, "")
    assert dry.stdout.replace("would ", "") == done.stdout
    assert "systemctl --user enable --now scriberrd\n" in done.stdout
    assert files(home) == {
        ".config/scriberrd/scriberrd.toml",
        ".config/systemd/user/scriberrd.service",
        ".config/systemd/user/scriberrd.socket",
        ".local/bin/scriberrctl",
        ".local/bin/scriberrd",
        *(
            f".local/share/{place.format(program)}"
            for program in ("scriberrctl", "scriberrd")
            for place in (
                "man/man1/{}.1",
                "bash-completion/completions/{}",
                "zsh/site-functions/_{}",
                "fish/vendor_completions.d/{}.fish",
            )
        ),
    }
    assert (home / "Recordings").is_dir()
    assert (home / "Transcripts").is_dir()
    again = typed("install", "--user")
    assert again.stdout.startswith("next:")


def test_the_unit_names_real_paths(home: Path, typed: Typed) -> None:
    typed("install", "--user")
    text = (home / ".config/systemd/user/scriberrd.service").read_text()
    config = home / ".config/scriberrd/scriberrd.toml"
    assert f'ExecStart={BIN}/scriberrd run --config "{config}"\n' in text
    assert "User=" not in text
    assert "StateDirectory=" not in text
    if shutil.which("systemd-analyze"):
        units = [home / f".config/systemd/user/scriberrd.{kind}" for kind in ("service", "socket")]
        verify = ["systemd-analyze", "--user", "verify", "--man=no", *units]
        done = subprocess.run(verify, capture_output=True, text=True, check=False)
        assert "scriberrd." not in done.stderr


def test_what_others_wrote_is_kept(home: Path, typed: Typed) -> None:
    config = home / ".config/scriberrd/scriberrd.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[[inbox]]\nname = "a"\npath = "{home}/in"\noutput = "{home}/out"\n')
    unit = home / ".config/systemd/user/scriberrd.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/mine\n")
    done = typed("install", "--user")
    assert f"rename {unit} to scriberrd.service.old" in done.stdout
    assert (home / ".config/systemd/user/scriberrd.service.old").read_text().endswith("/mine\n")
    assert "inbox" in config.read_text()
    assert {one.name for one in home.iterdir() if one.name[0] != "."} == {"in", "out"}
    typed("uninstall", "--user")
    assert config.exists()
    assert not unit.exists()


def test_a_masked_unit_stays_masked_and_is_named(home: Path, typed: Typed) -> None:
    typed("install", "--user")
    unit = home / ".config/systemd/user/scriberrd.socket"
    unit.unlink()
    unit.symlink_to("/dev/null")  # as `systemctl --user mask` does
    own = unit.with_name("scriberrd.service.d")
    own.mkdir()
    done = typed("install", "--user")
    assert done.stdout.startswith(f"leave {unit}, which is masked\nnext:")
    assert unit.readlink() == Path("/dev/null")
    done = typed("uninstall", "--user")
    assert f"rm -r '{unit}' '{own}'    # what you have changed of the units\n" in done.stdout


def test_uninstalling_leaves_all_work(home: Path, typed: Typed) -> None:
    typed("install", "--user")
    (home / "Recordings/talk.wav").write_text("sound")
    done = typed("uninstall", "--user")
    assert (done.returncode, done.stderr) == (0, "")
    assert files(home) == {".config/scriberrd/scriberrd.toml", "Recordings/talk.wav"}
    assert f"rm -r '{home}/.config/scriberrd/scriberrd.toml'" in done.stdout


def test_a_configuration_that_can_not_be_used_stops_it(home: Path, typed: Typed) -> None:
    config = home / "mine.toml"
    config.write_text("[daemon]\nrescan = 'soon'\n")
    done = typed("install", "--user", SCRIBERRD_CONFIG=str(config))
    assert done.returncode == 78
    assert done.stderr.startswith(f"{config}:2: daemon.rescan")
    assert files(home) == {"mine.toml"}


def test_only_root_installs_for_the_system(typed: Typed) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may")
    done = typed("install")
    assert (done.returncode, done.stdout) == (1, "")
    assert "use sudo; or --user" in done.stderr


def test_init_keeps_data_out_of_the_folder_of_configurations(home: Path) -> None:
    there = places.of_user({"HOME": str(home), "XDG_CONFIG_HOME": str(home / "c")})
    assert there.config == home / "c/scriberrd/scriberrd.toml"
    assert there.recordings == "~/Recordings"


def test_init_uses_the_file_that_the_daemon_would(home: Path, typed: Typed) -> None:
    file = home / "elsewhere/mine.toml"
    done = typed("init", SCRIBERRD_CONFIG=str(file))
    created, queue = done.stdout.splitlines()
    assert created == f"created {file}; its inbox is {file.parent}/inbox"
    assert queue.startswith("its queue is in /")
    assert {one.name for one in file.parent.iterdir()} == {"mine.toml", "inbox", "transcripts"}
    assert typed("check", SCRIBERRD_CONFIG=str(file)).returncode == 0


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder in which others than the user of the tests may look."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield Path(place)


@only_root
def test_the_service_and_its_group_may_write_where_it_is_installed(reachable: Path) -> None:
    new = reachable / "srv/recordings"
    for step in steps.folder(new, "daemon"):
        step.do()
    found = new.stat()
    (user, group) = pwd.getpwnam("daemon").pw_uid, grp.getgrnam("daemon").gr_gid
    assert (found.st_uid, found.st_gid, oct(found.st_mode)) == (user, group, "0o42770")
    assert list(steps.folder(new, "daemon")) == []


@only_root
def test_a_folder_in_which_the_service_can_not_write_is_told(reachable: Path) -> None:
    there = reachable / "transcripts"
    there.mkdir(mode=0o755)
    ((said, _),) = steps.folder(there, "daemon")
    cure = f"chgrp daemon {there} && chmod 2770 {there}"
    assert said == f"leave {there}, where user daemon can't write: {cure}"
    subprocess.run(cure, shell=True, check=True)
    assert list(steps.folder(there, "daemon")) == []
    reachable.chmod(0o700)
    ((said, _),) = steps.folder(there, "daemon")
    assert said.endswith(f": {reachable} is closed to it")


def test_what_is_closed_is_opened_to_all(reachable: Path) -> None:
    (reachable / "man").mkdir(mode=0o700)
    page = reachable / "man/page.1"
    page.touch(mode=0o600)
    for step in list(steps.readable(page)):
        step.do()
    assert (page.stat().st_mode & 0o777, page.parent.stat().st_mode & 0o777) == (0o644, 0o755)
    assert list(steps.readable(page)) == []
