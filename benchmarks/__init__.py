"""Events per second of the worker and of its peers, on one machine, one broker, the same shipments.

    python -m benchmarks                   every contestant, three rounds
    python -m benchmarks --quick           less of everything: does it run, roughly how fast
    python -m benchmarks --only hand_loop --only shipments --events 500000

`contract` says what a contestant is and what all compute, `traffic` makes the records, `watch` measures, `contestants`
holds one file each. Results that were kept: RESULTS.md.
"""
