"""Programs of peers, each as its documentation has it, and the environments that they run in.

Every program takes the same arguments: servers, consumer group, topic of shipments, topic of alerts, an empty folder,
and the prefixes of priority origins, with commas between. What is in Python imports nothing of ours but
`benchmarks.task`.
"""
