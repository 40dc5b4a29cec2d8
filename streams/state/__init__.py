"""State: what a partition remembers, in memory and in RocksDB."""
