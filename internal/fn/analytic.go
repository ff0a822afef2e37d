package fn

// Analytic functions look at the rows before the one at hand (saql.md 8, 11). The engine
// has them as operators, so what stands here is their manual.

// IsAnalytic reports whether a name is an analytic function, without case. Aggregates with
// OVER are not meant.
func IsAnalytic(name string) bool {
	f, ok := LookupForm(name)
	return ok && f.Kind == analyticKind
}

const analyticKind = "analytic function"

var lagForm = Form{
	Name:   "LAG",
	Kind:   analyticKind,
	Syntax: "LAG(e [, offset [, default]]) OVER ([PARTITION BY key, ...] LIMIT DURATION(unit, n) [WHEN condition])",
	Doc: Doc{
		Summary: "LAG returns the value of e in an earlier row of the same key, by default the one before. " +
			"Without such a row within the duration it gives the default, or NULL. LAG(*) gives the row as a record.",
		Section: "8.2",
		Story: &Story{
			Query: `SELECT v, LAG(v) OVER (LIMIT DURATION(second, 10)) AS before,
  LAG(v, 2, -1) OVER (LIMIT DURATION(second, 10)) AS two
FROM input TIMESTAMP BY time`,
			Events: []string{
				`{"v":7,"time":"2024-01-01T00:00:01Z"}`,
				`{"v":3,"time":"2024-01-01T00:00:04Z"}`,
				`{"v":9,"time":"2024-01-01T00:00:11Z"}`,
				`{"v":2,"time":"2024-01-01T00:00:12Z"}`,
			},
			Rows: []string{
				`{"v":7,"before":null,"two":-1}`,
				`{"v":3,"before":7,"two":-1}`,
				`{"v":9,"before":3,"two":-1}`,
				`{"v":2,"before":9,"two":3}`,
			},
		},
	},
}

var lastForm = Form{
	Name:   "LAST",
	Kind:   analyticKind,
	Syntax: "LAST(e [, default]) OVER ([PARTITION BY key, ...] LIMIT DURATION(unit, n) [WHEN condition])",
	Doc: Doc{
		Summary: "LAST returns the value of e in the newest row of the same key for which the condition is true, this row included.",
		Section: "8.3",
		Story: &Story{
			Query: `SELECT v, LAST(v) OVER (LIMIT DURATION(second, 10) WHEN v IS NOT NULL) AS known
FROM input TIMESTAMP BY time`,
			Events: []string{
				`{"v":7,"time":"2024-01-01T00:00:01Z"}`,
				`{"v":null,"time":"2024-01-01T00:00:04Z"}`,
				`{"v":null,"time":"2024-01-01T00:00:11Z"}`,
			},
			Rows: []string{
				`{"v":7,"known":7}`,
				`{"v":null,"known":7}`,
				`{"v":null,"known":null}`,
			},
		},
	},
}

var isFirstForm = Form{
	Name:   "ISFIRST",
	Kind:   analyticKind,
	Syntax: "ISFIRST(unit, n) [OVER ([PARTITION BY key, ...] [WHEN condition])]",
	Doc: Doc{
		Summary: "ISFIRST returns 1 for the first row of its key in each interval, else 0. Intervals are those of TumblingWindow(unit, n).",
		Section: "8.4",
		Story: &Story{
			Query: `SELECT v, ISFIRST(second, 10) AS first
FROM input TIMESTAMP BY time`,
			Events: []string{
				`{"v":1,"time":"2024-01-01T00:00:01Z"}`,
				`{"v":2,"time":"2024-01-01T00:00:10Z"}`,
				`{"v":3,"time":"2024-01-01T00:00:10.5Z"}`,
			},
			Rows: []string{
				`{"v":1,"first":1}`,
				`{"v":2,"first":0}`,
				`{"v":3,"first":1}`,
			},
		},
	},
}

var spikeForm = Form{
	Name:   "AnomalyDetection_SpikeAndDip",
	Kind:   analyticKind,
	Syntax: "AnomalyDetection_SpikeAndDip(x, confidence, historySize, mode) OVER ([PARTITION BY key, ...] LIMIT DURATION(unit, n) [WHEN condition])",
	Doc: Doc{
		Summary: "AnomalyDetection_SpikeAndDip returns a record with IsAnomaly, 1 if x is too high or low for the rows before it, and Score. " +
			"Confidence is a number from 1 to 100, mode is 'spikes', 'dips' or 'spikesanddips'.",
		Section: "11",
		Story: &Story{
			Query: `SELECT v, s.IsAnomaly AS odd, ROUND(s.Score, 6) AS score
FROM (
  SELECT v, AnomalyDetection_SpikeAndDip(v, 95, 4, 'spikes') OVER (LIMIT DURATION(minute, 1)) AS s
  FROM input TIMESTAMP BY time
) AS x`,
			Events: []string{
				`{"v":10,"time":"2024-01-01T00:00:01Z"}`,
				`{"v":12,"time":"2024-01-01T00:00:02Z"}`,
				`{"v":14,"time":"2024-01-01T00:00:03Z"}`,
			},
			Rows: []string{
				`{"v":10,"odd":0,"score":0.5}`,
				`{"v":12,"odd":0,"score":0.02275}`,
				`{"v":14,"odd":1,"score":0.011391}`,
			},
		},
	},
}

var changeForm = Form{
	Name:   "AnomalyDetection_ChangePoint",
	Kind:   analyticKind,
	Syntax: "AnomalyDetection_ChangePoint(x, confidence, historySize) OVER ([PARTITION BY key, ...] LIMIT DURATION(unit, n) [WHEN condition])",
	Doc: Doc{
		Summary: "AnomalyDetection_ChangePoint returns a record with IsAnomaly, 1 if the values of x have changed for some time, and Score.",
		Section: "11",
		Story: &Story{
			Query: `SELECT v, s.IsAnomaly AS changed
FROM (
  SELECT v, AnomalyDetection_ChangePoint(v, 80, 4) OVER (LIMIT DURATION(minute, 1)) AS s
  FROM input TIMESTAMP BY time
) AS x`,
			Events: []string{
				`{"v":10,"time":"2024-01-01T00:00:01Z"}`,
				`{"v":12,"time":"2024-01-01T00:00:02Z"}`,
				`{"v":30,"time":"2024-01-01T00:00:03Z"}`,
			},
			Rows: []string{
				`{"v":10,"changed":0}`,
				`{"v":12,"changed":0}`,
				`{"v":30,"changed":1}`,
			},
		},
	},
}
