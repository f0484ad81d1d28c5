"""Read TOML tables into frozen structs, and say precisely what is wrong with them.

Every problem names the file, the line, the key, the value and what is allowed. All problems of a
file are reported at once.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import msgspec
import tomlkit
import tomlkit.exceptions
from msgspec import NODEFAULT, inspect

from scriberrd.errors import ConfigError
from scriberrd.hours import Hours

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T", bound=msgspec.Struct)
Where = tuple[str | int, ...]  # the path to a value: ("inbox", 0, "path")


LARGEST = 2**53  # bytes
# Keys of earlier versions, and what to write now.
REPLACED = {
    "condition_on_previous_text": 'write context = "carry" instead of true, or "none" for false',
}
SEVERAL = {"a text": "texts", "a valid path": "valid paths"}
LONGEST = 100 * 365 * 86400  # seconds: added to a time, the sum is still a valid time


class Seconds(float):
    """A duration in seconds, written as a number or as "90s", "10m", "1h30m", "7d"."""

    LEAST: ClassVar = 0.0
    UNITS: ClassVar = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    ALLOWED = 'a duration such as "30s", "10m", "1h30m", or a number of seconds'

    @classmethod
    def read(cls, value: object) -> Self:
        """Parse a value of the file; ValueError when it is not a duration."""
        seconds: float = -1
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value
        elif isinstance(value, str) and re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", value):
            parts = re.findall(r"([\d.]+)([a-z]+)", value)
            seconds = sum(float(number) * cls.UNITS[unit] for number, unit in parts)
        if cls.LEAST <= seconds <= LONGEST:
            return cls(seconds)
        raise ValueError


class Span(Seconds):
    """A duration of more than 0: for what would otherwise never pause, or end at once."""

    LEAST = 0.001
    ALLOWED = f"{Seconds.ALLOWED}, of more than 0"


class Bytes(int):
    """A size in bytes, written as a number or as "500MB", "4GiB"."""

    UNITS: ClassVar = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
        "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40
    }  # fmt: skip
    ALLOWED = 'a size such as "500MB", "4GiB", or a number of bytes'

    @classmethod
    def read(cls, value: object) -> Self:
        """Parse a value of the file; ValueError when it is not a size."""
        size: float = -1
        if isinstance(value, int) and not isinstance(value, bool):
            size = value
        elif isinstance(value, str) and (
            match := re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]i?)?B?", value)
        ):
            size = float(match[1]) * cls.UNITS[match[2] or ""]
        if 0 <= size <= LARGEST:
            return cls(size)
        raise ValueError


class Count(int):
    """A number that may be left to the machine: written as "auto", and 0 until it is chosen."""

    MOST: ClassVar = 1000
    ALLOWED = f'"auto", or a whole number from 1 to {MOST}'

    @classmethod
    def read(cls, value: object) -> Self:
        """Parse a value of the file; ValueError when it is no such number."""
        if value == "auto":
            return cls(0)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= cls.MOST:
            return cls(value)
        raise ValueError


class Document:
    """A configuration file that is being read, and its problems so far.

    Args:
        file: its name.
        text: what it says; None: read it.

    Raises:
        ConfigError: it can't be read, or is not TOML.
    """

    def __init__(self, file: Path, text: str | None = None) -> None:
        self.file = file
        self.problems: list[str] = []
        try:
            self._text = file.read_text("utf-8") if text is None else text
            self.root: dict[str, Any] = tomlkit.parse(self._text).unwrap()
        except OSError as error:
            advice = ": create it with `scriberrd init`" if not file.exists() else ""
            raise ConfigError([f"{file}: {error.strerror}{advice}"]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([f"{file}: not UTF-8 text"]) from error
        except tomlkit.exceptions.ParseError as error:
            what = "unexpected end of file" if "'\\x00'" in str(error) else error
            raise ConfigError([f"{file}:{error.line}: {what}"]) from error
        except (tomlkit.exceptions.TOMLKitError, ValueError) as error:
            line = _last_line(self._text)
            raise ConfigError([f"{file}:{line}: {error}"]) from error

    def problem(self, where: Where, what: str) -> None:
        """Note a problem with the value there."""
        line = locate(self._text, where)
        self.problems.append(f"{self.file}:{line}: {spell(where)}: {what}")

    def table(self, kind: type[T], value: object, where: Where) -> T | None:
        """Read one table; None when it has problems."""
        if not isinstance(value, dict):
            self.problem(where, f"{_shown(value)} is not a table")
            return None
        before = len(self.problems)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for key in value.keys() - fields.keys():
            if key in REPLACED:
                self.problem((*where, key), REPLACED[key])
                continue
            close = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            self.problem((*where, key), f"unknown key; {hint}known keys: {', '.join(fields)}")
        read = {}
        for name, field in fields.items():
            right = allowed(inspect.type_info(field.type))
            if name not in value:
                if field.default is NODEFAULT and field.default_factory is NODEFAULT:
                    self.problem((*where, name), f"missing; set it to {right}")
                continue
            try:
                read[name] = msgspec.convert(value[name], field.type, dec_hook=self._hook)
            except (msgspec.ValidationError, ValueError):
                self.problem((*where, name), f"{_shown(value[name])} is not {right}")
        return kind(**read) if len(self.problems) == before else None

    def tables(self, kind: type[T], key: str) -> list[tuple[Where, T]]:
        """Read all tables of `[[key]]`, with the path to each."""
        value = self.root.get(key, [])
        if not isinstance(value, list):
            self.problem((key,), f"not a list of tables; write [[{key}]], with two brackets")
            return []
        entries = [((key, n), self.table(kind, entry, (key, n))) for n, entry in enumerate(value)]
        return [(where, entry) for where, entry in entries if entry is not None]

    def lines(self, where: Where, texts: Sequence[str]) -> dict[int, int]:
        """Which line (from 1) has which text of the list there, by the text's number from 0."""
        line = locate(self._text, where)
        found = {}
        for number, text in enumerate(texts):
            rest = self._text.splitlines()[line - 1 :]
            quoted = (f'"{text}"', f"'{text}'")  # otherwise it is written with escapes
            line += next((n for n, one in enumerate(rest) if any(q in one for q in quoted)), 0)
            found[number] = line
        return found

    def _hook(self, kind: type, value: object) -> object:
        if issubclass(kind, Seconds | Bytes | Count | Hours):
            return kind.read(value)
        if kind is Path and isinstance(value, str) and value and "\0" not in value:
            try:
                return self.file.parent / Path(value).expanduser()
            except RuntimeError as error:  # "~name", and nobody has that name
                raise ValueError from error
        raise ValueError


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # hexadecimal, it may have more digits than Python cares to write
        return "a number of too many digits"


