"""Read TOML tables into frozen structs, and say precisely what is wrong with them.

Every problem names the file, the line, the key, the value and what is allowed. All problems of a
file are reported at once.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import tomlkit
import tomlkit.exceptions
from msgspec import inspect

from scriberrd.errors import ConfigError
from scriberrd.hours import Hours
from scriberrd.units import Bytes, Count, Seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

T = TypeVar("T", bound=msgspec.Struct)
Where = tuple[str | int, ...]  # the path to a value: ("inbox", 0, "path")

# Keys of earlier versions, and what to write now.
REPLACED = {
    "condition_on_previous_text": 'write context = "carry" instead of true, or "none" for false',
}
SEVERAL = {"a text": "texts", "a valid path": "valid paths"}

QUOTES = "; a text needs quotes"
END = "unexpected end of file"
EARLY = "the line ends too early: write KEY = VALUE or [TABLE]"
ESCAPE = r'a "\" that is no escape: write it twice, or the text in single quotes'
SYNTAX = {  # what the parser says, and what that means
    r"character: '\x00'": END,
    "end of file": END,
    r"character: '\n'": EARLY,
    r"character: '\r'": EARLY,
    r"use \u000a instead": "a text without the quote that ends it",
    "Invalid number": f"neither a number nor a time{QUOTES}",
    "Invalid date": f"neither a number nor a time{QUOTES}",
    "Invalid time": f"neither a number nor a time{QUOTES}",
    "Invalid character": ESCAPE,
    "Invalid unicode": ESCAPE,
}


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
        self._problems: list[tuple[int, str, str]] = []
        try:
            text = file.read_text("utf-8") if text is None else text
            self._text = text.removeprefix("\ufeff")  # Windows' editors begin a file with it
            self.root: dict[str, Any] = tomlkit.parse(self._text).unwrap()
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            advice = ": create it with `scriberrd init`" if missing else ""
            raise ConfigError([f"{file}: {error.strerror}{advice}"]) from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ConfigError([f"{file}:{line}: not UTF-8 text"]) from error
        except tomlkit.exceptions.ParseError as error:
            what = _in_words(error, self._text.splitlines()[error.line - 1 : error.line])
            raise ConfigError([f"{file}:{error.line}: {what}"]) from error
        except (tomlkit.exceptions.TOMLKitError, ValueError) as error:
            line = _last_line(self._text)
            raise ConfigError([f"{file}:{line}: {error}"]) from error
        self.keys = key_lines(self._text)

    @property
    def problems(self) -> list[str]:
        """All problems so far, in the order of their lines."""
        problems = sorted(self._problems, key=lambda problem: problem[0])
        return [f"{self.file}:{line}: {key}: {what}" for line, key, what in problems]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Each key that has a problem, with the problem."""
        return [(key, what) for _, key, what in self._problems]

    def problem(self, where: Where, what: str) -> None:
        """Note a problem with the value there."""
        self._problems.append((nearest(self.keys, where), spell(where), what))

    def table(self, kind: type[T], value: object, where: Where) -> T | None:
        """Read what of one table can be read; None when a key that it needs is not among it."""
        if not isinstance(value, dict):
            self.problem(where, f"{_shown(value)} is not a table")
            return None
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for key in value.keys() - fields.keys():
            if key in REPLACED:
                self.problem((*where, key), REPLACED[key])
                continue
            what = f"unknown key{meant(key, fields) or ';'} known keys: {', '.join(fields)}"
            self.problem((*where, key), what)
        read, needed = {}, {one.name for one in fields.values() if one.required}
        for name, field in fields.items():
            right = allowed(inspect.type_info(field.type))
            if name not in value:
                if name in needed:
                    self.problem((*where, name), f"missing; set it to {right}")
                continue
            try:
                read[name] = msgspec.convert(value[name], field.type, dec_hook=self._hook)
            except (msgspec.ValidationError, ValueError):
                shown = _shown(value[name])
                hint = meant(shown.strip("'"), choices(inspect.type_info(field.type)))
                self.problem((*where, name), f"{shown} is not {right}{hint}")
                if name in needed and isinstance(value[name], str) and field.type is not Path:
                    read[name] = value[name]  # for what else is to be told of its table
        return kind(**read) if needed <= read.keys() else None

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
        line = nearest(self.keys, where)
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


def meant(value: object, known: Iterable[str]) -> str:
    """What somebody may have meant, to follow what is wrong; "" if nothing is near."""
    close = difflib.get_close_matches(str(value), list(known), 1) if value else []
    return f"; did you mean {close[0]!r}?" if close else ""


def choices(kind: inspect.Type) -> list[str]:
    """The words that a type allows, if it allows no other texts."""
    match kind:
        case inspect.LiteralType(values=values):
            return [value for value in values if isinstance(value, str)]
        case inspect.UnionType(types=types):
            return [word for one in types for word in choices(one)]
        case _:
            return []


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # hexadecimal, it may have more digits than Python cares to write
        return "a number of too many digits"


def _in_words(error: tomlkit.exceptions.ParseError, lines: Sequence[str]) -> str:
    """Why a line, of these, is not TOML."""
    what = str(error).removesuffix(f" at line {error.line} col {error.col}")
    if words := next((words for said, words in SYNTAX.items() if said in what), ""):
        return words
    if not isinstance(error, tomlkit.exceptions.UnexpectedCharError):
        return what
    before = "".join(lines)[: error.col].rstrip()
    hint = QUOTES if before.endswith(("=", "[", ",")) else ""
    return f"unexpected {what.rpartition(': ')[2]} at character {error.col + 1} of the line{hint}"


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
            words = ", ".join(f'"{value}"' for value in values)
            return words if len(values) == 1 else f"one of {words}"
        case inspect.StrType():
            return "a text"
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
    """The line (from 1) of a value, or of the nearest table around it."""
    return nearest(key_lines(text), where)


def nearest(keys: Mapping[str, int], where: Where) -> int:
    """The line (from 1) of a value, or of the nearest table around it, by the lines of all keys."""
    around = (spell(where[:length]) for length in range(len(where), 0, -1))
    return next((keys[one] for one in around if one in keys), 1)


def key_lines(text: str) -> dict[str, int]:
    """Which line (from 1) has which table and which key, as `spell` has them.

    The parser gives no lines, so this looks for headers and keys as they are usually written.
    """
    found: dict[str, int] = {}
    table, numbers = "", Counter[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?", line):
            table = re.sub(r"\s*\.\s*", ".", re.sub("[\"']", "", header[2]))
            if header[1] == "[[":
                numbers[table] += 1
                table += f"[{numbers[table]}]"
            found.setdefault(table, number)
        elif key := re.match(r"\s*([\"']?)([\w.-]+)\1\s*=", line):
            found.setdefault(f"{table}.{key[2]}".lstrip("."), number)
    return found
