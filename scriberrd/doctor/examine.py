"""`scriberrd doctor`: all parts of an installation, one after the other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd import config as configuration
from scriberrd.doctor import engines, foresight, service, storage, system
from scriberrd.doctor.report import Line
from scriberrd.errors import ConfigError
from scriberrd.work import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.config import Config
    from scriberrd.doctor.service import Service

FOLDERS = {"path", "output", "archive", "link_targets", "state_dir", "socket", "model_cache"}


def examine(option: Path | None, user: str | None) -> Iterator[Line]:
    """Look at everything, as the user of the service if root asks; a line for each finding.

    From then on the process is that user.

    Args:
        option: the configuration file; None: the usual one.
        user: whom to be; None: the user of the installed unit.
    """
    unit = service.usual(os.environ)
    token = engines.token(unit, os.environ)
    yield from system.unit(unit)
    yield from system.limits()
    try:
        who = service.be(user, unit)
        config = configuration.load(configuration.find(option, os.environ), os.environ)
    except ConfigError as error:
        for problem in error.problems:
            yield Line("configuration", "problem", problem)
        return
    yield from _configured(config, who, token, unit)


def _configured(config: Config, who: str, token: str, unit: Service | None) -> Iterator[Line]:
    """What depends on the configuration."""
    surveyed = foresight.survey(config, libraries=True)
    findings = foresight.look(config, surveyed, os.environ)
    for one in findings:
        yield Line("configuration", one.level, config.at(one.key, one.what))
    if not any(one.level == "problem" for one in findings):
        names = ", ".join(one.name for one in config.inboxes)
        yield Line("configuration", "ok", f"{config.file}: inboxes {names}")
    if not FOLDERS & {one.key.rpartition(".")[2] for one in findings}:
        yield Line("folders", "ok", f"all can be used by user {who}")
    yield from storage.space(config, os.environ)
    running = storage.is_running(Path(config.daemon.state_dir))
    yield from storage.database(Path(config.daemon.state_dir), running=running)
    yield system.api(config, running=running, service=unit)
    if isinstance(surveyed, str):
        return
    yield from engines.libraries(surveyed)
    driver = machine.look().gpu
    yield from engines.devices(surveyed, config, system.gpus(), driver=driver)
    yield from engines.models(surveyed, config)
    yield engines.hub(token, config)
