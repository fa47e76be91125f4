"""The logger of Fornax. Loaded with the first message: `logging` takes part of every start."""

import logging

__all__ = ["logger"]

logger = logging.getLogger("fornax")
