"""The desk: from alert to answer. It reads and writes topics; workers never wait for it."""
