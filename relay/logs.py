"""The relay's log: a file that rotates by size, and the terminal if there is one."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from typing import Any

import structlog

__all__ = ["FORMATS", "configure"]

FORMATS = ("json", "console")
MAX_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5


def configure(path: str, format_: str) -> None:
    """Send everything that is logged to the file `path`. Raises `OSError` if it cannot be written."""
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    console = structlog.dev.ConsoleRenderer(colors=False)
    chosen = structlog.processors.JSONRenderer() if format_ == "json" else console
    file = logging.handlers.RotatingFileHandler(
        path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
    )
    handlers: list[tuple[logging.Handler, Any]] = [(file, chosen)]
    if sys.stderr is not None and sys.stderr.isatty():
        handlers.append((logging.StreamHandler(), console))
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(logging.INFO)
    for handler, renderer in handlers:
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            )
        )
        root.addHandler(handler)
    # Every migration and every connection of theirs is no news.
    for name in ("alembic", "aiosqlite", "sqlalchemy", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
