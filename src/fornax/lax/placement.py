"""Where values lie, as programs say it in `lax`."""

from __future__ import annotations

from fornax.api.shard import with_sharding_constraint

__all__ = ["with_sharding_constraint"]
