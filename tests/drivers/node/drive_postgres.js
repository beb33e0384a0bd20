// Drives postgres.js through the proxy; see common.js. It prepares every query under a name and pipelines.
'use strict';

const { readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const postgres = require('postgres');
const {
  assert, program, Skip, host, port, database, serverConnections, user, tasks, rounds, large, sleep, terminateOthers,
} = require('./common.js');

const numbers = (count) => Array.from({ length: count }, (_, n) => n);

function open(more = {}) {
  return postgres({ host, port, database, user, max: 1, connect_timeout: 20, onnotice: () => {}, ...more });
}

async function using(work, more = {}) {
  const sql = open(more);
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

const rowsOf = (result) => result.map((row) => ({ ...row }));

// Its package exports no more than the code.
const { version } = JSON.parse(readFileSync(join(dirname(require.resolve('postgres')), '../../package.json')));

program('postgres.js', version, {
  async connect() {
    await using(async (sql) => {
      assert.deepEqual(rowsOf(await sql`SHOW application_name`), [{ application_name: 'check' }]);
      assert.ok(sql.parameters.server_version);
    }, { connection: { application_name: 'check' } });
  },

  async simple() {
    await using(async (sql) => {
      const results = await sql`SELECT 1 AS one; SELECT 'two' AS two`.simple();
      assert.deepEqual(results.map(rowsOf), [[{ one: 1 }], [{ two: 'two' }]]);
    });
  },

  async parameters() {
    await using(async (sql) => {
      assert.deepEqual(rowsOf(await sql`SELECT ${42}::int AS n, ${"grün 'x'"}::text AS t`), [{ n: 42, t: "grün 'x'" }]);
      assert.equal((await sql`SELECT g FROM generate_series(1, ${5000}::int) g`).length, 5000);
    });
  },

  async prepared() {
    await Promise.all(numbers(serverConnections * 3).map((number) => using(async (sql) => {
      for (const turn of numbers(40)) {
        const rows = await sql.unsafe(`SELECT ${number} * 1000 + ${turn % 4} + $1::int AS n`, [turn], { prepare: true });
        assert.deepEqual(rowsOf(rows), [{ n: number * 1000 + (turn % 4) + turn }]);
      }
    })));
    await using(async (sql) => assert.equal((await sql`SELECT ${1}::int AS n`)[0].n, 1), { prepare: false });
  },

  async types_text() {
    await using(async (sql) => {
      const moment = new Date('2024-02-29T13:14:15.161Z');
      const bytes = Buffer.from(numbers(256));
      const [row] = await sql`SELECT ${bytes}::bytea b, ${moment}::timestamptz m, ${sql.json({ a: [1, null] })}::jsonb j,
        ${[1, 2]}::int[] a, ${'grün \u2603'}::text t, ${true}::bool f, ${0.1}::float8 d`;
      assert.deepEqual({ ...row }, { b: bytes, m: moment, j: { a: [1, null] }, a: [1, 2], t: 'grün \u2603', f: true, d: 0.1 });
    });
  },

  async types_binary() {
    throw new Skip('the driver speaks text only');
  },

  async nulls() {
    await using(async (sql) => {
      assert.deepEqual(rowsOf(await sql`SELECT ${null}::int AS a, ${null}::text AS b, ${null}::jsonb AS c`), [{ a: null, b: null, c: null }]);
    });
  },

  async transactions() {
    await using((sql) => using(async (other) => {
      await sql`CREATE TABLE ledger (n int)`;
      await assert.rejects(sql.begin(async (transaction) => {
        await transaction`INSERT INTO ledger VALUES (${1})`;
        assert.equal((await other`SELECT n FROM ledger`).length, 0);
        throw new Error('changed my mind');
      }), /changed my mind/);
      // Sent all at once, in one pipeline.
      await sql.begin((transaction) => [transaction`INSERT INTO ledger VALUES (${2})`, transaction`INSERT INTO ledger VALUES (${3})`]);
      assert.deepEqual(rowsOf(await other`SELECT n FROM ledger ORDER BY n`), [{ n: 2 }, { n: 3 }]);
    }));
  },

  async savepoints() {
    await using(async (sql) => {
      await sql`CREATE TABLE saved (n int)`;
      await sql.begin(async (transaction) => {
        await transaction`INSERT INTO saved VALUES (1)`;
        await assert.rejects(transaction.savepoint(async (inner) => {
          await inner`INSERT INTO saved VALUES (2)`;
          await inner`SELECT 1 / ${0}::int`;
        }), { code: '22012' });
        await transaction`INSERT INTO saved VALUES (3)`;
      });
      assert.deepEqual(rowsOf(await sql`SELECT n FROM saved ORDER BY n`), [{ n: 1 }, { n: 3 }]);
    });
  },

  async errors() {
    await using(async (sql) => {
      await assert.rejects(sql`SELECT * FROM nowhere`, { code: '42P01', position: '15' });
      await assert.rejects(sql`SELEKT ${1}`, { code: '42601' });
      await assert.rejects(sql`SELECT ${'x'}::text::int`, { code: '22P02' });
      const all = await Promise.allSettled(numbers(30).map((n) => sql`SELECT 10 / ${n % 3}::int AS q`));
      assert.deepEqual(all.map((one) => one.status), numbers(30).map((n) => (n % 3 ? 'fulfilled' : 'rejected')));
      assert.deepEqual(rowsOf(await sql`SELECT 3 AS n`), [{ n: 3 }]);
    });
  },

  async pipelining() {
    await using(async (sql) => {
      const results = await Promise.all(numbers(500).map((n) => sql`SELECT ${n}::int AS n`));
      assert.deepEqual(results.map((rows) => rows[0].n), numbers(500));
    });
  },

  async copy() {
    await using(async (sql) => {
      await sql`CREATE TABLE copied (n int, note text)`;
      const lines = numbers(10000).map((n) => `${n}\tnote ${n}\n`);
      await pipeline(Readable.from(lines), await sql`COPY copied FROM STDIN`.writable());
      assert.deepEqual(rowsOf(await sql`SELECT count(*)::int AS n FROM copied`), [{ n: 10000 }]);
      // Last on its connection: when the last chunk fills the stream's buffer, the driver (3.4.9) pauses its socket for good, behind
      // Postgres itself as well.
      let out = '';
      for await (const chunk of await sql`COPY (SELECT n FROM copied ORDER BY n) TO STDOUT`.readable()) out += chunk;
      assert.equal(out, numbers(10000).map((n) => `${n}\n`).join(''));
    });
  },

  async row_limit() {
    await using(async (sql) => {
      let total = 0;
      for await (const rows of sql`SELECT g FROM generate_series(1, 1000) g`.cursor(70)) {
        for (const row of rows) total += row.g;
      }
      assert.equal(total, 500500);
      for await (const rows of sql`SELECT g FROM generate_series(1, 1000) g`.cursor(3)) {
        assert.equal(rows.length, 3);
        break;
      }
      assert.deepEqual(rowsOf(await sql`SELECT 1 AS n`), [{ n: 1 }]);
    });
  },

  async concurrency() {
    await using(async (sql) => {
      await sql`CREATE TABLE counter (n int)`;
      await sql`INSERT INTO counter VALUES (0)`;
      await Promise.all(numbers(tasks).map(async (number) => {
        for (const turn of numbers(rounds)) {
          await sql.begin(async (transaction) => {
            await transaction`UPDATE counter SET n = n + 1`;
            const rows = await transaction`SELECT ${number}::int + ${turn}::int AS n`;
            assert.deepEqual(rowsOf(rows), [{ n: number + turn }]);
          });
        }
      }));
      assert.deepEqual(rowsOf(await sql`SELECT n FROM counter`), [{ n: tasks * rounds }]);
    }, { max: 20 });
  },

  async cancel() {
    await using(async (sql) => {
      const query = sql`SELECT pg_sleep(30)`.execute();
      await sleep(300);
      await query.cancel();
      await assert.rejects(query, { code: '57014' });
      assert.deepEqual(rowsOf(await sql`SELECT 5 AS n`), [{ n: 5 }]);
    });
  },

  async timeout() {
    await using(async (sql) => {
      await assert.rejects(sql`SELECT pg_sleep(30)`, { code: '57014' });
      assert.deepEqual(rowsOf(await sql`SELECT 5 AS n`), [{ n: 5 }]);
    }, { connection: { statement_timeout: 200 } });
  },

  async listen() {
    await using(async (sql) => {
      let hear;
      const heard = new Promise((resolve) => { hear = resolve; });
      const { unlisten } = await sql.listen('news', hear);
      await sql.notify('news', 'one');
      assert.equal(await heard, 'one');
      await unlisten();
    });
  },

  async settings() {
    const clients = numbers(serverConnections * 2).map(() => open());
    for (const [number, sql] of clients.entries()) await sql.unsafe(`SET work_mem = '${number + 1}MB'`);
    for (const turn of numbers(3)) {
      for (const [number, sql] of clients.entries()) {
        const rows = await sql`SELECT current_setting('work_mem') AS m, ${turn}::int AS t`;
        assert.deepEqual(rowsOf(rows), [{ m: `${number + 1}MB`, t: turn }]);
      }
    }
    await Promise.all(clients.map((sql) => sql.end({ timeout: 5 })));
  },

  async large_value() {
    await using(async (sql) => {
      const [row] = await sql`SELECT ${large}::bytea AS value`;
      assert.ok(large.equals(row.value));
    });
  },

  async reconnect() {
    await using((sql) => using(async (killer) => {
      await sql`SELECT 1`;
      await killer.unsafe(terminateOthers);
      assert.deepEqual(rowsOf(await sql`SELECT 1 AS n`), [{ n: 1 }]);
      await assert.rejects(sql.begin(async (transaction) => {
        await transaction`SELECT 1`;
        await killer.unsafe(terminateOthers);
        await transaction`SELECT 1`;
      }));
      assert.deepEqual(rowsOf(await sql`SELECT 2 AS n`), [{ n: 2 }]);
    }));
  },
});
