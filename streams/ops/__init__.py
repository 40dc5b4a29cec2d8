"""What operators run: checks before a start, supervision, the doctor, and a private Kafka."""
