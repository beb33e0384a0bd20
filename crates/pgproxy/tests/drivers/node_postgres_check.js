// Drives node-postgres through the proxy. Usage: node_postgres_check.js HOST PORT DATABASE SERVER_CONNECTIONS
//
// The pool behind the proxy has SERVER_CONNECTIONS connections; the checks use more clients than that. Each check prints its
// name when it passed; the first that fails ends the program with its error.
'use strict';

const assert = require('node:assert/strict');
const { Client, Pool } = require('pg');

const [host, port, database, serverConnections] = process.argv.slice(2);
const options = { host, port: Number(port), database, user: 'postgres', connectionTimeoutMillis: 20000 };
const clients = Number(serverConnections) * 3;

async function withClient(work, more = {}) {
  const client = new Client({ ...options, ...more });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const checks = {
  async simpleAndParameters() {
    await withClient(async (client) => {
      const simple = await client.query('SELECT 1 AS one; SELECT 2 AS two');
      assert.deepEqual(simple.map((result) => result.rows), [[{ one: 1 }], [{ two: 2 }]]);
      const { rows } = await client.query('SELECT $1::int AS n, $2::text AS t, $3::text AS z', [42, "grün 'x'", null]);
      assert.deepEqual(rows, [{ n: 42, t: "grün 'x'", z: null }]);
      const many = await client.query('SELECT g FROM generate_series(1, $1::int) g', [5000]);
      assert.equal(many.rowCount, 5000);
      assert.equal(many.rows[4999].g, 5000);
    });
  },

  async namedStatements() {
    const pool = new Pool({ ...options, max: clients });
    try {
      await Promise.all(Array.from({ length: clients * 40 }, async (_, turn) => {
        const shape = turn % 7;
        const { rows } = await pool.query({
          name: `shape-${shape}`,
          text: `SELECT ${shape} + $1::int AS n`,
          values: [turn],
        });
        assert.deepEqual(rows, [{ n: shape + turn }]);
      }));
    } finally {
      await pool.end();
    }
  },

  async sameNameOtherTextPerClient() {
    await Promise.all(Array.from({ length: clients }, (_, number) => withClient(async (client) => {
      for (let turn = 0; turn < 20; turn += 1) {
        const { rows } = await client.query({ name: 'mine', text: `SELECT ${number} * 1000 + $1::int AS n`, values: [turn] });
        assert.deepEqual(rows, [{ n: number * 1000 + turn }]);
      }
    })));
  },

  async transactionsAndRollback() {
    await withClient(async (client) => {
      await client.query('CREATE TABLE IF NOT EXISTS node_ledger (n int)');
      await client.query('TRUNCATE node_ledger');
      await client.query('BEGIN');
      await client.query('INSERT INTO node_ledger VALUES ($1)', [1]);
      await client.query('ROLLBACK');
      await client.query('BEGIN');
      await client.query('INSERT INTO node_ledger VALUES ($1)', [2]);
      await client.query('COMMIT');
      const { rows } = await client.query('SELECT n FROM node_ledger');
      assert.deepEqual(rows, [{ n: 2 }]);
    });
  },

  async errorsLeaveTheSessionInStep() {
    await withClient(async (client) => {
      await assert.rejects(client.query('SELECT * FROM nowhere'), { code: '42P01', position: '15' });
      await assert.rejects(client.query('SELECT $1::int', ['x']), { code: '22P02' });
      await assert.rejects(client.query({ name: 'broken', text: 'SELEKT 1' }), { code: '42601' });
      await client.query('BEGIN');
      await assert.rejects(client.query('SELECT 1 / 0'), { code: '22012' });
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await client.query('ROLLBACK');
      assert.deepEqual((await client.query('SELECT 3 AS n')).rows, [{ n: 3 }]);
    });
  },

  async queuedQueries() {
    await withClient(async (client) => {
      const results = await Promise.all(Array.from({ length: 200 }, (_, n) => client.query('SELECT $1::int AS n', [n])));
      assert.deepEqual(results.map((result) => result.rows[0].n), Array.from({ length: 200 }, (_, n) => n));
    });
  },

  async wrongDatabaseIsToldAtOnce() {
    const client = new Client({ ...options, database: 'no_such_database' });
    await assert.rejects(async () => {
      await client.connect();
      await client.query('SELECT 1');
    }, (error) => /no_such_database|database/.test(error.message) && /^(3D000|08\w{3}|28\w{3})$/.test(error.code));
    await client.end().catch(() => {});
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(name);
  }
  console.log('all checks passed');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
