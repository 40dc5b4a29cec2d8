"""Measures: what answers say about rules, stations and the rule set. A figure comes with its uncertainty, or not."""
