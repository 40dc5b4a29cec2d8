"""The clue log: what a clue is follows from its events alone, in the order of their partition."""
