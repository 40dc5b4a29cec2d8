"""The front end: raw batches become described rows, natively where a record is plain."""
