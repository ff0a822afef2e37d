package main

import (
	"strings"

	"weir/internal/generate"
)

// benchQuery is a standard query: our text and the same in DuckDB's SQL. In both, the
// events are those of "weir generate downtime".
type benchQuery struct {
	ID   string
	What string
	SAQL string
	// SQL reads $EVENTS(columns), which becomes a read_json of just those columns. Times
	// are milliseconds; windows are (start, end], so a second is named by its end.
	SQL string
	// ManyKeys asks for events of 100,000 teams, ManyRate for that many a second of event
	// time: 10,000, as with the other data, or so many that each team has as many as there.
	ManyKeys bool
	ManyRate int
	// Teams gives the query the reference data "teams", which the text for DuckDB reads
	// as $TEAMS: a row for each of the many teams.
	Teams bool
	// Nexmark asks for the events of "weir generate nexmark", and the table "side".
	Nexmark bool
}

// suites are the sets of queries by name.
var suites = map[string][]benchQuery{"standard": benchQueries, "nexmark": nexmarkQueries}

// second is the end of the window (s-1, s] that an event lies in.
const second = `(epoch_ms(Date) + 999) // 1000`

// averageSAQL and averageSQL are Q4, Q4k and Q4d.
const (
	averageSAQL = `SELECT TeamId, System.Timestamp() AS Time, AVG(StatusCode) AS a
FROM events TIMESTAMP BY Date
GROUP BY TeamId, HoppingWindow(second, 10, 1)`
	averageSQL = `WITH pane AS (
  SELECT TeamId, ` + second + ` AS s, SUM(StatusCode) AS x, COUNT(*) AS n
  FROM $EVENTS(TeamId, Date, StatusCode) GROUP BY TeamId, s)
SELECT TeamId, s + u AS t, SUM(x) / SUM(n) AS a
FROM pane, (SELECT unnest(range(10)) AS u) GROUP BY TeamId, t`
)

// sessionSAQL and sessionSQL are Q5a and Q5c, which close few sessions and many.
const (
	sessionSAQL = `SELECT ServiceId, MIN(CAST(Date AS datetime)) AS t0, MAX(CAST(Date AS datetime)) AS t1, COUNT(*) AS c
FROM events TIMESTAMP BY Date
WHERE StatusCode = 500
GROUP BY ServiceId, SessionWindow(second, $GAP, 3600) OVER (PARTITION BY ServiceId)`
	sessionSQL = `WITH e AS (
  SELECT ServiceId, Date, Date - LAG(Date) OVER (PARTITION BY ServiceId ORDER BY Date) > INTERVAL $GAP second AS gap
  FROM $EVENTS(ServiceId, Date, StatusCode) WHERE StatusCode = 500),
n AS (
  SELECT ServiceId, Date, SUM(CASE WHEN gap THEN 1 ELSE 0 END)
    OVER (PARTITION BY ServiceId ORDER BY Date ROWS UNBOUNDED PRECEDING) AS session
  FROM e)
SELECT ServiceId, MIN(Date) AS t0, MAX(Date) AS t1, COUNT(*) AS c FROM n GROUP BY ServiceId, session`
)

