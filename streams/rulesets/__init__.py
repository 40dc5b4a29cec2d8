"""Rule sets: pushed to `waybill.rules`, taken by running workers between two steps, acknowledged by each of them.

`reading`   what is on the topic, and the newest set that can be used here
`keeping`   a worker's rules: followed, exchanged, acknowledged
`board`     the topic and the acknowledgements, read and written by commands
`pushing`   what a set must pass before it is pushed
"""
