// Drives pgjdbc through the proxy; what it prints is told in ../python/common.py. Run as a single source file:
// java -cp postgresql.jar Drive.java HOST PORT DATABASE SERVER_CONNECTIONS

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;

public class Drive {
    static final int TASKS = 50;
    static final int ROUNDS = 10;
    static final int LARGE_BYTES = 10 * 1024 * 1024;
    static final String TERMINATE_OTHERS = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        + "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

    static String url;
    static int serverConnections;
    static boolean hasFailed;

    interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        url = "jdbc:postgresql://" + arguments[0] + ":" + arguments[1] + "/" + arguments[2];
        serverConnections = Integer.parseInt(arguments[3]);
        try (Connection connection = open()) {
            System.out.println("driver pgjdbc " + connection.getMetaData().getDriverVersion());
        }
        check("connect", Drive::connect);
        check("simple", Drive::simple);
        check("parameters", Drive::parameters);
        check("prepared", Drive::prepared);
        check("types_text", () -> types("false"));
        check("types_binary", () -> types("true"));
        check("nulls", Drive::nulls);
        check("transactions", Drive::transactions);
        check("savepoints", Drive::savepoints);
        check("errors", Drive::errors);
        check("pipelining", Drive::pipelining);
        check("copy", Drive::copy);
        check("row_limit", Drive::rowLimit);
        check("concurrency", Drive::concurrency);
        check("cancel", Drive::cancel);
        check("timeout", Drive::timeout);
        check("listen", Drive::listen);
        check("settings", Drive::settings);
        check("large_value", Drive::largeValue);
        check("reconnect", Drive::reconnect);
        System.exit(hasFailed ? 1 : 0);
    }

    static void check(String name, Check check) {
        ExecutorService executor = Executors.newSingleThreadExecutor(Drive::daemon);
        Future<Void> future = executor.submit(() -> {
            check.run();
            return null;
        });
        try {
            future.get(60, TimeUnit.SECONDS);
            System.out.println("ok " + name);
        } catch (Exception error) {
            hasFailed = true;
            error.printStackTrace();
            Throwable cause = error.getCause() == null ? error : error.getCause();
            System.out.println("FAIL " + name + " " + cause.toString().replace('\n', ' '));
        }
        executor.shutdownNow();
    }

    static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    static Connection open(String... more) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "postgres");
        properties.setProperty("password", "none");
        for (int i = 0; i < more.length; i += 2) {
            properties.setProperty(more[i], more[i + 1]);
        }
        return DriverManager.getConnection(url, properties);
    }

    static void same(Object found, Object wanted) {
        if (!Objects.deepEquals(found, wanted)) {
            throw new AssertionError(found + " is not " + wanted);
        }
    }

    static void fails(String sqlstate, Check work) throws Exception {
        try {
            work.run();
        } catch (SQLException error) {
            same(error.getSQLState(), sqlstate);
            return;
        }
        throw new AssertionError(sqlstate + " was expected");
    }

    static Object value(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setObject(i + 1, parameters[i]);
            }
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getObject(1);
            }
        }
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static void connect() throws Exception {
        try (Connection connection = open("ApplicationName", "check", "options", "-c search_path=elsewhere,public", "currentSchema", "")) {
            same(value(connection, "SELECT current_setting('application_name')"), "check");
        }
        try (Connection connection = open("currentSchema", "elsewhere")) {
            same(value(connection, "SELECT current_setting('search_path')"), "elsewhere");
            same(connection.isValid(5), true);
            connection.setClientInfo("ApplicationName", "another");
            same(value(connection, "SELECT current_setting('application_name')"), "another");
        }
    }

    static void simple() throws Exception {
        try (Connection connection = open("preferQueryMode", "simple"); Statement statement = connection.createStatement()) {
            statement.execute("SELECT 1; SELECT 'two'");
            statement.getResultSet().next();
            same(statement.getMoreResults(), true);
            ResultSet rows = statement.getResultSet();
            rows.next();
            same(rows.getString(1), "two");
            same(value(connection, "SELECT ?::int + 1", 4), 5);
        }
    }

    static void parameters() throws Exception {
        try (Connection connection = open()) {
            same(value(connection, "SELECT ?::text", "grün 'x'"), "grün 'x'");
            try (PreparedStatement statement = connection.prepareStatement("SELECT generate_series(1, ?)")) {
                statement.setInt(1, 5000);
                ResultSet rows = statement.executeQuery();
                int count = 0;
                while (rows.next()) {
                    same(rows.getInt(1), ++count);
                }
                same(count, 5000);
            }
        }
    }

    static void prepared() throws Exception {
        // After five uses the driver gives a statement a name; each client has texts of its own under the same names.
        inThreads(serverConnections * 3, number -> {
            try (Connection connection = open("preparedStatementCacheQueries", "3")) {
                for (int turn = 0; turn < 60; turn++) {
                    int shape = turn % 5;
                    String sql = "SELECT " + number + " * 1000 + " + shape + " + ?::int";
                    same(value(connection, sql, turn), number * 1000 + shape + turn);
                    same(value(connection, "SELECT ?::int * 2", turn), turn * 2);
                }
            }
        });
    }

    static void types(String binary) throws Exception {
        try (Connection connection = open("binaryTransfer", binary, "prepareThreshold", "-1")) {
            byte[] bytes = new byte[256];
            for (int i = 0; i < 256; i++) {
                bytes[i] = (byte) i;
            }
            OffsetDateTime moment = OffsetDateTime.of(2024, 2, 29, 13, 14, 15, 161718000, ZoneOffset.UTC);
            UUID uuid = UUID.fromString("01234567-89ab-cdef-0123-456789abcdef");
            String sql = "SELECT ?::int2, ?::int8, ?::float8, ?::bool, ?::text, ?::bytea, ?::timestamptz, ?::uuid, ?::numeric, ?::int4[]";
            for (int turn = 0; turn < 8; turn++) {
                try (PreparedStatement statement = connection.prepareStatement(sql)) {
                    statement.setShort(1, (short) -32768);
                    statement.setLong(2, Long.MIN_VALUE);
                    statement.setDouble(3, 0.1);
                    statement.setBoolean(4, true);
                    statement.setString(5, "grün \u2603");
                    statement.setBytes(6, bytes);
                    statement.setObject(7, moment);
                    statement.setObject(8, uuid);
                    statement.setBigDecimal(9, new BigDecimal("12345678901234567890.0123456789"));
                    statement.setArray(10, connection.createArrayOf("int4", new Integer[] {1, 2, 3}));
                    ResultSet rows = statement.executeQuery();
                    rows.next();
                    same(rows.getShort(1), (short) -32768);
                    same(rows.getLong(2), Long.MIN_VALUE);
                    same(rows.getDouble(3), 0.1);
                    same(rows.getBoolean(4), true);
                    same(rows.getString(5), "grün \u2603");
                    same(rows.getBytes(6), bytes);
                    same(rows.getObject(7, OffsetDateTime.class), moment);
                    same(rows.getObject(8), uuid);
                    same(rows.getBigDecimal(9), new BigDecimal("12345678901234567890.0123456789"));
                    same(rows.getArray(10).getArray(), new Integer[] {1, 2, 3});
                }
            }
        }
    }

    static void nulls() throws Exception {
        try (Connection connection = open(); PreparedStatement statement = connection.prepareStatement("SELECT ?::int, ?::text, ?::bytea")) {
            for (int turn = 0; turn < 8; turn++) {
                statement.setNull(1, Types.INTEGER);
                statement.setNull(2, Types.VARCHAR);
                statement.setNull(3, Types.BINARY);
                ResultSet rows = statement.executeQuery();
                rows.next();
                same(Arrays.asList(rows.getObject(1), rows.getObject(2), rows.getObject(3)), Arrays.asList(null, null, null));
            }
        }
    }

    static void transactions() throws Exception {
        try (Connection connection = open(); Connection other = open()) {
            run(connection, "CREATE TABLE ledger (n int)");
            connection.setAutoCommit(false);
            run(connection, "INSERT INTO ledger VALUES (1)");
            same(value(other, "SELECT count(*) FROM ledger"), 0L);
            connection.rollback();
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            same(value(connection, "SELECT current_setting('transaction_isolation')"), "serializable");
            run(connection, "INSERT INTO ledger VALUES (2)");
            connection.commit();
            same(value(other, "SELECT sum(n) FROM ledger"), 2L);
            other.setReadOnly(true);
            other.setAutoCommit(false);
            fails("25006", () -> run(other, "INSERT INTO ledger VALUES (3)"));
            other.rollback();
        }
        try (Connection connection = open()) {
            same(value(connection, "SELECT current_setting('default_transaction_read_only')"), "off");
            same(value(connection, "SELECT current_setting('transaction_isolation')"), "read committed");
        }
    }

    static void savepoints() throws Exception {
        try (Connection connection = open("autosave", "always")) {
            connection.setAutoCommit(false);
            run(connection, "CREATE TABLE saved (n int)");
            run(connection, "INSERT INTO saved VALUES (1)");
            Savepoint here = connection.setSavepoint("here");
            run(connection, "INSERT INTO saved VALUES (2)");
            connection.rollback(here);
            // The driver makes a savepoint before each statement, and goes back to it after an error.
            fails("22012", () -> value(connection, "SELECT 1 / ?::int", 0));
            run(connection, "INSERT INTO saved VALUES (3)");
            connection.commit();
            same(value(connection, "SELECT string_agg(n::text, ',' ORDER BY n) FROM saved"), "1,3");
            connection.commit();
        }
    }

    static void errors() throws Exception {
        try (Connection connection = open()) {
            for (int turn = 0; turn < 8; turn++) {
                fails("42P01", () -> value(connection, "SELECT * FROM nowhere"));
                fails("42601", () -> value(connection, "SELEKT 1"));
                fails("22012", () -> value(connection, "SELECT 1 / ?::int", 0));
                same(value(connection, "SELECT 3"), 3);
            }
            // A prepared statement whose result changes: the driver prepares again by itself.
            run(connection, "CREATE TABLE changing (a int)");
            run(connection, "INSERT INTO changing VALUES (1)");
            for (int turn = 0; turn < 8; turn++) {
                value(connection, "SELECT * FROM changing");
            }
            try (Connection other = open()) {
                run(other, "ALTER TABLE changing ALTER a TYPE text");
            }
            same(value(connection, "SELECT * FROM changing"), "1");
        }
    }

    static void pipelining() throws Exception {
        for (String rewrite : new String[] {"false", "true"}) {
            try (Connection connection = open("reWriteBatchedInserts", rewrite)) {
                run(connection, "DROP TABLE IF EXISTS piped");
                run(connection, "CREATE TABLE piped (n int, note text)");
                try (PreparedStatement statement = connection.prepareStatement("INSERT INTO piped VALUES (?, ?)")) {
                    for (int n = 0; n < 2000; n++) {
                        statement.setInt(1, n);
                        statement.setString(2, "note " + n);
                        statement.addBatch();
                    }
                    same(statement.executeBatch().length, 2000);
                }
                same(value(connection, "SELECT sum(n) FROM piped"), 1999L * 1000);
                try (Statement statement = connection.createStatement()) {
                    statement.addBatch("INSERT INTO piped VALUES (1, 'x')");
                    statement.addBatch("INSERT INTO piped VALUES (1 / 0, 'x')");
                    statement.addBatch("INSERT INTO piped VALUES (2, 'x')");
                    fails("22012", statement::executeBatch);
                }
                same(value(connection, "SELECT 4"), 4);
            }
        }
    }

    static void copy() throws Exception {
        try (Connection connection = open()) {
            run(connection, "CREATE TABLE copied (n int, note text)");
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder text = new StringBuilder();
            for (int n = 0; n < 10000; n++) {
                text.append(n).append("\tnote ").append(n).append('\n');
            }
            byte[] bytes = text.toString().getBytes("UTF-8");
            same(copies.copyIn("COPY copied FROM STDIN", new ByteArrayInputStream(bytes)), 10000L);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            same(copies.copyOut("COPY copied TO STDOUT (FORMAT binary)", out), 10000L);
            same(copies.copyIn("COPY copied FROM STDIN (FORMAT binary)", new ByteArrayInputStream(out.toByteArray())), 10000L);
            fails("22P02", () -> copies.copyIn("COPY copied FROM STDIN", new ByteArrayInputStream("no number\tx\n".getBytes("UTF-8"))));
            var aborted = copies.copyIn("COPY copied FROM STDIN");
            aborted.writeToCopy("1\tone\n".getBytes("UTF-8"), 0, 6);
            aborted.cancelCopy();
            same(value(connection, "SELECT count(*) FROM copied"), 20000L);
        }
    }

    static void rowLimit() throws Exception {
        try (Connection connection = open()) {
            connection.setAutoCommit(false);
            for (int turn = 0; turn < 8; turn++) {
                try (PreparedStatement statement = connection.prepareStatement("SELECT generate_series(1, ?)")) {
                    statement.setInt(1, 1000);
                    statement.setFetchSize(70);
                    ResultSet rows = statement.executeQuery();
                    int total = 0;
                    while (rows.next()) {
                        total += rows.getInt(1);
                        if (total % 50 == 0) {
                            value(connection, "SELECT 1");
                        }
                    }
                    same(total, 500500);
                    statement.setMaxRows(3);
                    rows = statement.executeQuery();
                    int count = 0;
                    while (rows.next()) {
                        count++;
                    }
                    same(count, 3);
                }
            }
            connection.commit();
        }
    }

    static void concurrency() throws Exception {
        try (Connection connection = open()) {
            run(connection, "CREATE TABLE counter (n int)");
            run(connection, "INSERT INTO counter VALUES (0)");
            inThreads(TASKS, number -> {
                try (Connection mine = open()) {
                    mine.setAutoCommit(false);
                    for (int turn = 0; turn < ROUNDS; turn++) {
                        run(mine, "UPDATE counter SET n = n + 1");
                        same(value(mine, "SELECT ?::int + ?::int", number, turn), number + turn);
                        mine.commit();
                    }
                }
            });
            same(value(connection, "SELECT n FROM counter"), TASKS * ROUNDS);
        }
    }

    static void cancel() throws Exception {
        try (Connection connection = open(); Statement statement = connection.createStatement()) {
            Thread canceller = daemon(() -> {
                try {
                    Thread.sleep(300);
                    statement.cancel();
                } catch (Exception error) {
                    error.printStackTrace();
                }
            });
            canceller.start();
            fails("57014", () -> statement.execute("SELECT pg_sleep(30)"));
            canceller.join();
            same(value(connection, "SELECT 5"), 5);
        }
    }

    static void timeout() throws Exception {
        try (Connection connection = open(); Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            fails("57014", () -> statement.execute("SELECT pg_sleep(30)"));
            same(value(connection, "SELECT 5"), 5);
        }
    }

    static void listen() throws Exception {
        try (Connection listener = open(); Connection sender = open()) {
            run(listener, "LISTEN news");
            value(sender, "SELECT pg_notify('news', ?)::text", "one");
            PGNotification[] heard = listener.unwrap(PGConnection.class).getNotifications(20000);
            same(heard.length, 1);
            same(heard[0].getName() + " " + heard[0].getParameter(), "news one");
        }
    }

    static void settings() throws Exception {
        List<Connection> connections = new ArrayList<>();
        for (int number = 1; number <= serverConnections * 2; number++) {
            Connection connection = open();
            run(connection, "SET work_mem = '" + number + "MB'");
            connections.add(connection);
        }
        for (int turn = 0; turn < 8; turn++) {
            for (int number = 1; number <= connections.size(); number++) {
                same(value(connections.get(number - 1), "SELECT current_setting('work_mem')"), number + "MB");
            }
        }
        for (Connection connection : connections) {
            connection.close();
        }
    }

    static void largeValue() throws Exception {
        byte[] bytes = new byte[LARGE_BYTES];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        try (Connection connection = open()) {
            same(Arrays.equals((byte[]) value(connection, "SELECT ?::bytea", bytes), bytes), true);
        }
    }

    static void reconnect() throws Exception {
        try (Connection connection = open(); Connection busy = open(); Connection killer = open()) {
            value(connection, "SELECT 1");
            busy.setAutoCommit(false);
            value(busy, "SELECT 1");
            value(killer, TERMINATE_OTHERS);
            same(value(connection, "SELECT 1"), 1);
            try {
                value(busy, "SELECT 1");
                throw new AssertionError("an error was expected");
            } catch (PSQLException expected) {
                same(busy.isValid(1), false);
            }
        }
        try (Connection connection = open()) {
            same(value(connection, "SELECT 2"), 2);
        }
    }

    interface Work {
        void run(int number) throws Exception;
    }

    static void inThreads(int count, Work work) throws Exception {
        ExecutorService executor = Executors.newFixedThreadPool(count, Drive::daemon);
        List<Callable<Void>> all = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = i;
            all.add(() -> {
                work.run(number);
                return null;
            });
        }
        for (Future<Void> future : executor.invokeAll(all)) {
            future.get();
        }
        executor.shutdown();
    }
}
