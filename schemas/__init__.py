"""What crosses a boundary: records, their published schemas, and the columns that rules may read."""
