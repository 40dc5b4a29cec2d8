"""The running pipeline: events in, verdicts out, with its doors to Kafka, Faust, RocksDB and the command line."""
