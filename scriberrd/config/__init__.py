"""The configuration: what can be set, and how it is read.

tables     [daemon], [api], [[worker]], [retry], [retention]; [profile.NAME] is `settings.Settings`
inboxes    [[inbox]]
live       all of them together, as they are now
loading    from the file to these, with every problem of it
"""

from scriberrd.config.inboxes import EXTENSIONS, Inbox
from scriberrd.config.live import Config, Doubt, Live, doubts, missing
from scriberrd.config.loading import Read, find, load, read
from scriberrd.config.tables import Api, Daemon, Retention, Retry, Worker

__all__ = [
    "EXTENSIONS",
    "Api",
    "Config",
    "Daemon",
    "Doubt",
    "Inbox",
    "Live",
    "Read",
    "Retention",
    "Retry",
    "Worker",
    "doubts",
    "find",
    "load",
    "missing",
    "read",
]
