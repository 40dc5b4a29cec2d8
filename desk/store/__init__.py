"""The desk's projection: clues, their logs and traces in a database that can be built anew from the topics."""
