"""The clue log: the events of a clue, in the order of their partition, determine its state."""