def _last_line(text: str) -> int:
    """The line (from 1) up to which a text that is not TOML has to be read to see that.

    The parser gives no line for a duplicate key or table, so this looks for the shortest beginning
    of the text that the parser refuses.
    """
    lines = text.splitlines(keepends=True)

    def refused(number: int) -> bool:
        try:
            tomlkit.parse("".join(lines[:number]))
        except tomlkit.exceptions.ParseError:
            return False  # within a value of several lines
        except (tomlkit.exceptions.TOMLKitError, ValueError):
            return True
        return False

    return bisect_left(range(1, len(lines)), x=True, key=refused) + 1


def allowed(kind: inspect.Type) -> str:  # noqa: C901, PLR0911, PLR0912 - a table of types
    """A description of the allowed values of this type, to follow "is not"."""
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=None):
            return "a whole number"
        case inspect.IntType(ge=least, le=None):
            return f"a whole number of at least {least}"
        case inspect.IntType(ge=least, le=most):
            return f"a whole number from {least} to {most}"
        case inspect.FloatType(ge=None):
            return "a number"
        case inspect.FloatType(ge=least, le=most):
            return f"a number from {least:g} to {most:g}"
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.LiteralType(values=values):
            return " or ".join(f'"{value}"' for value in values)
        case inspect.StrType(pattern=None):
            return "a text"
        case inspect.StrType(pattern=pattern):
            return f"a text that matches {pattern}"
        case inspect.VarTupleType(item_type=inspect.LiteralType(values=values)):
            return "a list of any of " + ", ".join(f'"{value}"' for value in values)
        case inspect.VarTupleType(item_type=item):
            one = allowed(item)
            return f"a list of {SEVERAL.get(one, one)}"
        case inspect.UnionType(types=types):
            return " or ".join(allowed(one) for one in types)
        case inspect.CustomType(cls=cls) if cls is Path:
            return "a valid path"
        case inspect.CustomType(cls=cls):
            return cls.ALLOWED if issubclass(cls, Seconds | Bytes | Count | Hours) else cls.__name__
        case other:
            return str(other)


def spell(where: Where) -> str:
    """The path to a value as people write it: inbox[1].path (counted from 1)."""
    spelled = ""
    for step in where:
        spelled += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    return spelled.lstrip(".")


def locate(text: str, where: Where) -> int:
    """The line (from 1) of a value, or of the nearest table around it.

    The parser gives no lines, so this looks for headers and keys as they are usually written.
    """
    tables = [step for step in where if isinstance(step, str)]
    wanted_number = next((step for step in where if isinstance(step, int)), 0)
    found, number, current = 1, -1, ""
    for line_number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?\s*([^\[\]#]+?)\s*\]\]?", line):
            current = header[1].replace('"', "").replace("'", "")
            number += current == tables[0]
            if current in (tables[0], ".".join(tables[:2])) and number in (-1, wanted_number):
                found = line_number
        elif key := re.match(r"\s*[\"']?([\w.-]+)[\"']?\s*=", line):
            inside = ".".join((*current.split("."), key[1])) if current else key[1]
            if inside == ".".join(tables) and number in (-1, wanted_number):
                return line_number
    return found
