"""RocksDB's options."""

from __future__ import annotations

from dataclasses import dataclass

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, WriteBufferManager


@dataclass(frozen=True, slots=True)
class Shared:
    """Memory that all partitions of a worker share."""

    cache: Cache
    buffers: WriteBufferManager

    @staticmethod
    def of(cache_mb: int, buffers_mb: int) -> Shared:
        """Sizes in MiB: of the cache for blocks that are read, and of the buffers for data not yet in files."""
        return Shared(Cache(cache_mb << 20), WriteBufferManager(buffers_mb << 20, False))


def options(shared: Shared) -> Options:
    """The options of one partition."""
    made = Options(raw_mode=True)
    made.create_if_missing(True)
    table = BlockBasedOptions()
    table.set_block_cache(shared.cache)
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    made.set_block_based_table_factory(table)
    made.set_write_buffer_size(16 * 1024 * 1024)
    made.set_write_buffer_manager(shared.buffers)
    made.set_max_write_buffer_number(3)
    made.set_compression_type(DBCompressionType.lz4())
    made.set_max_background_jobs(2)
    made.set_keep_log_file_num(2)
    made.set_max_log_file_size(1 << 20)  # for RocksDB's own log and manifest, which would grow with every flush
    made.set_max_manifest_file_size(1 << 20)
    # Expired keys must leave the disk: a file with many deletions, or an old file, is compacted even if nothing grows.
    made.add_compact_on_deletion_collector_factory(_DELETIONS_WINDOW, _DELETIONS_MAX, _DELETIONS_SHARE)
    made.set_level_compaction_dynamic_level_bytes(True)
    return made


# A file is compacted when so many of so many consecutive keys are deletions, or this share of all its keys.
_DELETIONS_WINDOW, _DELETIONS_MAX, _DELETIONS_SHARE = 10_000, 5_000, 0.5

BULK = {
    "disable_auto_compactions": "true",
    "level0_slowdown_writes_trigger": "1000000",
    "level0_stop_writes_trigger": "1000000",
}
NOT_BULK = {  # RocksDB's own values
    "disable_auto_compactions": "false",
    "level0_slowdown_writes_trigger": "20",
    "level0_stop_writes_trigger": "36",
}
