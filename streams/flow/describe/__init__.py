"""Records become rows: what needs no memory. Nobody is named past this point."""
