"""Starts Kafka as the image apache/kafka does: KAFKA_SOME_NAME is the broker's property some.name, `__` an underscore.

The folder of its data is formatted with CLUSTER_ID unless it is already. Java takes this process's place, and SIGTERM.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

JAVA = [
    *("/opt/java/bin/java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError"),
    *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "--enable-native-access=ALL-UNNAMED"),
    *("--sun-misc-unsafe-memory-access=allow", "-cp", "/opt/kafka/libs/*"),
]
PROPERTIES = Path("/tmp/server.properties")


def main() -> None:
    """Does not return."""
    PROPERTIES.write_text(
        "".join(
            f"{name.removeprefix('KAFKA_').lower().replace('__', '-').replace('_', '.').replace('-', '_')}={value}\n"
            for name, value in os.environ.items()
            if name.startswith("KAFKA_")
        ),
        encoding="utf-8",
    )
    form = ["format", "--ignore-formatted", "--cluster-id", os.environ["CLUSTER_ID"], "--config", str(PROPERTIES)]
    subprocess.run([*JAVA, "kafka.tools.StorageTool", *form], check=True)
    os.execv(JAVA[0], [*JAVA, "kafka.Kafka", str(PROPERTIES)])


if __name__ == "__main__":
    main()
