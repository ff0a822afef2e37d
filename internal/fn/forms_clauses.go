package fn

// clauseForms are the clauses of a query.
var clauseForms = []Form{
	{
		Name:   "APPLY",
		Kind:   "clause",
		Syntax: "FROM source CROSS APPLY GetArrayElements(array) AS e, FROM source CROSS APPLY GetRecordProperties(record) AS e, FROM source OUTER APPLY ...",
		Doc: Doc{
			Summary: "APPLY gives a row for each element of an array or property of a record. CROSS leaves a row without elements out, OUTER keeps it.",
			Section: "6.7",
			Story: &Story{
				Query:  "SELECT i.id, e.ArrayValue AS v\nFROM input i CROSS APPLY GetArrayElements(i.list) AS e",
				Events: []string{`{"id":1,"list":[7,8]}`, `{"id":2,"list":[]}`},
				Rows:   []string{`{"id":1,"v":7}`, `{"id":1,"v":8}`},
			},
		},
	},
	{
		Name:   "CREATE TABLE",
		Kind:   "clause",
		Syntax: "CREATE TABLE input (column type, ...)",
		Doc: Doc{
			Summary: "CREATE TABLE declares the columns of an input and their types: bigint, float, nvarchar(max), datetime, bit, record, array. Other columns cannot be read, and an event that does not fit is dropped. Text of a CSV file is read as the type.",
			Section: "3.3",
			Story: &Story{
				Query:  "CREATE TABLE input (id bigint, v float);\nSELECT id, v FROM input",
				Events: []string{`{"id":1,"v":2}`, `{"id":"?","v":3}`, `{"id":4}`},
				Rows:   []string{`{"id":1,"v":2.0}`, `{"id":4,"v":null}`},
			},
		},
	},
	{
		Name:   "GROUP BY",
		Kind:   "clause",
		Syntax: "GROUP BY [key, ...,] window, GROUP BY [key, ...,] System.Timestamp()",
		Doc: Doc{
			Summary: "GROUP BY makes a row of each group of rows with equal keys in a window. A stream has no end, so there must be a window, or System.Timestamp() for rows with equal times. HAVING keeps groups.",
			Section: "5.8",
			Story: &Story{
				Query: "SELECT k, COUNT(*) AS n, System.Timestamp() AS t\nFROM input TIMESTAMP BY time\nGROUP BY k, TumblingWindow(second, 10)\nHAVING COUNT(*) > 1",
				Events: []string{
					`{"k":"a","time":"2024-01-01T00:00:01Z"}`,
					`{"k":"b","time":"2024-01-01T00:00:02Z"}`,
					`{"k":"a","time":"2024-01-01T00:00:03Z"}`,
				},
				Rows: []string{`{"k":"a","n":2,"t":"2024-01-01T00:00:10.0000000Z"}`},
			},
		},
	},
	{
		Name:   "OVER",
		Kind:   "clause",
		Syntax: "function(...) OVER ([PARTITION BY key, ...] LIMIT DURATION(unit, n) [WHEN condition]), TopOne() OVER (ORDER BY e [DESC], ...)",
		Doc: Doc{
			Summary: "OVER says which rows before this one a function sees: those with equal keys, within the duration, for which the condition is true. LAG, LAST, ISFIRST, SUM, AVG, MIN, MAX, COUNT, Collect, TopOne and CollectTop take it. In GROUP BY it stands behind TopOne, CollectTop and percentiles, with the order.",
			Section: "8",
			Story: &Story{
				Query: "SELECT k, v, SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 10)) AS total\nFROM input TIMESTAMP BY time",
				Events: []string{
					`{"k":"a","v":1,"time":"2024-01-01T00:00:01Z"}`,
					`{"k":"b","v":2,"time":"2024-01-01T00:00:02Z"}`,
					`{"k":"a","v":3,"time":"2024-01-01T00:00:03Z"}`,
					`{"k":"a","v":4,"time":"2024-01-01T00:01:00Z"}`,
				},
				Rows: []string{
					`{"k":"a","v":1,"total":1}`,
					`{"k":"b","v":2,"total":2}`,
					`{"k":"a","v":3,"total":4}`,
					`{"k":"a","v":4,"total":4}`,
				},
			},
		},
	},
	{
		Name:   "TIMESTAMP BY",
		Kind:   "clause",
		Syntax: "FROM input TIMESTAMP BY e [OVER key, ...]",
		Doc: Doc{
			Summary: "TIMESTAMP BY says which time an event has; else it is that of its arrival. Events whose e is no time are dropped. With OVER each key has a clock of its own, so that a slow one makes no other late.",
			Section: "4.2",
			Story: &Story{
				Query: "SELECT v, System.Timestamp() AS t\nFROM input TIMESTAMP BY DATEADD(second, s, '2024-01-01T00:00:00Z')",
				Events: []string{
					`{"v":1,"s":30}`,
					`{"v":2,"s":null}`,
				},
				Rows: []string{`{"v":1,"t":"2024-01-01T00:00:30.0000000Z"}`},
			},
		},
	},
	{
		Name:   "UNION",
		Kind:   "clause",
		Syntax: "SELECT ... UNION [ALL] SELECT ...",
		Doc: Doc{
			Summary: "UNION gives the rows of all queries, in the order of time; equal rows stay. The columns must have the same names.",
			Section: "6.8",
			Story: &Story{
				Query: "SELECT a AS v FROM input TIMESTAMP BY time\nUNION\nSELECT b AS v FROM input TIMESTAMP BY time WHERE b IS NOT NULL",
				Events: []string{
					`{"a":1,"b":2,"time":"2024-01-01T00:00:01Z"}`,
					`{"a":3,"time":"2024-01-01T00:00:02Z"}`,
				},
				Rows: []string{`{"v":1}`, `{"v":2}`, `{"v":3}`},
			},
		},
	},
	{
		Name:   "WITH",
		Kind:   "clause",
		Syntax: "WITH step AS (SELECT ...), ... SELECT ... [INTO output] FROM step ...",
		Doc: Doc{
			Summary: "WITH names the rows of a query, for other queries of the script to read. A script may have several queries, each with an output of its own.",
			Section: "2.2",
			Story: &Story{
				Query: "WITH hot AS (\n  SELECT k, v FROM input TIMESTAMP BY time WHERE v > 10\n)\nSELECT COUNT(*) AS n FROM hot GROUP BY TumblingWindow(second, 10)",
				Events: []string{
					`{"k":"a","v":11,"time":"2024-01-01T00:00:01Z"}`,
					`{"k":"b","v":12,"time":"2024-01-01T00:00:02Z"}`,
					`{"k":"a","v":3,"time":"2024-01-01T00:00:03Z"}`,
				},
				Rows: []string{`{"n":2}`},
			},
		},
	},
}
