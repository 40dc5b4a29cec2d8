"""What happens to an event, in flow order. No Kafka, no Faust, no threads, no wall clock."""
