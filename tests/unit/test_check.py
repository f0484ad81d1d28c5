"""`scriberrd check`: what can't work on this machine is told before the first recording."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import BIN, MODEL

from scriberrd import config
from scriberrd.toml import key_lines
from scriberrd.work.machine import Machine
from scriberrd.work.resolved import duration, resolve, summary, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = Path(__file__).parent.parent.parent / "config/scriberrd.toml"
TITLES = {"daemon", "api", "inbox[1]", "profile.default", "worker[1]", "retry", "retention"}
TEXT = """
[daemon]
state_dir = "state"
socket = "s"
model_cache = "models"
[[inbox]]
name = "a"
path = "in"
output = "out"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return tmp_path


def check(
    folder: Path, text: str, *options: str, prefix: tuple[str, ...] = (), **environment: str
) -> tuple[int, list[str]]:
    """The exit status, and what is said on stderr, without the name of the file."""
    file = folder / "scriberrd.toml"
    file.write_text(text)
    done = subprocess.run(
        [*prefix, BIN / "scriberrd", "check", *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"SCRIBERRD_CONFIG": str(file)} | environment,
    )
    lines = done.stderr.splitlines()
    assert all(line.startswith(f"{file}:") for line in lines), done
    return done.returncode, [line.removeprefix(f"{file}:") for line in lines]


def test_what_no_model_or_language_or_device_is_has_a_line_and_a_hint(folder: Path) -> None:
    more = f"""
[profile.default]
model = "bas"
fallback_model = "tiny"
language = "xx"
[profile.b]
language = "germn"
languages = ["en", "en-US"]
[profile.c]
model = "tiny.en"
language = "de"
task = "translate"
[profile.d]
model = "./in"
[profile.e]
model = "a/b/c"
[profile.own]
model = "{MODEL}"
[profile.hub]
model = "owner/name"
[[worker]]
name = "gpu"
device = "cuda:99"
[[worker]]
name = "cpu"
device = "cpu"
diarize_device = "cuda:99"
compute_type = "bfloat16"
[profile.speakers]
diarize = "auto"
diarizer = "pyannote"
diarization_model = "{MODEL}"
"""
    status, lines = check(folder, TEXT + more)
    assert status == 78
    for line, start, told in [
        (12, "profile.default.model: no model is called 'bas'; did you mean 'base'?", "owner/name"),
        (14, "profile.default.language: no language has the code 'xx'; a code is like", ""),
        (16, "profile.b.language: no language has the code 'germn'; did you mean 'de'?", ""),
        (17, "profile.b.languages: no language has the code 'en-US'; did you mean 'en'?", ""),
        (20, "profile.c.language: tiny.en understands English only, not 'de'", ""),
        (21, "profile.c.task: tiny.en understands English only, so it can't translate", ""),
        (23, "profile.d.model: the folder lacks model.bin, config.json, ", "no model of"),
        (25, "profile.e.model: 'a/b/c' is no id of the hub", "owner/name"),
        (32, "worker[1].device: 'cuda:99' is not available; usable CUDA devices: ", ""),
        (36, "worker[2].diarize_device: 'cuda:99' is not available; usable CUDA devices: ", ""),
        (37, "worker[2].compute_type: cpu does not support compute_type 'bfloat16'", "auto"),
        (39, "warning: profile.speakers.diarize: ", ""),  # MODEL is none of those
    ]:
        (found,) = [one for one in lines if one.startswith(f"{line}: {start}")]
        assert told in found
    assert len(lines) == 12
    numbers = [int(line.partition(":")[0]) for line in lines]
    assert numbers == sorted(numbers)


