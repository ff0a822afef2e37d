package fn

// partForm is a word that stands inside a window only.
func partForm(name, kind, syntax, summary string, story *Story) Form {
	return Form{Name: name, Kind: kind, Syntax: syntax, Doc: Doc{Summary: summary, Section: "2.5", Story: story}}
}

// spelledWindow is a window with its durations spelt out.
var spelledWindow = &Story{
	Query: `SELECT COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY HoppingWindow(Duration(second, 10), Hop(second, 5), Offset(millisecond, -1))`,
	Events: []string{`{"time":"2024-01-01T00:00:05Z"}`},
	Rows: []string{
		`{"n":1,"t":"2024-01-01T00:00:09.9990000Z"}`,
		`{"n":1,"t":"2024-01-01T00:00:14.9990000Z"}`,
	},
}

// spelledSession is a session with its durations spelt out.
var spelledSession = &Story{
	Query: `SELECT COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY SessionWindow(Timeout(second, 5), MaxDuration(minute, 1))`,
	Events: []string{`{"time":"2024-01-01T00:00:01Z"}`, `{"time":"2024-01-01T00:00:04Z"}`},
	Rows:   []string{`{"n":2,"t":"2024-01-01T00:00:09.0000000Z"}`},
}

// partForms are the arguments of windows that have names.
var partForms = []Form{
	partForm("Duration", "argument of a window", "Duration(unit, n)", "Duration is the size of a window, or what LIMIT DURATION looks back.", spelledWindow),
	partForm("Hop", "argument of a window", "Hop(unit, n)", "Hop is how far apart the windows of HoppingWindow start.", spelledWindow),
	partForm("Offset", "argument of a window", "Offset(unit, n)", "Offset moves the ends of windows; it may be negative.", spelledWindow),
	partForm("Timeout", "argument of a window", "Timeout(unit, n)", "Timeout is the gap that ends a session.", spelledSession),
	partForm("MaxDuration", "argument of a window", "MaxDuration(unit, n)", "MaxDuration bounds a session: it is cut at multiples of it.", spelledSession),
}

var udfForm = Form{
	Name:   "UDF",
	Kind:   "user function",
	Syntax: "UDF.name(argument, ...), CREATE FUNCTION name AS 'function name(...) { ... }'",
	Doc: Doc{
		Summary: "UDF calls a function in JavaScript for each row. A function is declared with the job or, here, in the script.",
		Section: "10",
		Story: &Story{
			Query:  "CREATE FUNCTION hex AS 'function hex(text) { return parseInt(text, 16) }';\nSELECT UDF.hex(v) AS n FROM input",
			Events: []string{`{"v":"ff"}`},
			Rows:   []string{`{"n":255}`},
		},
	},
}

var udaForm = Form{
	Name:   "UDA",
	Kind:   "user function",
	Syntax: "UDA.name(argument), CREATE AGGREGATE name [RETURNS type] AS 'function name() { this.init = ...; this.accumulate = ...; this.computeResult = ... }'",
	Doc: Doc{
		Summary: "UDA calls an aggregate in JavaScript over the rows of a window.",
		Section: "10.4",
		Story: &Story{
			Query: `CREATE AGGREGATE longest RETURNS nvarchar(max) AS '
  function longest() {
    this.init = function () { this.best = null };
    this.accumulate = function (v, t) { if (this.best === null || v.length > this.best.length) this.best = v };
    this.computeResult = function () { return this.best };
  }';
SELECT UDA.longest(v) AS longest FROM input TIMESTAMP BY time GROUP BY TumblingWindow(second, 10)`,
			Events: []string{`{"v":"a","time":"2024-01-01T00:00:01Z"}`, `{"v":"abc","time":"2024-01-01T00:00:02Z"}`},
			Rows:   []string{`{"longest":"abc"}`},
		},
	},
}
