"""What the shipped rules find, in a world in which it is known what there is to find.

    python -m benchmarks detection --parcels 1000000 --seed 7 --json FILE

`world` plans two streams, the later one of other people: to set limits on one, and to test on the other. In both lie
cases of every pattern that the catalogue names (`streams/generate/patterns.py`, `groups`), cases that evade it
(`evasion`), and honest parcels that look like cases (`lookalikes`). `play` gives the streams to the worker's own steps
in order of arrival. `measure` says what came of it, `stations` lets stations with known error rates answer, and
compares what the desk's measures then say.
"""
