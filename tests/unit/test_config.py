"""The configuration: the sample says all of it, and what is wrong is told precisely."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomlkit

from scriberrd import config
from scriberrd.errors import ConfigError
from scriberrd.settings import Settings, staged
from scriberrd.toml import locate
from scriberrd.units import Bytes, Seconds

SAMPLE = Path(__file__).parent.parent.parent / "config/scriberrd.toml"
TABLES = {
    "daemon": config.Daemon,
    "api": config.Api,
    "inbox": config.Inbox,
    "profile": Settings,
    "worker": config.Worker,
    "retry": config.Retry,
    "retention": config.Retention,
}
NO_DEFAULT = {"inbox.name", "inbox.path", "inbox.output", "worker.name"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("inbox", "transcripts", "other"):
        (tmp_path / name).mkdir()
    return tmp_path


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> config.Config:
    (folder / "scriberrd.toml").write_text(text)
    return config.load(folder / "scriberrd.toml", environment or {})


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    prefix = f"{folder / 'scriberrd.toml'}:"
    assert all(problem.startswith(prefix) for problem in caught.value.problems)
    return [problem.removeprefix(prefix) for problem in caught.value.problems]


def doubts(folder: Path, text: str) -> list[str]:
    prefix = f"{folder / 'scriberrd.toml'}:"
    found = config.missing(load(folder, text))
    assert all(one.startswith(prefix) for one in found)
    return [one.removeprefix(prefix) for one in found]


def test_the_sample_names_every_key_and_no_other() -> None:
    sample: dict[str, Any] = tomlkit.parse(SAMPLE.read_text()).unwrap()
    assert sample.keys() == TABLES.keys()
    sample |= {key: sample[key][0] for key in ("inbox", "worker")}
    sample["profile"] = sample["profile"]["default"]
    for name, table in TABLES.items():
        assert list(sample[name]) == list(table.__struct_fields__), name


def test_the_values_of_the_sample_are_the_defaults(folder: Path) -> None:
    sample = load(folder, SAMPLE.read_text())
    minimal = load(
        folder,
        '[[inbox]]\nname = "default"\npath = "inbox"\noutput = "transcripts"\n'
        '[[worker]]\nname = "default"\n',
    )
    assert sample == msgspec.structs.replace(minimal, keys=sample.keys)
    for name, table in TABLES.items():
        needed = {
            f"{name}.{field.name}" for field in msgspec.structs.fields(table) if field.required
        }
        assert needed <= NO_DEFAULT


def test_a_file_without_workers_has_one(folder: Path) -> None:
    assert [worker.name for worker in load(folder, "").workers] == ["default"]


def test_every_problem_is_told_with_line_key_value_and_what_is_allowed(folder: Path) -> None:
    found = problems(
        folder,
        """
[daemon]
rescam = 3
stop_timeout = "3 days"

[[inbox]]
name = "one"
path = "inbox"
output = "transcripts"
settle = -1

[[inbox]]
name = "two"
path = "scriberrd.toml"
output = "other"
profile = "nope"

