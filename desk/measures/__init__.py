"""Measures: what answers say about rules, stations and the rule set. No figure is shown without its uncertainty."""
