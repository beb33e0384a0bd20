// What the Node.js programs share: the command line, and how checks are run and reported (see ../python/common.py).
'use strict';

const assert = require('node:assert/strict');

const [host, port, database, serverConnections] = process.argv.slice(2);

class Skip extends Error {}

async function program(name, version, checks) {
  console.log(`driver ${name} ${version}`);
  let failed = false;
  for (const [check, work] of Object.entries(checks)) {
    let timer;
    const tooLate = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('it takes more than 60 s')), 60000);
    });
    try {
      await Promise.race([work(), tooLate]);
      console.log(`ok ${check}`);
    } catch (error) {
      if (error instanceof Skip) {
        console.log(`skip ${check} ${error.message}`);
      } else {
        failed = true;
        console.error(error);
        console.log(`FAIL ${check} ${String(error).replace(/\n/g, ' ')}`);
      }
    } finally {
      clearTimeout(timer);
    }
  }
  process.exit(failed ? 1 : 0);
}

module.exports = {
  assert,
  Skip,
  program,
  host,
  port: Number(port),
  database,
  serverConnections: Number(serverConnections),
  user: 'postgres',
  tasks: 50,
  rounds: 10,
  large: Buffer.alloc(10 * 1024 * 1024, Buffer.from(Array.from({ length: 256 }, (_, n) => n))),
  sleep: (ms) => new Promise((resolve) => { setTimeout(resolve, ms); }),
  terminateOthers: `SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
};
