// Drives node-postgres through the proxy; see common.js.
'use strict';

const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const { Client, Pool } = require('pg');
const {
  assert, program, Skip, host, port, database, serverConnections, user, tasks, rounds, large, sleep, terminateOthers,
} = require('./common.js');

const options = { host, port, database, user, connectionTimeoutMillis: 20000 };

async function open(more = {}) {
  const client = new Client({ ...options, ...more });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function withClient(work, more = {}) {
  const client = await open(more);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

// Debian packages the driver without these.
function optional(name) {
  try {
    return require(name);
  } catch (error) {
    throw new Skip(`${name} is not installed`);
  }
}

const numbers = (count) => Array.from({ length: count }, (_, n) => n);

program('node-postgres', require('pg/package.json').version, {
  async connect() {
    await withClient(async (client) => {
      assert.deepEqual((await client.query('SHOW application_name')).rows, [{ application_name: 'check' }]);
      assert.deepEqual((await client.query('SHOW statement_timeout')).rows, [{ statement_timeout: '7s' }]);
    }, { application_name: 'check', statement_timeout: 7000 });
  },

  async simple() {
    await withClient(async (client) => {
      const results = await client.query("SELECT 1 AS one; SELECT 'two' AS two");
      assert.deepEqual(results.map((result) => result.rows), [[{ one: 1 }], [{ two: 'two' }]]);
      assert.deepEqual((await client.query('')).rows, []);
    });
  },

  async parameters() {
    await withClient(async (client) => {
      const { rows } = await client.query('SELECT $1::int AS n, $2::text AS t', [42, "grün 'x'"]);
      assert.deepEqual(rows, [{ n: 42, t: "grün 'x'" }]);
      const many = await client.query('SELECT g FROM generate_series(1, $1::int) g', [5000]);
      assert.equal(many.rows[4999].g, 5000);
    });
  },

  async prepared() {
    // Each client gives the same names to texts of its own, on fewer server connections than clients.
    await Promise.all(numbers(serverConnections * 3).map((number) => withClient(async (client) => {
      for (const turn of numbers(40)) {
        const text = `SELECT ${number} * 1000 + ${turn % 4} + $1::int AS n`;
        const { rows } = await client.query({ name: `mine-${turn % 4}`, text, values: [turn] });
        assert.deepEqual(rows, [{ n: number * 1000 + (turn % 4) + turn }]);
      }
    })));
  },

  async types_text() {
    await withClient(async (client) => {
      const bytes = Buffer.from(numbers(256));
      const moment = new Date('2024-02-29T13:14:15.161Z');
      const { rows } = await client.query({
        text: `SELECT $1::bytea b, $2::timestamptz m, $3::jsonb j, $4::int[] a, $5::text t, $6::bool f, $7::float8 d,
               $8::numeric n`,
        values: [bytes, moment, { a: [1, null] }, [1, 2], 'grün \u2603', true, 0.1, '1234567890.0123456789'],
        rowMode: 'array',
      });
      assert.deepEqual(rows, [[bytes, moment, { a: [1, null] }, [1, 2], 'grün \u2603', true, 0.1, '1234567890.0123456789']]);
    });
  },

  async types_binary() {
    await withClient(async (client) => {
      const query = { text: 'SELECT $1::int4 n, $2::text t', values: [7, 'x'], binary: true };
      assert.deepEqual((await client.query(query)).rows, [{ n: 7, t: 'x' }]);
    });
  },

  async nulls() {
    await withClient(async (client) => {
      for (const type of ['int', 'text', 'bytea', 'timestamptz', 'int[]', 'jsonb']) {
        const { rows } = await client.query(`SELECT $1::${type} AS value`, [null]);
        assert.deepEqual(rows, [{ value: null }]);
      }
    });
  },

  async transactions() {
    await withClient((client) => withClient(async (other) => {
      await client.query('CREATE TABLE ledger (n int)');
      await client.query('BEGIN');
      await client.query('INSERT INTO ledger VALUES ($1)', [1]);
      assert.equal((await other.query('SELECT n FROM ledger')).rowCount, 0);
      await client.query('ROLLBACK');
      await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
      await client.query('INSERT INTO ledger VALUES ($1)', [2]);
      await client.query('COMMIT');
      assert.deepEqual((await other.query('SELECT n FROM ledger')).rows, [{ n: 2 }]);
    }));
  },

  async savepoints() {
    await withClient(async (client) => {
      await client.query('BEGIN; CREATE TABLE saved (n int); INSERT INTO saved VALUES (1); SAVEPOINT here');
      await assert.rejects(client.query('SELECT 1 / $1::int', [0]), { code: '22012' });
      await client.query('ROLLBACK TO here');
      await client.query('INSERT INTO saved VALUES ($1)', [3]);
      await client.query('COMMIT');
      assert.deepEqual((await client.query('SELECT n FROM saved ORDER BY n')).rows, [{ n: 1 }, { n: 3 }]);
    });
  },

  async errors() {
    await withClient(async (client) => {
      await assert.rejects(client.query('SELECT * FROM nowhere'), { code: '42P01', position: '15' });
      await assert.rejects(client.query('SELECT $1::int', ['x']), { code: '22P02' });
      await assert.rejects(client.query({ name: 'broken', text: 'SELEKT 1' }), { code: '42601' });
      await client.query('BEGIN');
      await assert.rejects(client.query('SELECT 1 / 0'), { code: '22012' });
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await client.query('ROLLBACK');
      const heard = [];
      client.on('notice', (notice) => heard.push(notice.message));
      await client.query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$");
      assert.deepEqual(heard, ['hello']);
    });
    const wrong = new Client({ ...options, database: 'no_such_database' });
    await assert.rejects(
      async () => {
        await wrong.connect();
        await wrong.query('SELECT 1');
      },
      (error) => /database/.test(error.message) && /^(3D000|08\w{3}|28\w{3})$/.test(error.code),
    );
    await wrong.end().catch(() => {});
  },

  async pipelining() {
    // The driver queues; one is sent when the one before is answered.
    await withClient(async (client) => {
      const results = await Promise.all(numbers(200).map((n) => client.query('SELECT $1::int AS n', [n])));
      assert.deepEqual(results.map((result) => result.rows[0].n), numbers(200));
    });
  },

  async copy() {
    const { from: copyFrom, to: copyTo } = optional('pg-copy-streams');
    await withClient(async (client) => {
      await client.query('CREATE TABLE copied (n int, note text)');
      const lines = numbers(10000).map((n) => `${n}\tnote ${n}\n`);
      await pipeline(Readable.from(lines), client.query(copyFrom('COPY copied FROM STDIN')));
      let out = '';
      for await (const chunk of client.query(copyTo('COPY (SELECT n FROM copied ORDER BY n) TO STDOUT'))) out += chunk;
      assert.equal(out, numbers(10000).map((n) => `${n}\n`).join(''));
      const wrong = pipeline(Readable.from(['not a number\tx\n']), client.query(copyFrom('COPY copied FROM STDIN')));
      await assert.rejects(wrong, { code: '22P02' });
      assert.deepEqual((await client.query('SELECT count(*)::int AS n FROM copied')).rows, [{ n: 10000 }]);
    });
  },

  async row_limit() {
    const Cursor = optional('pg-cursor');
    await withClient(async (client) => {
      await client.query('BEGIN');
      const cursor = client.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [1000]));
      let total = 0;
      for (let rows = await cursor.read(70); rows.length > 0; rows = await cursor.read(70)) {
        for (const row of rows) total += row.g;
      }
      assert.equal(total, 500500);
      await cursor.close();
      const early = client.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [1000]));
      assert.equal((await early.read(3)).length, 3);
      await early.close();
      await client.query('COMMIT');
      // Outside of a transaction the portal lives until the Sync.
      const alone = client.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [10]));
      assert.equal((await alone.read(20)).length, 10);
      await alone.close();
      assert.deepEqual((await client.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    });
  },

  async concurrency() {
    const pool = new Pool({ ...options, max: 20 });
    await pool.query('CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)');
    await Promise.all(numbers(tasks).map(async (number) => {
      for (const turn of numbers(rounds)) {
        const client = await pool.connect();
        await client.query('BEGIN');
        await client.query({ name: 'add', text: 'UPDATE counter SET n = n + $1', values: [1] });
        const { rows } = await client.query('SELECT $1::int + $2::int AS n', [number, turn]);
        assert.deepEqual(rows, [{ n: number + turn }]);
        await client.query('COMMIT');
        client.release();
      }
    }));
    assert.deepEqual((await pool.query('SELECT n FROM counter')).rows, [{ n: tasks * rounds }]);
    await pool.end();
  },

  async cancel() {
    await withClient(async (client) => {
      const query = new (require('pg').Query)('SELECT pg_sleep(30)');
      const ended = new Promise((resolve, reject) => {
        query.on('end', resolve);
        query.on('error', reject);
      });
      client.query(query);
      await sleep(300);
      new Client(options).cancel(client, query);
      await assert.rejects(ended, { code: '57014' });
      assert.deepEqual((await client.query('SELECT 5 AS n')).rows, [{ n: 5 }]);
    });
  },

  async timeout() {
    await withClient(async (client) => {
      await assert.rejects(client.query('SELECT pg_sleep(30)'), { code: '57014' });
      assert.deepEqual((await client.query('SELECT 5 AS n')).rows, [{ n: 5 }]);
    }, { statement_timeout: 200 });
  },

  async listen() {
    await withClient((listener) => withClient(async (sender) => {
      const heard = new Promise((resolve) => { listener.on('notification', resolve); });
      await listener.query('LISTEN news');
      await sender.query("SELECT pg_notify('news', $1)", ['one']);
      const { channel, payload } = await heard;
      assert.deepEqual([channel, payload], ['news', 'one']);
    }));
  },

  async settings() {
    const clients = await Promise.all(numbers(serverConnections * 2).map(() => open()));
    for (const [number, client] of clients.entries()) await client.query(`SET work_mem = '${number + 1}MB'`);
    for (const turn of numbers(3)) {
      for (const [number, client] of clients.entries()) {
        const { rows } = await client.query({ name: 'show', text: "SELECT current_setting('work_mem') AS m, $1::int AS t", values: [turn] });
        assert.deepEqual(rows, [{ m: `${number + 1}MB`, t: turn }]);
      }
    }
    await Promise.all(clients.map((client) => client.end()));
  },

  async large_value() {
    await withClient(async (client) => {
      const { rows } = await client.query('SELECT $1::bytea AS value', [large]);
      assert.ok(large.equals(rows[0].value));
    });
  },

  async reconnect() {
    const [client, busy, killer] = await Promise.all([open(), open(), open()]);
    await client.query('SELECT 1');
    await busy.query('BEGIN');
    await killer.query(terminateOthers);
    assert.deepEqual((await client.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    await assert.rejects(busy.query('SELECT 1'));
    await withClient(async (again) => assert.deepEqual((await again.query('SELECT 2 AS n')).rows, [{ n: 2 }]));
    await Promise.all([client.end(), killer.end()]);
  },
});
