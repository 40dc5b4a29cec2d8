"""State: the stores of partitions, in memory and in RocksDB."""