// benchQueries are the standard queries, in the order in which they run.
var benchQueries = []benchQuery{
	{
		ID: "Q0", What: "pass through",
		SAQL: `SELECT * FROM events TIMESTAMP BY Date`,
		SQL:  `SELECT * FROM $EVENTS(TeamId, ServiceId, Date, StatusCode, Status)`,
	},
	{
		ID: "Q1", What: "filter, 3 of 5 fields",
		SAQL: `SELECT TeamId, ServiceId, StatusCode
FROM events TIMESTAMP BY Date
WHERE StatusCode >= 500`,
		SQL: `SELECT TeamId, ServiceId, StatusCode FROM $EVENTS(TeamId, ServiceId, StatusCode) WHERE StatusCode >= 500`,
	},
	{
		ID: "Q2", What: "count by team, tumbling 1 s",
		SAQL: `SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS c
FROM events TIMESTAMP BY Date
GROUP BY TeamId, TumblingWindow(second, 1)`,
		SQL: `SELECT TeamId, ` + second + ` AS s, COUNT(*) AS c FROM $EVENTS(TeamId, Date) GROUP BY TeamId, s`,
	},
	{
		ID: "Q3", What: "downtime in two steps",
		SAQL: `WITH step AS (
  SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS Cnt
  FROM events TIMESTAMP BY Date
  WHERE Status = 0
  GROUP BY TeamId, TumblingWindow(second, 1)
)
SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS DownSeconds, SUM(Cnt) AS Failures
FROM step
GROUP BY TeamId, TumblingWindow(minute, 1)`,
		SQL: `WITH step AS (
  SELECT TeamId, ` + second + ` AS s, COUNT(*) AS n
  FROM $EVENTS(TeamId, Date, Status) WHERE NOT Status GROUP BY TeamId, s)
SELECT TeamId, (s + 59) // 60 AS m, COUNT(*) AS DownSeconds, SUM(n) AS Failures
FROM step GROUP BY TeamId, m`,
	},
	{
		ID: "Q4", What: "average by team, hopping 10 s / 1 s",
		SAQL: averageSAQL, SQL: averageSQL,
	},
	{
		ID: "Q4k", What: "Q4 with 100,000 teams",
		SAQL: averageSAQL, SQL: averageSQL, ManyKeys: true, ManyRate: generate.DefaultRate,
	},
	{
		ID: "Q4d", What: "Q4k at 1,000,000 events/s",
		SAQL: averageSAQL, SQL: averageSQL, ManyKeys: true, ManyRate: 1_000_000,
	},
	{
		ID: "Q5a", What: "sessions of a service, 5 s",
		SAQL: strings.ReplaceAll(sessionSAQL, "$GAP", "5"), SQL: strings.ReplaceAll(sessionSQL, "$GAP", "5"),
	},
	{
		ID: "Q5c", What: "sessions of a service, 1 s",
		SAQL: strings.ReplaceAll(sessionSAQL, "$GAP", "1"), SQL: strings.ReplaceAll(sessionSQL, "$GAP", "1"),
	},
	{
		ID: "Q5b", What: "sliding 10 s, count > 120",
		SAQL: `SELECT TeamId, System.Timestamp() AS t, COUNT(*) AS c
FROM events TIMESTAMP BY Date
WHERE StatusCode = 503
GROUP BY TeamId, SlidingWindow(second, 10)
HAVING COUNT(*) > 120`,
		SQL: `WITH e AS MATERIALIZED (
  SELECT TeamId, epoch_ms(Date) AS t FROM $EVENTS(TeamId, Date, StatusCode) WHERE StatusCode = 503),
change AS (
  SELECT TeamId, t, SUM(x) AS x FROM (
    SELECT TeamId, t, 1 AS x FROM e UNION ALL SELECT TeamId, t + 10000, -1 FROM e)
  GROUP BY TeamId, t),
level AS (
  SELECT TeamId, t, SUM(x) OVER (PARTITION BY TeamId ORDER BY t ROWS UNBOUNDED PRECEDING) AS c FROM change)
SELECT TeamId, t, c FROM level WHERE c > 120`,
	},
	{
		ID: "Q6", What: "self join by service, 0 to 5 s",
		SAQL: `SELECT a.ServiceId, a.Date AS t1, b.Date AS t2
FROM events a TIMESTAMP BY Date
JOIN events b TIMESTAMP BY Date ON a.ServiceId = b.ServiceId AND DATEDIFF(second, a, b) BETWEEN 0 AND 5
WHERE a.StatusCode = 500 AND b.StatusCode = 200`,
		// Five-second buckets: 2.7 times faster there than the condition on times alone.
		SQL: `WITH e AS MATERIALIZED (
  SELECT ServiceId, Date, StatusCode, epoch_ms(Date) // 5000 AS k FROM $EVENTS(ServiceId, Date, StatusCode)
  WHERE StatusCode IN (500, 200))
SELECT a.ServiceId, a.Date AS t1, b.Date AS t2
FROM (SELECT *, unnest([k, k + 1]) AS bucket FROM e WHERE StatusCode = 500) a
JOIN (SELECT * FROM e WHERE StatusCode = 200) b
ON a.ServiceId = b.ServiceId AND a.bucket = b.k AND b.Date BETWEEN a.Date AND a.Date + INTERVAL 5 second`,
	},
	{
		ID: "Q7", What: "LAG by service",
		SAQL: `WITH step AS (
  SELECT ServiceId, Date, StatusCode,
    LAG(StatusCode) OVER (PARTITION BY ServiceId LIMIT DURATION(minute, 1)) AS before
  FROM events TIMESTAMP BY Date
)
SELECT ServiceId, Date, StatusCode, before FROM step WHERE StatusCode >= 500 AND before < 300`,
		SQL: `SELECT ServiceId, Date, StatusCode, before FROM (
  SELECT ServiceId, Date, StatusCode, LAG(StatusCode) OVER (PARTITION BY ServiceId ORDER BY Date) AS before
  FROM $EVENTS(ServiceId, Date, StatusCode))
WHERE StatusCode >= 500 AND before < 300`,
	},
	{
		ID: "Q8", What: "look-up in 100,000 rows of reference data",
		SAQL: `SELECT r.Region, System.Timestamp() AS Time, COUNT(*) AS c
FROM events e TIMESTAMP BY Date JOIN teams r ON e.TeamId = r.TeamId
GROUP BY r.Region, TumblingWindow(second, 1)`,
		SQL: `SELECT r.Region, ` + second + ` AS s, COUNT(*) AS c
FROM $EVENTS(TeamId, Date) e JOIN $TEAMS r ON e.TeamId = r.TeamId GROUP BY r.Region, s`,
		ManyKeys: true, ManyRate: generate.DefaultRate, Teams: true,
	},
	{
		ID: "Q9", What: "pattern: fine, errors, fine again within 5 s",
		SAQL: `SELECT * FROM events TIMESTAMP BY Date
MATCH_RECOGNIZE (
  LIMIT DURATION(second, 5)
  PARTITION BY ServiceId
  MEASURES First(Fine.ServiceId) AS ServiceId, First(Fine.Date) AS t0, Last(Again.Date) AS t1
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (Fine Wrong+ Again)
  DEFINE Fine AS Fine.StatusCode = 200, Wrong AS Wrong.StatusCode >= 500, Again AS Again.StatusCode = 200
) AS m`,
	},
	{
		ID: "Q10", What: "a JavaScript function of every event",
		SAQL: `CREATE FUNCTION odd AS 'function odd(code) { return code % 7 }';
SELECT ServiceId, Date, StatusCode FROM events TIMESTAMP BY Date WHERE UDF.odd(StatusCode) = 3`,
	},
}
