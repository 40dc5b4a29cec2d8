"""`python -m streams.flow.front`: write the definitions for the native library."""

from streams.flow.front.tables import tables
from streams.native.build import HERE

(HERE / "src" / "tables.rs").write_text(tables(), encoding="utf-8")
