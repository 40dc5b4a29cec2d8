import java.util.Arrays;
import java.util.stream.Collectors;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Flink SQL on Kafka, in a cluster of one process: each parcel once, then those of its sender in the 24 h before are
 * counted by event time. A further argument, `bounded`: it ends where the topic ended at its start, so that the last
 * rows do not wait for event time to go on.
 */
public final class FlinkSql {
    public static void main(String[] given) throws Exception {
        String servers = given[0], group = given[1], topic = given[2], alerts = given[3], folder = given[4];
        String origins = Arrays.stream(given[5].split(",")).collect(Collectors.joining("','", "'", "'"));
        boolean bounded = given.length > 6 && given[6].equals("bounded");
        TableEnvironment tables = TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings(folder)).build());
        tables.executeSql("""
            CREATE TABLE shipments (
              carrier_code STRING, waybill_no STRING, picked_up_at BIGINT, pickup_adcode STRING, customer_type STRING,
              sender_id_no STRING, goods_form STRING,
              picked_up AS TO_TIMESTAMP_LTZ(picked_up_at, 3), seen AS PROCTIME(), WATERMARK FOR picked_up AS picked_up
            ) WITH (
              'connector' = 'kafka', 'topic' = '%s', 'properties.bootstrap.servers' = '%s',
              'properties.group.id' = '%s', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset'%s
            )""".formatted(topic, servers, group, bounded ? ", 'scan.bounded.mode' = 'latest-offset'" : ""));
        tables.executeSql("""
            CREATE TABLE alerts (parcel STRING, tier STRING, score INT, sender_parcels_24h BIGINT) WITH (
              'connector' = 'kafka', 'topic' = '%s', 'properties.bootstrap.servers' = '%s', 'key.format' = 'raw',
              'key.fields' = 'parcel', 'value.format' = 'json', 'sink.delivery-guarantee' = 'exactly-once',
              'sink.transactional-id-prefix' = '%s', 'properties.transaction.timeout.ms' = '600000'
            )""".formatted(alerts, servers, group));
        JobClient job = tables.executeSql("""
            INSERT INTO alerts
            SELECT parcel, 'medium', 50, parcels FROM (
              SELECT carrier_code || ':' || waybill_no AS parcel, goods_form IN ('powder', 'liquid') AND
                (SUBSTRING(pickup_adcode, 1, 4) IN (%1$s) OR pickup_adcode IN (%1$s)) AS waits,
                COUNT(*) OVER (PARTITION BY sender_id_no ORDER BY picked_up
                  RANGE BETWEEN INTERVAL '0 23:59:59.999' DAY TO SECOND(3) PRECEDING AND CURRENT ROW) AS parcels
              FROM (
                SELECT *, ROW_NUMBER() OVER (PARTITION BY carrier_code, waybill_no ORDER BY seen) AS nth
                FROM shipments WHERE customer_type = 'retail' AND sender_id_no <> ''
              ) WHERE nth = 1
            ) WHERE waits AND parcels >= 20""".formatted(origins)).getJobClient().orElseThrow();
        while (job.getJobStatus().get() != JobStatus.RUNNING) {
            Thread.sleep(10);
        }
        System.out.println("contestant started");
        job.getJobExecutionResult().get();
        System.exit(0);
    }

    private static Configuration settings(String folder) {
        Configuration settings = new Configuration();
        settings.setString("parallelism.default", "2");
        settings.setString("taskmanager.numberOfTaskSlots", "2");
        settings.setString("execution.checkpointing.interval", "200 ms");
        settings.setString("execution.checkpointing.dir", "file://" + folder + "/checkpoints");
        settings.setString("execution.checkpointing.incremental", "true");
        settings.setString("state.backend.type", "rocksdb");
        settings.setString("io.tmp.dirs", folder);
        settings.setString("table.exec.state.ttl", "2 d");
        return settings;
    }
}
