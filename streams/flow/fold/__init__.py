"""Folding: what is known of a parcel or an entity, as the set of its facts."""
