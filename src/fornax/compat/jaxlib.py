"""What `import jaxlib` gives: a version; nothing else of it exists here."""

from fornax.compat.version import __version__

__all__ = ["__version__"]
