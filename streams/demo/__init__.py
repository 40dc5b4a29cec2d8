"""The demo's parts: a stage (broker, topics, a worker), traffic at a steady rate, and the figures to show."""
