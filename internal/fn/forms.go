package fn

import "slices"

// Form is a piece of the language that is written like a function and is not one: an
// expression of the engine or a window. It stands here for the manual only.
type Form struct {
	Name   string
	Kind   string // what it is, for people
	Syntax string
	Doc    Doc
}

// Forms lists them by name. Examples of expressions are calls over constants, as those
// of functions; what needs events has a story.
var Forms = sortedForms(expressionForms, partForms, clauseForms,
	[]Form{joinForm, arrayElementsForm, recordPropertiesForm, udfForm, udaForm})

func sortedForms(lists ...[]Form) []Form {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b Form) int { return compareNames(a.Name, b.Name) })
	return all
}

// called are the kinds of forms that are called like functions: a misspelt function may
// have meant them.
var called = map[string]bool{"expression": true, "window": true, "analytic function": true, "pattern function": true, "function of APPLY": true}

// expressionForms are the expressions, windows and patterns.
var expressionForms = []Form{
	changeForm,
	spikeForm,
	{
		Name:   "CASE",
		Kind:   "expression",
		Syntax: "CASE e WHEN value THEN result ... ELSE result END, CASE WHEN condition THEN result ... ELSE result END",
		Doc: Doc{
			Summary: "CASE gives the result of the first branch that matches. The simple form compares with =, so WHEN NULL never matches.",
			Section: "7.1",
			Examples: []Example{
				{"CASE 2 WHEN 2 THEN 'b' ELSE 'c' END", `"b"`},
				{"CASE WHEN 1 > 2 THEN 'x' ELSE 'y' END", `"y"`},
			},
		},
	},
	{
		Name:   "CAST",
		Kind:   "expression",
		Syntax: "CAST(e AS type)",
		Doc: Doc{
			Summary: "CAST converts a value to a type. A value that cannot be converted is a query error; TRY_CAST gives NULL instead.",
			Section: "3.8",
			Examples: []Example{
				{"CAST('12' AS bigint)", "12"},
				{"CAST(2.5 AS nvarchar(max))", `"2.5"`},
				{"CAST('2024-03-15 10:20:30' AS datetime)", `"2024-03-15T10:20:30.0000000Z"`},
			},
		},
	},
	{
		Name:   "Classifier",
		Kind:   "pattern function",
		Syntax: "Classifier()",
		Doc: Doc{
			Summary: "Classifier gives, in MEASURES of MATCH_RECOGNIZE, an array with the variable that each row of the match was taken as.",
			Section: "9.5",
			Story:   matchStory,
		},
	},
	{
		Name:   "COALESCE",
		Kind:   "expression",
		Syntax: "COALESCE(e1, e2, ...)",
		Doc: Doc{
			Summary: "COALESCE gives the first argument that is not NULL, as it is. Later arguments are not evaluated.",
			Section: "7.1",
			Examples: []Example{
				{"COALESCE(NULL, 'x', 2)", `"x"`},
				{"COALESCE(NULL, NULL)", "null"},
			},
		},
	},
	{
		Name:   "First",
		Kind:   "pattern function",
		Syntax: "First(variable.field)",
		Doc: Doc{
			Summary: "First gives, in MATCH_RECOGNIZE, a field of the first row that was taken as a variable. Last, Min and Max work alike.",
			Section: "9.3",
			Story:   matchStory,
		},
	},
	{
		Name:   "HoppingWindow",
		Kind:   "window",
		Syntax: "HoppingWindow(unit, size, hop [, offset])",
		Doc: Doc{
			Summary: "HoppingWindow groups rows in windows of one size that start every hop, so a row may be in several.",
			Section: "5.3",
			Story: &Story{
				Query: `SELECT k, COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY k, HoppingWindow(second, 10, 5)`,
				Events: []string{
					`{"k":"a","time":"2024-01-01T00:00:01Z"}`,
					`{"k":"a","time":"2024-01-01T00:00:07Z"}`,
				},
				Rows: []string{
					`{"k":"a","n":1,"t":"2024-01-01T00:00:05.0000000Z"}`,
					`{"k":"a","n":2,"t":"2024-01-01T00:00:10.0000000Z"}`,
					`{"k":"a","n":1,"t":"2024-01-01T00:00:15.0000000Z"}`,
				},
			},
		},
	},
	isFirstForm,
	lagForm,
	lastForm,
	{
		Name:   "MATCH_RECOGNIZE",
		Kind:   "clause",
		Syntax: "FROM source MATCH_RECOGNIZE (LIMIT DURATION(unit, n) [PARTITION BY key, ...] MEASURES e AS name, ... AFTER MATCH SKIP TO NEXT ROW PATTERN (a b+ (c | d)? ...) DEFINE a AS condition, ...) [AS name]",
		Doc: Doc{
			Summary: "MATCH_RECOGNIZE finds sequences of rows by a regular expression over rows, at most one from each row on, and gives a row of measures for each.",
			Section: "9",
			Story:   matchStory,
		},
	},
	{
		Name:   "SessionWindow",
		Kind:   "window",
		Syntax: "SessionWindow(unit, timeout, maximum) [OVER (PARTITION BY key)]",
		Doc: Doc{
			Summary: "SessionWindow groups rows that follow each other within the timeout, up to a maximum duration.",
			Section: "5.5",
			Story: &Story{
				Query: `SELECT COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY SessionWindow(second, 5, 60)`,
				Events: []string{
					`{"time":"2024-01-01T00:00:01Z"}`,
					`{"time":"2024-01-01T00:00:04Z"}`,
					`{"time":"2024-01-01T00:00:20Z"}`,
				},
				Rows: []string{
					`{"n":2,"t":"2024-01-01T00:00:09.0000000Z"}`,
					`{"n":1,"t":"2024-01-01T00:00:25.0000000Z"}`,
				},
			},
		},
	},
	{
		Name:   "SlidingWindow",
		Kind:   "window",
		Syntax: "SlidingWindow(unit, size)",
		Doc: Doc{
			Summary: "SlidingWindow gives a result each time that the content of the last interval of the size changes.",
			Section: "5.4",
			Story: &Story{
				Query: `SELECT COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY SlidingWindow(second, 10)`,
				Events: []string{
					`{"time":"2024-01-01T00:00:01Z"}`,
					`{"time":"2024-01-01T00:00:04Z"}`,
				},
				Rows: []string{
					`{"n":1,"t":"2024-01-01T00:00:01.0000000Z"}`,
					`{"n":2,"t":"2024-01-01T00:00:04.0000000Z"}`,
					`{"n":1,"t":"2024-01-01T00:00:11.0000000Z"}`,
				},
			},
		},
	},
	{
		Name:   "System.Timestamp",
		Kind:   "expression",
		Syntax: "System.Timestamp()",
		Doc: Doc{
			Summary: "System.Timestamp gives the timestamp of the row; of a window's result it is the window end. As the window of GROUP BY it groups rows of equal time.",
			Section: "4.8",
			Story: &Story{
				Query: `SELECT v, System.Timestamp() AS t
FROM input TIMESTAMP BY time`,
				Events: []string{
					`{"v":1,"time":"2024-01-01T00:00:01Z"}`,
				},
				Rows: []string{
					`{"v":1,"t":"2024-01-01T00:00:01.0000000Z"}`,
				},
			},
		},
	},
	{
		Name:   "System.Window",
		Kind:   "expression",
		Syntax: "System.Window().Id",
		Doc: Doc{
			Summary: "System.Window gives a record whose Id is the name that Window gave to the row's window, or NULL.",
			Section: "5.7",
			Story: &Story{
				Query: `SELECT System.Window().Id AS w, COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY Windows(Window('short', TumblingWindow(second, 5)), Window('long', TumblingWindow(second, 10)))`,
				Events: []string{
					`{"time":"2024-01-01T00:00:01Z"}`,
					`{"time":"2024-01-01T00:00:07Z"}`,
				},
				Rows: []string{
					`{"w":"short","n":1,"t":"2024-01-01T00:00:05.0000000Z"}`,
					`{"w":"short","n":1,"t":"2024-01-01T00:00:10.0000000Z"}`,
					`{"w":"long","n":2,"t":"2024-01-01T00:00:10.0000000Z"}`,
				},
			},
		},
	},
	{
		Name:   "TRY_CAST",
		Kind:   "expression",
		Syntax: "TRY_CAST(e AS type)",
		Doc: Doc{
			Summary: "TRY_CAST converts a value to a type and gives NULL if that fails.",
			Section: "3.8",
			Examples: []Example{
				{"TRY_CAST('1x' AS bigint)", "null"},
				{"TRY_CAST('1.5' AS float)", "1.5"},
			},
		},
	},
	{
		Name:   "TumblingWindow",
		Kind:   "window",
		Syntax: "TumblingWindow(unit, size [, offset])",
		Doc: Doc{
			Summary: "TumblingWindow groups rows in windows of one size that follow each other without overlap.",
			Section: "5.2",
			Story: &Story{
				Query: `SELECT k, COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY k, TumblingWindow(second, 10)`,
				Events: []string{
					`{"k":"a","time":"2024-01-01T00:00:01Z"}`,
					`{"k":"a","time":"2024-01-01T00:00:10Z"}`,
					`{"k":"a","time":"2024-01-01T00:00:11Z"}`,
				},
				Rows: []string{
					`{"k":"a","n":2,"t":"2024-01-01T00:00:10.0000000Z"}`,
					`{"k":"a","n":1,"t":"2024-01-01T00:00:20.0000000Z"}`,
				},
			},
		},
	},
	{
		Name:   "Window",
		Kind:   "window",
		Syntax: "Window('id', window)",
		Doc: Doc{
			Summary: "Window names a window of Windows; System.Window().Id gives the name.",
			Section: "5.7",
			Story: &Story{
				Query: `SELECT System.Window().Id AS w, COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY Windows(Window('short', TumblingWindow(second, 5)), Window('long', TumblingWindow(second, 10)))`,
				Events: []string{
					`{"time":"2024-01-01T00:00:01Z"}`,
					`{"time":"2024-01-01T00:00:07Z"}`,
				},
				Rows: []string{
					`{"w":"short","n":1,"t":"2024-01-01T00:00:05.0000000Z"}`,
					`{"w":"short","n":1,"t":"2024-01-01T00:00:10.0000000Z"}`,
					`{"w":"long","n":2,"t":"2024-01-01T00:00:10.0000000Z"}`,
				},
			},
		},
	},
	{
		Name:   "Windows",
		Kind:   "window",
		Syntax: "Windows(window, ...)",
		Doc: Doc{
			Summary: "Windows groups rows in several windows at once.",
			Section: "5.7",
			Story: &Story{
				Query: `SELECT COUNT(*) AS n, System.Timestamp() AS t
FROM input TIMESTAMP BY time
GROUP BY Windows(TumblingWindow(second, 5), TumblingWindow(second, 10))`,
				Events: []string{
					`{"time":"2024-01-01T00:00:01Z"}`,
					`{"time":"2024-01-01T00:00:07Z"}`,
				},
				Rows: []string{
					`{"n":1,"t":"2024-01-01T00:00:05.0000000Z"}`,
					`{"n":1,"t":"2024-01-01T00:00:10.0000000Z"}`,
					`{"n":2,"t":"2024-01-01T00:00:10.0000000Z"}`,
				},
			},
		},
	},
}

// LookupForm finds a form by its name, without case.
func LookupForm(name string) (Form, bool) {
	key := foldName(name)
	for _, f := range Forms {
		if foldName(f.Name) == key {
			return f, true
		}
	}
	return Form{}, false
}
