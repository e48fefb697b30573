"""Where the daemon's own log goes: a file that rotates by size, and standard error: all of it if a person
watches, else only what somebody must act on."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys

import structlog

from orchestrator.config import Log

__all__ = ["configure"]

MAX_BYTES = 10 * 1024 * 1024
BACKUPS = 4


def configure(settings: Log, folder: str, name: str) -> None:
    """Send everything that is logged to `folder/name.log`, as console lines or as JSON.

    Raises `OSError` if the file cannot be written.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            os.path.join(folder, f"{name}.log"), maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8"
        )
    ]
    watching = logging.StreamHandler()
    watching.setLevel(logging.NOTSET if sys.stderr.isatty() else logging.ERROR)
    handlers.append(watching)
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=settings.level.upper(), handlers=handlers, force=True)
    for noisy in ("httpx", "uvicorn"):  # every call, and every socket that is opened
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
