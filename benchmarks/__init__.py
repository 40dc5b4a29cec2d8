"""Events per second of the worker and of its peers, on one machine, one broker, the same shipments.

    python -m benchmarks                   every contestant, three rounds
    python -m benchmarks --quick           less of everything: does it run, roughly how fast
    python -m benchmarks --only hand_loop --only shipments --events 500000
    python -m benchmarks report FILE --plots DIR        table and plots of what --json wrote

`contract` says what a contestant is and what all compute, `traffic` makes the records, `competition` runs contestants
in turn, `watch` and `latency` measure, `contestants` holds one file each. `peers` holds programs of peers that run in
environments of their own, and makes those. Results that were kept: RESULTS.md.
"""
