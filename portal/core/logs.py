"""Structured logs: JSON lines when piped, coloured lines on a terminal. Secrets never get here."""

import logging
import sys

import structlog


def configure_logs(level: str = "INFO") -> None:
    """Configure logging, once a process. Standard-library loggers (uvicorn, alembic) come out in the same form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    is_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_terminal
        else structlog.processors.JSONRenderer()
    )
    ending: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not is_terminal:
        ending.append(structlog.processors.ExceptionRenderer(_without_locals))
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*ending, renderer])
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("uvicorn.access", "uvicorn.error", "alembic", "asyncio", "sqlalchemy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


# Local variables could hold a secret.
_without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def first_line(error: BaseException) -> str:
    """Return an error's type and the first line of its text: the others are a statement, or advice to programmers."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def get_log(name: str) -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log
