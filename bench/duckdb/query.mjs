// Runs one query in DuckDB on one thread and prints what it cost.
//
// Standard input is {"sql": "..."}. The rows are written to the null device as JSON lines,
// as Weir's are. Standard output is {"rows", "seconds", "cpuSeconds", "peakBytes"}: the
// times of the query alone, without the start of the process, and the peak memory of the
// whole process.
import { DuckDBInstance } from '@duckdb/node-api';

let input = '';
for await (const piece of process.stdin) input += piece;
const { sql } = JSON.parse(input);

const db = await DuckDBInstance.create(':memory:', { threads: '1' });
const connection = await db.connect();
await connection.run('SET threads=1');

const cpu = () => {
  const u = process.resourceUsage();
  return (u.userCPUTime + u.systemCPUTime) / 1e6;
};

const cpuBefore = cpu();
const start = process.hrtime.bigint();
const result = await connection.runAndReadAll(`COPY (${sql}) TO '/dev/null' (FORMAT json)`);
const rows = Number(result.getRows()[0][0]);
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
const peakBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ rows, seconds, cpuSeconds: cpu() - cpuBefore, peakBytes }));
