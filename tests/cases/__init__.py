"""Tables of cases: one row per primitive and dtype family. `laws` says what must hold of each."""

from cases.row import Row, Span, Variant, all_rows, row

__all__ = ["Row", "Span", "Variant", "all_rows", "row"]