[profile.default]
task = "sing"
beam_size = 0
engine = "foo"
speakers = 0x"""
        + "f" * 5000,
    )
    for line, key, what, allowed in [
        (3, "daemon.rescam", "unknown key", "; did you mean 'rescan'? known keys: state_dir,"),
        (4, "daemon.stop_timeout", "'3 days'", ' is not a duration such as "30s"'),
        (10, "inbox[1].settle", "-1", " is not a duration"),
        (14, "inbox[2].path", f"'{folder / 'scriberrd.toml'}'", " is not a folder"),
        (16, "inbox[2].profile", "there is no profile 'nope'", "; known profiles: default"),
        (19, "profile.default.task", "'sing'", ' is not one of "transcribe", "translate"'),
        (22, "profile.default.speakers", "a number of too many digits", " is not a whole number"),
        (20, "profile.default.beam_size", "0", " is not a whole number from 1 to 1000000"),
        (21, "profile.default.engine", "there is no engine 'foo'", "; known engines: faster-"),
    ]:
        (problem,) = [one for one in found if f"{key}:" in one]
        assert problem.startswith(f"{line}: {key}: {what}{allowed}")
    assert len(found) == 9


def inboxes(*tables: str) -> str:
    return "".join(
        f'[[inbox]]\nname = "{number}"\n{table}\n' for number, table in enumerate(tables)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (inboxes('path = "inbox"\noutput = "inbox"'), "inside its own inbox"),
        (inboxes('path = "inbox"\noutput = "inbox/."'), "inside its own inbox"),
        (inboxes('path = "."\noutput = "other"'), "inside its own inbox"),
        (
            inboxes(*['path = "inbox"\noutput = "transcripts"'] * 2),
            "inbox[2].path: inbox '0' watches",
        ),
        (
            inboxes('path = "inbox"\noutput = "other"', 'path = "link"\noutput = "other"'),
            "/link' too; use a folder of its own",
        ),
        (inboxes('path = "inbox"\noutput = "scriberrd.toml"'), "/scriberrd.toml' is not a folder"),
        (
            inboxes('path = "inbox"\noutput = "other"\narchive = "scriberrd.toml"'),
            "/scriberrd.toml' is not a folder",
        ),
        ('[inbox]\nname = "x"', "not a list of tables; write [[inbox]], with two brackets"),
        ('[[worker]]\nname = "a"\n[[worker]]\nname = "a"', "worker[2].name: 'a' is used twice"),
        (
            '[[worker]]\nname = "a"\ndevice = "gpu"',
            'device: \'gpu\' is not "auto", "cpu", "cuda" (a GPU)',
        ),
        (
            '[[worker]]\nname = "a"\ncompute_type = "int9"',
            "compute_type: 'int9' is not one of \"auto\", ",
        ),
        ('[[worker]]\nname = "a"\ncompute_type = "flot16"', "; did you mean 'float16'?"),
        ('[[worker]]\nname = "a b"', "name: 'a b' is not a name of up to 64 letters, digits, "),
        ('[daemon]\nlog_level = "warn"', "; did you mean 'warning'?"),
        ('[inboxes]\nname = "a"', "1: inboxes: unknown key; did you mean 'inbox'? known tables: "),
        ('[profile.a]\nengine = "fasterwhisper"', "; did you mean 'faster-whisper'? known engi"),
        (
            inboxes('path = "inbox"\noutput = "other"\nprofile = "defualt"'),
            "there is no profile 'defualt'; did you mean 'default'? known profiles: default",
        ),
        (
            '[profile.a]\nformats = ["docx"]',
            '[\'docx\'] is not a list of any of "json", "rttm", "srt", "txt", "vtt"',
        ),
        ("[profile]\ndefault = 3", "not a table of tables; write [profile.NAME]"),
        ("[typo]\n", "unknown key; known tables: [daemon], [api], [[inbox]]"),
        ("[retry]\nattempts = true", "True is not a whole number from 1 to 1000000"),
        ("[retry]\nattempts = ", "2: unexpected end of file"),
        ("[retry]\nattempts =\n[daemon]", "2: the line ends too early: write KEY = VALUE or ["),
        ('[daemon]\nsocket = "s\n', "2: a text without the quote that ends it"),
        ("[daemon]\nrescan = 5m", "2: neither a number nor a time; a text needs quotes"),
        (
            "[daemon]\nlog_level = info",
            "2: unexpected 'i' at character 13 of the line; a text needs quotes",
        ),
        (
            '[daemon]\nstate_dir = "C:\\spool"',
            r'2: a "\" that is no escape: write it twice, or the text in single quotes',
        ),
        ("[daemon]]\n", "1: unexpected ']' at character 9 of the line"),
        ("[daemon]\nsocket = 's", "2: unexpected end of file"),
        ("[retry]\nattempts = 3\nattempts = 4\n[daemon]\n", '3: Key "attempts" already exists'),
        ("[retry]\n[daemon]\n[retry]\n[worker]", 'Key "retry" already exists'),
        (
            "[retry]\nattempts = 100000000000000000000000",
            " is not a whole number from 1 to 1000000",
        ),
        ("[retry]\nattempts = 1e23", " is not a whole number from 1 to 1000000"),
        ("[retry]\nsoft_limit = nan", "nan is not a number from 0 to 1000"),
        ("[retry]\nbackoff = nan", "nan is not a duration"),
        ("[daemon]\nrescan = inf", "inf is not a duration"),
        ("[daemon]\nrescan = 0", "more than 0"),
        ('[daemon]\nmax_upload = "999999999TB"', "is not a size"),
        ('[daemon]\nstate_dir = "a\\u0000b"', "daemon.state_dir: 'a\\x00b' is not a valid path"),
        ('[api]\ngroup = "a\\u0000b"', "2: api.group: there is no group 'a\\x00b'"),
        *[
            (f'[api]\nmetrics = "{address}"', f"2: api.metrics: '{address}' is not \"HOST:PORT\"")
            for address in ("0", "65536", "99999", "a..b:9000", ".:9000", "a" * 64 + ":9000", "a:")
        ],
        ('[daemon]\nsocket = "~nobody_xx/s"', "daemon.socket: '~nobody_xx/s' is not"),
        ('[profile.p]\nmodel = "~nobody_xx/m"', "profile.p.model: '~nobody_xx/m' is not"),
        ('[[worker]]\nname = "a"\nstall_timeout = 0', "more than 0"),
        (
            inboxes('path = "~nobody_xx/i"\noutput = "other"'),
            "inbox[1].path: '~nobody_xx/i' is not",
        ),
        (
            inboxes('path = "inbox"\noutput = "other"\nextensions = ["a.b"]'),
            "list of extensions such",
        ),
        *[
            (inboxes(f'path = "inbox"\noutput = "other"\n{keys}'), f"inbox[1].{expected}")
            for keys, expected in [
                ('extensions = ["wav", ".TXT"]', "extensions: 'txt' is what transcripts or"),
                ('output_name = "{x}"', "output_name: {x} is not one of {stem} {name} {date}"),
                ('output_name = "{stem:>9}"', "output_name: {stem:>9} is not one of {stem}"),
                ('output_name = "{date}"', "output_name: it would be the same for all recordings"),
                ('output_name = "{stem"', "output_name: '{stem': "),
                ('output_name = "../{stem}"', "output_name: '../{stem}' is not the path"),
                ('output_name = "/{stem}"', "output_name: '/{stem}' is not the path"),
                (f'output_name = "{{stem}}{"ü" * 100}"', "output_name: longer than 200 bytes"),
                ('output_mode = "888"', "output_mode: '888' is not a mode such as \"640\", in"),
                ("output_mode = 640", 'output_mode: 640 is not a mode such as "640", in quotes'),
                ('output_mode = "040"', "output_mode: '040' is not a mode such as"),
                ('ignore = "raw/"', "ignore: 'raw/' is not a list of texts"),
                ('link_targets = "nas"', "link_targets: 'nas' is not a list of valid paths"),
                ('output_group = "nobody_xx"', "output_group: there is no group 'nobody_xx'"),
                ('after = "archive"', 'archive: missing: after = "archive" needs it'),
                ('on_failure = "quarantine"', 'archive: missing: on_failure = "quarantine" needs'),
                ('archive = "inbox/old"', "archive: recordings moved to '"),
                ('archive = "."', "archive: recordings moved to '"),
                ('archive = "old/{date}"', "archive: it would be the same for all recordings"),
                ('archive = "~nobody_xx/old"', "archive: '~nobody_xx/old' is not a valid path"),
                ('archive = "a\\u0000b"', "archive: 'a\\x00b' is not a valid path"),
                ('after = "delete"\nsymlinks = "files"', "after: not for an inbox of links"),
                ('ignore = ["*.tmp", "a["]', "ignore: 'a[': not a pattern of gitignore"),
                ('ignore = ["[z-a]"]', "ignore: '[z-a]': not a pattern of gitignore"),
                ('ignore = ["# x"]', "ignore: '# x': not a pattern of gitignore"),
                ('ignore = ["!"]', "ignore: '!': not a pattern of gitignore"),
                ('ignore = ["*a*a*a*.wav"]', "ignore: '*a*a*a*.wav': too many wildcards"),
                ('ignore = ["**/a/**/b/**/c"]', "ignore: '**/a/**/b/**/c': too many wildcards"),
                ('link_targets = ["/srv"]', 'link_targets: needs symlinks = "files"'),
                ('min_duration = 9\nmax_duration = "5s"', "max_duration: less than min_duration"),
            ]
        ],
    ],
)
def test_what_cannot_work_is_refused(folder: Path, text: str, expected: str) -> None:
    (folder / "link").symlink_to(folder / "inbox")
    assert expected in "\n".join(problems(folder, text))


def test_what_is_not_there_may_come_later(folder: Path) -> None:
    text = inboxes('path = "card"\noutput = "disk"') + '[profile.p]\nmodel = "./m"'
    assert doubts(folder, text) == [
        f"3: inbox[1].path: {folder / 'card'} does not exist: create it, or mount it",
        f"4: inbox[1].output: {folder / 'disk'} does not exist: create it, or mount it",
        f"6: profile.p.model: {folder / 'm'} does not exist: copy the model there, or set another",
    ]
    for name in ("card", "disk", "m"):
        (folder / name).mkdir()
    assert doubts(folder, text) == []


def test_profiles_that_are_none_are_told_once(folder: Path) -> None:
    text = "[profile]\ndefault = 3\n" + inboxes('path = "inbox"\noutput = "other"')
    assert len(problems(folder, text)) == 1


def test_extensions_as_people_write_them(folder: Path) -> None:
    text = inboxes('path = "inbox"\noutput = "other"\nextensions = [".WAV", "Mp3"]')
    assert load(folder, text).inboxes[0].extensions == ("wav", "mp3")


def test_transcripts_may_lie_beside_the_recordings(folder: Path) -> None:
    beside, below = load(
        folder,
        inboxes('path = "inbox"\noutput = "beside"', 'path = "other"\noutput = "./beside"'),
    ).inboxes
    assert (beside.beside, beside.output) == (True, folder / "inbox")
    assert (below.beside, below.output) == (False, folder / "beside")


@pytest.mark.parametrize(
    ("archive", "template"),
    [
        ("old", "{folder}/{name}"),
        ("old/{date}/{inbox}-{name}", "{date}/{inbox}-{name}"),
    ],
)
def test_an_archive_is_a_folder_and_names_below_it(
    folder: Path, archive: str, template: str
) -> None:
    text = inboxes(f'path = "inbox"\noutput = "other"\nafter = "archive"\narchive = "{archive}"')
    assert load(folder, text).inboxes[0].archiving == (folder / "old", template)
    missing = f"6: inbox[1].archive: {folder / 'old'} does not exist: create it, or mount it"
    assert doubts(folder, text) == [missing]


def test_an_archive_that_several_inboxes_would_take_in_is_told_once(folder: Path) -> None:
    keys = 'output = "transcripts"\nafter = "archive"\narchive = "."'
    (problem,) = problems(folder, inboxes(*(f'path = "{path}"\n{keys}' for path in "abc")))
    assert problem.startswith("6: inbox[1].archive: recordings moved to '")
    assert problem.endswith("' would be taken in again by inboxes '0', '1', '2'")


def test_an_archive_into_which_nothing_is_moved_is_told(folder: Path) -> None:
    text = inboxes('path = "inbox"\noutput = "transcripts"\narchive = "other"')
    what = "5: inbox[1].archive: nothing is moved there: set after or on_failure"
    assert doubts(folder, text) == [what]
    assert doubts(folder, f'{text}on_failure = "quarantine"') == []


def test_folders_that_links_may_lead_to_are_missed(folder: Path) -> None:
    keys = 'symlinks = "files"\nlink_targets = ["other", "nas"]'
    text = inboxes(f'path = "inbox"\noutput = "transcripts"\n{keys}')
    what = f"6: inbox[1].link_targets: {folder / 'nas'} does not exist: create it, or mount it"
    assert doubts(folder, text) == [what]


def test_where_neither_recording_nor_transcript_is_left_it_is_told(folder: Path) -> None:
    text = inboxes('path = "inbox"\noutput = "transcripts"\nafter = "delete"')
    assert doubts(folder, text) == []
    (warning,) = doubts(folder, f'{text}\n[retention]\ntranscripts = "90d"')
    assert warning.startswith('5: inbox[1].after: "delete" beside retention.transcripts: in the')


def test_a_configuration_without_inboxes_is_told(folder: Path) -> None:
    for text in ("", "# only a comment\n"):
        (warning,) = doubts(folder, text)
        assert warning.startswith("1: inbox: there is none, so no folder is watched: add [[inbox]]")


def test_a_byte_order_mark_is_accepted(folder: Path) -> None:
    assert load(folder, '\ufeff[daemon]\nlog_level = "debug"').daemon.log_level == "debug"


def test_bytes_that_are_no_text_have_a_line(folder: Path) -> None:
    file = folder / "scriberrd.toml"
    file.write_bytes(b"[daemon]\n# caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        config.load(file, {})
    assert caught.value.problems == [f"{file}:2: not UTF-8 text"]


def test_problems_come_in_the_order_of_their_lines(folder: Path) -> None:
    text = "[retry]\nattempts = 0\nzeal = 1\n[daemon]\nrescam = 1\nrescan = 0\n[typo]\n"
    lines = [problem.partition(":")[0] for problem in problems(folder, text)]
    assert lines == ["2", "3", "5", "6", "7"]


def test_links_lead_into_the_inbox_unless_other_folders_are_named(folder: Path) -> None:
    none, own, named = load(
        folder,
        inboxes(
            'path = "inbox"\noutput = "transcripts"',
            'path = "a"\noutput = "transcripts"\nsymlinks = "files"',
            'path = "b"\noutput = "transcripts"\nsymlinks = "files"\nlink_targets = ["nas"]',
        ),
    ).inboxes
    assert [one.links for one in (none, own, named)] == [(), (folder / "a",), (folder / "nas",)]


def test_each_pattern_has_its_line(folder: Path) -> None:
    text = inboxes(
        'path = "inbox"\noutput = "transcripts"\nignore = ["raw/", "x\\u00e9"]',
        'path = "a"\noutput = "b"\nignore = [\n  "raw/",  # "b"\n  "!x",\n\n  \'*-a.*\',\n]',
    )
    assert load(folder, text).lines == {"0": {0: 5, 1: 5}, "1": {0: 11, 1: 12, 2: 14}}


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        config.load(tmp_path / "none.toml", {})


def test_a_file_that_can_not_be_looked_at_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"File name too long$"):
        config.load(tmp_path / ("x" * 300), {})


def test_a_folder_that_can_not_be_looked_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scriberrd").mkdir(mode=0)
    user = os.geteuid()
    if user == 0:  # who may look everywhere
        tmp_path.chmod(0o711)
        os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match=r"scriberrd\.toml: Permission denied$"):
            config.find(None, {"XDG_CONFIG_HOME": ".", "HOME": "/"})
    finally:
        os.seteuid(user)


def test_the_search_order(tmp_path: Path) -> None:
    user = tmp_path / "config/scriberrd/scriberrd.toml"
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match="scriberrd init"):
        config.find(None, environment)
    user.parent.mkdir(parents=True)
    user.touch()
    assert config.find(None, environment) == user
    assert config.find(None, environment | {"SCRIBERRD_CONFIG": "/x"}) == Path("/x")
    assert config.find(Path("/y"), environment | {"SCRIBERRD_CONFIG": "/x"}) == Path("/y")


def test_where_state_and_socket_live(folder: Path) -> None:
    by_systemd = {"STATE_DIRECTORY": "/s", "RUNTIME_DIRECTORY": "/r"}
    daemon = load(folder, "", by_systemd).daemon
    assert (daemon.state_dir, daemon.socket) == ("/s", "/r/scriberrd.sock")
    daemon = load(folder, '[daemon]\nstate_dir = "state"\nsocket = "/x.sock"', by_systemd).daemon
    assert (daemon.state_dir, daemon.socket) == (str(folder / "state"), "/x.sock")


def test_a_model_folder_beside_the_configuration(folder: Path) -> None:
    assert load(folder, '[profile.p]\nmodel = "./m"').profiles["p"].model == str(folder / "m")
    assert load(folder, '[profile.p]\nmodel = "a/b"').profiles["p"].model == "a/b"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("7d", 604800),
        ("250ms", 0.25),
        (3, 3),
        (0.5, 0.5),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert Seconds.read(text) == seconds


@pytest.mark.parametrize("at", ["1", "65535", "a.example-b.org:9764", "10.0.0.1:80", "[::1]:6553"])
def test_where_metrics_may_be(folder: Path, at: str) -> None:
    assert load(folder, f'[api]\nmetrics = "{at}"\n').api.metrics == at


@pytest.mark.parametrize("text", ["", "s", "5", "5 m", "-3s", "1h 30m", True, -1, None, []])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the reader's business
        Seconds.read(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 << 30),
        ("500MB", 5 * 10**8),
        ("2KiB", 2048),
        (7, 7),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert Bytes.read(text) == size


@pytest.mark.parametrize("text", ["", "kiB", "1kiB", "2 gigabytes", -1, True, None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        Bytes.read(text)


def test_lines_are_found_in_odd_files() -> None:
    text = (
        "# x\n[ profile . default ]\n\n[profile.'default']\n  model='a' # c\n[[inbox]]\n[[inbox]]\n"
    )
    assert locate(text, ("profile", "default", "model")) == 5
    assert locate(text, ("inbox", 1, "path")) == 7


def test_numbers_may_be_left_to_the_machine(folder: Path) -> None:
    pools = [("count", '"auto"'), ("threads", "0"), ("count", "3")]
    tables = [f'[[worker]]\nname = "{n}"\n{key} = {value}' for n, (key, value) in enumerate(pools)]
    found = [(one.count, one.threads) for one in load(folder, "\n".join(tables)).workers]
    assert found == [(0, 0), (0, 0), (3, 0)]
    (problem,) = problems(folder, '[[worker]]\nname = "a"\ncount = "many"\n')
    assert "worker[1].count: 'many' is not \"auto\", or a whole number from 1 to 1000" in problem


def test_settings_that_contradict_each_other_are_a_problem(folder: Path) -> None:
    found = problems(
        folder,
        """
