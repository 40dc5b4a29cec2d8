#!/bin/sh
# The broker's own tool for rights, as the image apache/kafka has it.
exec /opt/java/bin/java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp '/opt/kafka/libs/*' org.apache.kafka.tools.AclCommand "$@"
