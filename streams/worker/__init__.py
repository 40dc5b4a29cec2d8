"""The worker: epochs and their commits, rebalances, and the tasks beside the flow."""
