"""The door to Kafka: no other room imports confluent_kafka.

config         librdkafka's properties of every client, and who a client is to the broker
errors         what librdkafka said, and what to do about it
naming         names of groups and transactional ids
rights, roles  what is allowed to whom, and what to grant where it is denied
cluster        what a broker knows: topics, counts, configuration, members, offsets, rights
reader         a consumer that assigns itself, and the one read loop
producer       transactions, and records without one
transport/     the worker's consumer, a member of its group
admin          create, show and delete our topics
restore, global_table, alerts, replay: what is read and written with them
"""
