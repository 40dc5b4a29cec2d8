"""Folding: the state of a parcel or an entity, as a set of facts."""