def test_one_look_tells_what_is_wrong_in_the_file_and_what_can_not_work(folder: Path) -> None:
    text = """
[daemon]
state_dir = "state"
socket = "~nobody_xx/s"
rescam = 3
[retry]
attempts = 0
[[inbox]]
name = "no output"
path = "none"
profile = "pp"
[[inbox]]
name = "b"
path = "none"
output = "out"
settle = "soon"
[[worker]]
name = "a b"
device = "cuda:99"
[profile.p]
model = "bas"
language = "xx"
beam_size = "many"
[profile.q]
model = "~nobody_xx/m"
language = "xy"
engine = "foo"
[profile.r]
model = 3
language = "xz"
"""
    status, lines = check(folder, text)
    assert status == 78
    starts = [
        "4: daemon.socket: '~nobody_xx/s' is not a valid path",
        "5: daemon.rescam: unknown key; did you mean 'rescan'?",
        "7: retry.attempts: 0 is not a whole number",
        "8: inbox[1].output: missing; set it to a valid path",
        "9: inbox[1].name: 'no output' is not a name",
        "11: inbox[1].profile: there is no profile 'pp'",
        f"14: warning: inbox[2].path: {folder / 'none'} does not exist",
        "16: inbox[2].settle: 'soon' is not a duration",
        "18: worker[1].name: 'a b' is not a name",
        "19: worker[1].device: 'cuda:99' is not available",
        "21: profile.p.model: no model is called 'bas'",
        "22: profile.p.language: no language has the code 'xx'",
        "23: profile.p.beam_size: 'many' is not a whole number",
        "25: profile.q.model: '~nobody_xx/m' is not a valid path",
        "27: profile.q.engine: there is no engine 'foo'",
        "29: profile.r.model: 3 is not a text",
        "30: profile.r.language: no language has the code 'xz'",
    ]
    assert len(lines) == len(starts), lines
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


