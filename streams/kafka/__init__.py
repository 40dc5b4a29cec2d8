"""The door to Kafka: no other room imports confluent_kafka."""
