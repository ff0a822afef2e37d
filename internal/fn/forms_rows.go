package fn

// Forms of FROM: what gives rows, or takes several.

var joinForm = Form{
	Name:   "JOIN",
	Kind:   "clause",
	Syntax: "FROM a JOIN b ON a.k = b.k AND DATEDIFF(unit, a, b) BETWEEN x AND y, FROM a LEFT JOIN b ON ..., FROM a JOIN reference r ON a.k = r.k",
	Doc: Doc{
		Summary: "JOIN pairs the rows of two streams whose times lie within a bound, or looks rows up in the version of the reference data that is in force at their time. LEFT keeps rows without a partner.",
		Section: "6",
		Story: &Story{
			Query: `SELECT a.v AS a, b.v AS b, System.Timestamp() AS t
FROM input a TIMESTAMP BY time
LEFT JOIN input b TIMESTAMP BY time ON a.v + 1 = b.v AND DATEDIFF(second, a, b) BETWEEN 0 AND 5`,
			Events: []string{
				`{"v":1,"time":"2024-01-01T00:00:01Z"}`,
				`{"v":2,"time":"2024-01-01T00:00:04Z"}`,
			},
			Rows: []string{
				`{"a":1,"b":2,"t":"2024-01-01T00:00:04.0000000Z"}`,
				`{"a":2,"b":null,"t":"2024-01-01T00:00:09.0000000Z"}`,
			},
		},
	},
}

var arrayElementsForm = Form{
	Name:   "GetArrayElements",
	Kind:   "function of APPLY",
	Syntax: "FROM source CROSS APPLY GetArrayElements(array) AS e, FROM source OUTER APPLY GetArrayElements(array) AS e",
	Doc: Doc{
		Summary: "GetArrayElements gives, in APPLY, a row for each element of an array: e.ArrayIndex, from 0, and e.ArrayValue. OUTER APPLY keeps a row whose array is empty or NULL.",
		Section: "6.7",
		Story: &Story{
			Query:  "SELECT i.id, e.ArrayIndex, e.ArrayValue\nFROM input i OUTER APPLY GetArrayElements(i.list) AS e",
			Events: []string{`{"id":1,"list":[7,8]}`, `{"id":2,"list":[]}`},
			Rows: []string{
				`{"id":1,"ArrayIndex":0,"ArrayValue":7}`,
				`{"id":1,"ArrayIndex":1,"ArrayValue":8}`,
				`{"id":2,"ArrayIndex":null,"ArrayValue":null}`,
			},
		},
	},
}

var recordPropertiesForm = Form{
	Name:   "GetRecordProperties",
	Kind:   "function of APPLY",
	Syntax: "FROM source CROSS APPLY GetRecordProperties(record) AS e, FROM source OUTER APPLY GetRecordProperties(record) AS e",
	Doc: Doc{
		Summary: "GetRecordProperties gives, in APPLY, a row for each property of a record: e.PropertyName and e.PropertyValue.",
		Section: "6.7",
		Story: &Story{
			Query:  "SELECT i.id, e.PropertyName, e.PropertyValue\nFROM input i CROSS APPLY GetRecordProperties(i.readings) AS e",
			Events: []string{`{"id":1,"readings":{"temp":20.5,"door":"open"}}`},
			Rows: []string{
				`{"id":1,"PropertyName":"temp","PropertyValue":20.5}`,
				`{"id":1,"PropertyName":"door","PropertyValue":"open"}`,
			},
		},
	},
}

// matchStory shows MATCH_RECOGNIZE and its functions.
var matchStory = &Story{
	Query: `SELECT *
FROM input TIMESTAMP BY time
MATCH_RECOGNIZE (
  LIMIT DURATION(minute, 1)
  PARTITION BY dev
  MEASURES First(Low.v) AS least, Last(High.v) AS top, Classifier() AS rows
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (Low+ High)
  DEFINE Low AS Low.v < 5, High AS High.v >= 5
) AS m`,
	Events: []string{
		`{"dev":"a","v":1,"time":"2024-01-01T00:00:01Z"}`,
		`{"dev":"a","v":2,"time":"2024-01-01T00:00:03Z"}`,
		`{"dev":"a","v":7,"time":"2024-01-01T00:00:04Z"}`,
	},
	Rows: []string{
		`{"least":1,"top":7,"rows":["Low","Low","High"]}`,
		`{"least":2,"top":7,"rows":["Low","High"]}`,
	},
}