[profile.a]
channels = "split"
diarize = "auto"
[profile.b]
min_speakers = 3
max_speakers = 2
[profile.c]
speakers = 1
min_speakers = 2
[profile.d]
speakers = 3
max_speakers = 2
[profile.e]
diarizer = "foo"
""",
    )
    for line, key, what in [
        (4, "a.diarize", 'channels = "split" tells the speakers apart already'),
        (6, "b.min_speakers", "3 is more than max_speakers, 2"),
        (9, "c.speakers", "1 is less than min_speakers, 2"),
        (12, "d.speakers", "3 is more than max_speakers, 2"),
        (15, "e.diarizer", "there is no diarizer 'foo'; known diarizers: "),
    ]:
        (problem,) = [one for one in found if f".{key}:" in one]
        assert problem.startswith(f"{line}: profile.{key}: {what}")
    assert len(found) == 5


def test_what_becomes_of_the_words_is_not_what_they_depend_on() -> None:
    other = {"diarize": "auto", "speakers": 3, "speaker_labels": "none", "formats": ("rttm",)}
    settings = Settings(model="small")
    changed = msgspec.structs.replace(settings, **other, channels="split")
    assert changed.comparable() == msgspec.structs.replace(settings, channels="split").comparable()
    assert changed.comparable() != settings.comparable()
    assert staged(Settings(model="tiny"), changed) == Settings(model="tiny", **other)
