"""The log: what happened, to which recording; to the journal, a terminal, a file or a program.

`context` keeps what lines are about, `events` names the moments that people look for, `lines` has
the form of a line for each reader, `journal` speaks journald's own protocol, and `handler` brings
them together, and counts what is only repeated.
"""

from scriberrd.logs.context import about, note
from scriberrd.logs.events import Event
from scriberrd.logs.handler import set_level, start

__all__ = ["Event", "about", "note", "set_level", "start"]