def test_what_a_model_understands_is_read_from_its_files(folder: Path) -> None:
    known = {"<|en|>": 1, "<|yue|>": 2, "<|endoftext|>": 50256}
    tokens = [{"content": token, "id": number} for token, number in known.items()]
    for name in ("model.bin", "config.json", "vocabulary.json"):
        (folder / "in" / name).write_bytes(b"{}")
    more = '\n[profile.a]\nmodel = "./in"\nlanguage = "{}"'
    for language, end, told in [
        ("de", 50257, "no language has the code 'de'"),
        ("yue", 50257, None),
        ("yue", 50256, "understands English only, not 'yue'"),
        ("en", 50256, None),
    ]:
        tokens[-1]["id"] = end
        (folder / "in/tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
        status, lines = check(folder, TEXT + more.format(language))
        assert status == (0 if told is None else 78), lines
        assert [told in line for line in lines] == ([] if told is None else [True])


def test_places_that_the_daemon_can_not_have_are_told(folder: Path) -> None:
    (folder / "file").touch()
    places = TEXT.replace('"state"', '"file/state"').replace('"models"', '"file"')
    status, lines = check(folder, places.replace('"s"', '"in/../out"'))
    assert status == 78
    starts = ["3: daemon.state_dir: ", "4: daemon.socket: ", "5: warning: daemon.model_cache: "]
    assert len(lines) == 3
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert lines[0].endswith("file is not a folder")
    assert lines[1].endswith("is there already, and is no socket")
    status, lines = check(folder, TEXT.replace('"s"', f'"{"s" * 200}"'))
    assert (status, "a socket's path at most 107" in lines[0]) == (78, True)


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_another_user_can_not_do_is_told(folder: Path) -> None:
    text = TEXT.replace('socket = "s"', "").replace('model_cache = "models"', "")
    done, lines = check(folder, text, prefix=(*NOBODY, *MAY_READ), XDG_RUNTIME_DIR="")
    assert done == 78
    for start in (
        f"3: daemon.state_dir: {folder}/state can't be made in {folder}: ",
        "2: daemon.socket: XDG_RUNTIME_DIR is not set, and /run/user/65534/scriberrd can't be ",
        f"8: warning: inbox[1].path: {folder}/in: can't be read: give the daemon's user access",
        f"9: warning: inbox[1].output: {folder}/out: can't be written: give the daemon's user",
    ):
        assert [line for line in lines if line.startswith(start)], lines


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_looks_as_the_user_of_the_service(folder: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from scriberrd.doctor import service
from scriberrd.errors import ConfigError
unit = service.installed(Path(sys.argv[1]))
try:
    service.become(unit.user, unit)
except ConfigError as error:
    assert "can't run what is installed" in str(error), error
print(os.geteuid(), os.getegid(), 4 in os.getgroups(), os.environ["STATE_DIRECTORY"])
print(os.environ["HF_HOME"], os.environ.get("SECRET"), os.access(sys.argv[2], os.W_OK))
"""
    units = folder / "root/etc/systemd/system"
    (units / "scriberrd.service.d").mkdir(parents=True)
    (units / "scriberrd.service").write_text(
        "[Unit]\nUser=root\n[Service]\nUser=root\nGroup=root\nStateDirectory=scriberrd\n"
        'Environment=HF_HOME=/old "A=b c"\nLoadCredential=hf_token:/etc/token\n'
    )
    (units / "scriberrd.service.d/own.conf").write_text(
        "# comment\n[Service]\nUser=nobody\nGroup=daemon\nSupplementaryGroups=adm\n"
        "Environment=\nEnvironment=HF_HOME=%C/new\n"
    )
    (folder / "in").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "root", folder / "in"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SECRET": "x"},
    )
    expected = "65534 1 True /var/lib/scriberrd\n/var/cache/new None False\n"
    assert (done.stdout, done.stderr) == (expected, "")


ENVIRONMENT = {"STATE_DIRECTORY": "/var/lib/x", "HOME": "/home/x", "HF_HOME": "/cache"}


@pytest.fixture
def loaded(folder: Path) -> Iterator[config.Config]:
    file = folder / "scriberrd.toml"
    file.write_text(
        '[daemon]\nstate_dir = ""\nsocket = "s"\n[retry]\nbackoff = 90\n'
        '[[worker]]\nname = "w"\nthreads = 3\n'
    )
    return config.load(file, ENVIRONMENT)


def test_every_key_is_told_with_its_value_and_where_it_comes_from(
    loaded: config.Config, folder: Path
) -> None:
    machine = Machine(cores=4, memory=10**10, gpu=False)
    rows = resolve(loaded, machine, ENVIRONMENT)
    found: dict[str, Any] = {row.key: (row.value, row.origin) for row in rows}
    for key, expected in {
        "daemon.state_dir": ("/var/lib/x", "$STATE_DIRECTORY"),
        "daemon.socket": (str(folder / "s"), "line 3"),
        "daemon.model_cache": ("/cache/hub", "$HF_HOME"),
        "daemon.rescan": (60, "default"),
        "retry.backoff": (90, "line 5"),
        "worker[1].threads": (3, "line 8"),
        "profile.default.model": ("base", "default"),
    }.items():
        assert found[key] == expected
    assert found["worker[1].count"][1] == "this machine"
    assert found["worker[1].count"][0] >= 1
    lines = list(written(rows))
    assert 'backoff = "90s"  # line 5' in lines
    assert 'max_upload = "4GiB"  # default' in lines
    assert "[[worker]]" in "".join(lines)


def test_what_is_written_is_a_configuration_that_says_the_same(folder: Path) -> None:
    machine = Machine(cores=4, memory=10**10, gpu=False)
    (folder / "scriberrd.toml").write_text(TEXT + '[[worker]]\nname = "w"\n')
    first = config.load(folder / "scriberrd.toml", {})
    rows = resolve(first, machine, ENVIRONMENT)
    (folder / "again.toml").write_text("\n".join(written(rows)))
    again = resolve(config.load(folder / "again.toml", {}), machine, ENVIRONMENT)
    assert {row.key for row in again} >= {*key_lines(SAMPLE.read_text())} - TITLES
    assert [(row.key, row.value) for row in again] == [(row.key, row.value) for row in rows]


def test_one_line_says_what_matters_most(loaded: config.Config) -> None:
    assert summary(loaded, Machine(2, 10**10, gpu=True), ENVIRONMENT) == (
        f"state in {loaded.daemon.state_dir}, socket {loaded.daemon.socket};"
        " models in /cache/hub, auto_download on; 2 cores, a GPU;"
        " workers w: device auto (gpu), 0 x 3 threads"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "90s"), (60, "1m"), (7200, "2h"), (172800, "2d"), (0.25, "0.25s")],
)
def test_durations_are_written_as_they_are_read(seconds: float, text: str) -> None:
    assert duration(seconds) == text
