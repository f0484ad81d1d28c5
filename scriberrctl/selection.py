"""Which jobs a command is for, alike in all of them: IDs and ranges, --state, --inbox, --all."""

from __future__ import annotations

import functools
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import click

from scriberrctl import completing, paging
from scriberrctl.errors import NoMatch, NotAgreed
from scriberrctl.session import Session, json_option, pass_session
from scriberrctl.shapes import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from scriberrctl.client import Client

LARGEST = 2**63 - 1  # the largest id that there can be
SPELLED = 5  # of more jobs, only the number is told


class Ids(click.ParamType[range]):
    """One job, or a range of them: 3 or 5-9."""

    name = "id"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> range:
        """The ids from the first to the last."""
        found = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", value)
        first = int(found[1]) if found else 0
        last = int(found[2] or first) if found else 0
        if not 0 < first <= last < LARGEST:
            self.fail(f"{value!r} is no job ID, and no range of them such as 5-9", param, context)
        return range(first, last + 1)


class Wanted(NamedTuple):
    """What is selected, as it was typed."""

    spans: tuple[range, ...]
    states: tuple[JobState, ...]
    inbox: str | None
    meant: tuple[JobState, ...]  # the states of what is not named by its own ID

    @property
    def one_by_one(self) -> bool:
        """Each job is named by its own ID."""
        return bool(self.spans) and all(len(span) == 1 for span in self.spans)

    @property
    def named(self) -> bool:
        """Each job is named by its own ID, and nothing else is said."""
        return self.one_by_one and not self.states and self.inbox is None

    def __str__(self) -> str:
        """Such as "queued or processing job 5-9 in inbox talks"."""
        states = self.states if self.one_by_one else self.meant
        words = [_either(states) if states else "", "job"]
        words += [", ".join(f"{span[0]}-{span[-1]}" for span in self.spans)]
        words += [f"in inbox {self.inbox}" if self.inbox else ""]
        return " ".join(filter(None, words))


class Chosen(NamedTuple):
    """The jobs that a command is for."""

    ids: list[int]  # oldest first, or as they were given
    named: bool  # see `Wanted`
    yes: bool  # nobody has to be asked

    def agree(self, verb: str, *, always: bool = False) -> None:
        """Have a person agree, unless he named each job himself.

        Raises:
            NotAgreed: he does not, or there is no terminal to ask on.
        """
        if self.yes or (self.named and not always):
            return
        agreed(f"{verb} {_spelled(self.ids)}")


def agreed(what: str, *, yes: bool = False) -> None:
    """Have a person agree, unless he did so by --yes; raises NotAgreed."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NotAgreed(f"to {what}, add --yes: there is no terminal to ask on")
    if not click.confirm(f"{what}?", err=True):
        raise NotAgreed("nothing was done")


def selecting(
    *usual: JobState, asks: bool = False, of_range: tuple[JobState, ...] | None = None
) -> Callable[[Callable[..., None]], Any]:
    """Give a command the session, and the jobs that its arguments and options select, as `chosen`.

    Args:
        usual: the states that are meant where only --all or --inbox is given; none: all of them.
        asks: whether it has --yes, since it calls `Chosen.agree`.
        of_range: the states that are meant of a range; none: all of them. By default the usual.
    """

    def decorate(command: Callable[..., None]) -> Any:
        @pass_session
        @functools.wraps(command)
        def choosing(
            session: Session,
            /,
            *,
            spans: tuple[range, ...],
            state: tuple[JobState, ...],
            inbox: str | None,
            all_: bool,
            yes: bool = False,
            **options: Any,
        ) -> None:
            if not (spans or state or inbox or all_):
                raise click.UsageError("Give job IDs (such as 3 5-9), --state, --inbox or --all.")
            if spans and all_:
                raise click.UsageError("Give either job IDs or --all.")
            meant = usual if of_range is None or not spans else of_range
            wanted = Wanted(spans, state, inbox, state or meant)
            ids = list(dict.fromkeys(_ids(session.client, wanted)))
            if not ids:
                require_inbox(session.client, inbox)
                raise NoMatch(f"there is no {wanted}")
            command(session, chosen=Chosen(ids, wanted.named, yes), **options)

        meant = f"All {_either(usual)} jobs." if usual else "All jobs."
        options = [
            click.argument(
                "spans",
                metavar="[ID|FIRST-LAST]...",
                type=Ids(),
                nargs=-1,
                shell_complete=completing.jobs(*usual),
            ),
            state_option,
            inbox_option,
            click.option("--all", "all_", is_flag=True, help=meant),
        ]
        if asks:
            options.append(click.option("-y", "--yes", is_flag=True, help="Do not ask."))
        for option in reversed([*options, json_option]):
            option(choosing)
        return choosing

    return decorate


state_option = click.option(
    "--state",
    multiple=True,
    type=click.Choice(get_args(JobState)),
    help="Only jobs in this state; may be repeated.",
)
inbox_option = click.option(
    "--inbox",
    metavar="NAME",
    help="Only jobs of this inbox.",
    shell_complete=completing.inboxes,
)


def _either(states: tuple[str, ...]) -> str:
    *first, last = states
    return f"{', '.join(first)} or {last}" if first else last


def require_inbox(client: Client, name: str | None) -> None:
    """Raise NoMatch if there is no such inbox: nothing was found in it for that."""
    names = [inbox["name"] for inbox in client.inboxes()["inboxes"]]
    if name is not None and name not in names:
        raise NoMatch(f"there is no inbox {name}; there are: {', '.join(names)}")


def _ids(client: Client, wanted: Wanted) -> Iterator[int]:
    """The selected jobs; one that is named by its own ID need not be there."""
    for span in wanted.spans or [range(1, LARGEST)]:
        states = wanted.states if len(span) == 1 else wanted.meant
        if len(span) == 1 and not states and wanted.inbox is None:
            yield span[0]
            continue
        found, _ = paging.jobs(
            client, len(span), before=span.stop, states=states, inbox=wanted.inbox
        )
        yield from sorted(job["id"] for job in found if job["id"] in span)


def _spelled(ids: Collection[int]) -> str:
    if len(ids) > SPELLED:
        return f"{len(ids)} jobs"
    return f"job{'s' * (len(ids) > 1)} {', '.join(map(str, ids))}"
