"""Logs as JSON lines, for programs that collect them: one object a line on standard error, by standard `logging`."""

import json
import logging
import sys
from datetime import UTC, datetime

FORMATS = ("text", "json")
QUIET = ("httpx", "httpx2", "httpcore", "asyncio", "matplotlib", "PIL", "multipart", "python_multipart")


class JsonLines(logging.Formatter):
    """A record as one line: time, level, logger, message, facts (`extra={"facts": {...}}`), traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        content = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)


def to_json() -> None:
    """From now on everything that is logged in this process is a line of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def gather() -> None:
    """Lets loggers that write by handlers of their own, as Streamlit's do, speak through the root logger."""
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.split(".")[0] in ("streamlit", "uvicorn", "gradio"):
            logger.handlers[:] = []
            logger.propagate = True
