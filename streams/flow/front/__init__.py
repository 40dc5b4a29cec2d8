"""The front end: turns raw batches into described rows. The native library reads plain records."""
