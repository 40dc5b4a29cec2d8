"""`python -m streams.flow.front`: write the definitions for the native library."""

from streams.flow.front.tables import files
from streams.native.build import HERE

for name, text in files().items():
    (HERE / "src" / name).write_text(text, encoding="utf-8")
