import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams with exactly-once v2: shipments go to a topic by sender, only what is needed of them, and a processor
 * counts the sender's parcels in a RocksDB store with changelog. A sender's parcels are entries of a fixed size, by
 * time, and kept for two windows; where one is read late, those after it are looked at again.
 */
public final class KafkaStreams {
    static final long WINDOW_MS = 86_400_000, KEPT_MS = 2 * WINDOW_MS;
    static final int PARCELS_MIN = 20;
    static final Set<String> FORMS = Set.of("powder", "liquid");
    static final String STORE = "parcels";

    public static void main(String[] given) {
        String servers = given[0], group = given[1], topic = given[2], alerts = given[3], folder = given[4];
        Reader reader = new Reader(Set.of(given[5].split(",")));
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray()));
        builder.stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .flatMap((key, value) -> {
                KeyValue<String, byte[]> entry = reader.read(value);
                return entry == null ? Set.<KeyValue<String, byte[]>>of() : Set.of(entry);
            })
            .repartition(Repartitioned.with(Serdes.String(), Serdes.ByteArray()).withName("sender"))
            .process(Judge::new, STORE)
            .to(alerts, Produced.with(Serdes.String(), Serdes.String()));
        var streams = new org.apache.kafka.streams.KafkaStreams(builder.build(), settings(servers, group, folder));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    static Properties settings(String servers, String group, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
        return settings;
    }

    /** Bytes of a shipment to its sender and an entry: time, waybill number, whether it waits for more, carrier. */
    static final class Reader {
        private final JsonFactory json = new JsonFactory();
        private final Set<String> origins;

        Reader(Set<String> origins) {
            this.origins = origins;
        }

        KeyValue<String, byte[]> read(byte[] value) {
            String sender = null, place = "", carrier = "", waybill = "";
            boolean retail = false, form = false;
            long at = 0;
            try (JsonParser parser = json.createParser(value)) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String field = parser.currentName();
                    parser.nextToken();
                    switch (field) {
                        case "sender_id_no" -> sender = parser.getText();
                        case "pickup_adcode" -> place = parser.getText();
                        case "carrier_code" -> carrier = parser.getText();
                        case "waybill_no" -> waybill = parser.getText();
                        case "customer_type" -> retail = parser.getText().equals("retail");
                        case "goods_form" -> form = FORMS.contains(parser.getText());
                        case "picked_up_at" -> at = parser.getLongValue();
                        default -> parser.skipChildren();
                    }
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            if (!retail || sender == null || sender.isEmpty()) {
                return null;
            }
            boolean origin = origins.contains(place) || place.length() > 4 && origins.contains(place.substring(0, 4));
            return KeyValue.pair(sender, Entry.of(at, carrier + ":" + waybill, form && origin));
        }
    }

    /** A parcel among those of its sender, in 64 bytes; an array of them is what the store has. */
    static final class Entry {
        static final int SIZE = 64, WAITS = 8, LENGTH = 9, TEXT = 10;

        static byte[] of(long at, String parcel, boolean waits) {
            byte[] text = parcel.getBytes(StandardCharsets.UTF_8);
            ByteBuffer entry = ByteBuffer.allocate(SIZE);
            entry.putLong(at).put((byte) (waits ? 1 : 0)).put((byte) text.length).put(text);
            return entry.array();
        }

        static long at(byte[] entries, int index) {
            return ByteBuffer.wrap(entries).getLong(index * SIZE);
        }

        static String parcel(byte[] entries, int index) {
            int from = index * SIZE;
            return new String(entries, from + TEXT, entries[from + LENGTH], StandardCharsets.UTF_8);
        }

        static boolean same(byte[] entries, int index, byte[] entry) {
            int from = index * SIZE + LENGTH;
            return java.util.Arrays.equals(entries, from, from + SIZE - LENGTH, entry, LENGTH, SIZE);
        }
    }

    static final class Judge implements Processor<String, byte[], String, String> {
        private ProcessorContext<String, String> context;
        private KeyValueStore<String, byte[]> store;

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            this.store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            byte[] old = store.get(record.key()), entry = record.value();
            int count = old == null ? 0 : old.length / Entry.SIZE;
            for (int index = 0; index < count; index++) {
                if (Entry.same(old, index, entry)) {
                    return;
                }
            }
            long at = Entry.at(entry, 0);
            int first = firstAfter(old, count, at - KEPT_MS), place = firstAfter(old, count, at);
            byte[] entries = new byte[(count - first + 1) * Entry.SIZE];
            int before = (place - first) * Entry.SIZE;
            if (count > 0) {
                System.arraycopy(old, first * Entry.SIZE, entries, 0, before);
                System.arraycopy(old, place * Entry.SIZE, entries, before + Entry.SIZE, (count - place) * Entry.SIZE);
            }
            System.arraycopy(entry, 0, entries, before, Entry.SIZE);
            look(entries, place - first, at, record.timestamp());
            store.put(record.key(), entries);
        }

        /** Alert those from this place on, less than a window later, that wait and have enough before them. */
        private void look(byte[] entries, int place, long at, long timestamp) {
            int count = entries.length / Entry.SIZE;
            for (int index = place; index < count && Entry.at(entries, index) < at + WINDOW_MS; index++) {
                if (entries[index * Entry.SIZE + Entry.WAITS] == 1) {
                    long time = Entry.at(entries, index);
                    int parcels = firstAfter(entries, count, time) - firstAfter(entries, count, time - WINDOW_MS);
                    if (parcels >= PARCELS_MIN) {
                        entries[index * Entry.SIZE + Entry.WAITS] = 0;
                        String parcel = Entry.parcel(entries, index);
                        context.forward(new Record<>(parcel, alert(parcel, parcels), timestamp));
                    }
                }
            }
        }

        private static String alert(String parcel, int count) {
            return "{\"parcel\":\"" + parcel + "\",\"tier\":\"medium\",\"score\":50,\"sender_parcels_24h\":" + count + "}";
        }

        /** The index of the first entry later than this time. */
        private static int firstAfter(byte[] entries, int count, long at) {
            int low = 0, high = count;
            while (low < high) {
                int middle = (low + high) >>> 1;
                if (Entry.at(entries, middle) <= at) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return low;
        }
    }
}
