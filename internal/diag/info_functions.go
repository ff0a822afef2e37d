package diag

// infoFunctions are the codes about functions, patterns and what cannot be run.
var infoFunctions = []Info{
	{
		Code: SA7001, Message: "no function named \"<f>\"",
		Hint:    "nearest; for user functions: UDF.<f>; for T-SQL names: ISNULL: COALESCE; GETDATE: System.Timestamp(); CONVERT: CAST; LENGTH: LEN; IIF: CASE; FORMAT, LOG, PARSE..: write a UDF; ROW_NUMBER: CollectTop",
		Explain: "There is no built-in function of this name. User functions are called with UDF. or UDA. in front.",
		Bad:     "SELECT ISNULL(a, 0) AS x FROM input",
		Good:    "SELECT COALESCE(a, 0) AS x FROM input",
	},
	{
		Code: SA7002, Message: "<F> takes <2 or 3> arguments, not <n>",
		Hint:    "signature",
		Explain: "The function was given too few or too many arguments.",
		Bad:     "SELECT SUBSTRING('abc', 2) AS s FROM input",
		Good:    "SELECT SUBSTRING('abc', 2, 1) AS s FROM input",
	},
	{
		Code: SA7003, Message: "\"<p>.<F>\": built-in functions have no prefix",
		Hint:    "<F>(..); user functions: UDF.",
		Explain: "Built-in functions are called by their bare name. Only System, UDF and UDA stand before a dot.",
		Bad:     "SELECT dbo.LEN(a) AS n FROM input",
		Good:    "SELECT LEN(a) AS n FROM input",
	},
	{
		Code: SA7004, Message: "the pattern is longer than 8000 characters",
		Explain: "A pattern has at most 8000 characters.",
	},
	{
		Code: SA7005, Message: "TRANSLATE needs two texts of equal length: <n> and <m>",
		Explain: "TRANSLATE replaces each character of the second argument by the one at the same place of the third.",
		Bad:     "SELECT TRANSLATE(s, 'abc', 'x') AS t FROM input",
		Good:    "SELECT TRANSLATE(s, 'abc', 'xyz') AS t FROM input",
	},
	{
		Code: SA7006, Message: "<GetArrayElements> returns rows",
		Hint:    "CROSS APPLY GetArrayElements(x) AS e",
		Explain: "The function gives rows, not a value.",
		Bad:     "SELECT GetArrayElements(list) AS e FROM input",
		Good:    "SELECT e.ArrayValue AS v FROM input CROSS APPLY GetArrayElements(list) AS e",
	},
	{
		Code: SA7007, Message: "a percentile lies between 0 and 1",
		Hint:    "95 % is 0.95",
		Explain: "A percentile is a part of one.",
		Bad:     "SELECT PERCENTILE_CONT(95) OVER (ORDER BY v) AS p FROM input GROUP BY TumblingWindow(second, 1)",
		Good:    "SELECT PERCENTILE_CONT(0.95) OVER (ORDER BY v) AS p FROM input GROUP BY TumblingWindow(second, 1)",
	},
	{
		Code: SA7008, Message: "cannot order by <t>",
		Hint:    "ORDER BY takes bigint, float or datetime; CAST it",
		Explain: "TopOne, CollectTop and the percentiles order by numbers and times.",
		Bad:     "SELECT TopOne() OVER (ORDER BY 'a') AS x FROM input GROUP BY TumblingWindow(second, 1)",
		Good:    "SELECT TopOne() OVER (ORDER BY v DESC) AS x FROM input GROUP BY TumblingWindow(second, 1)",
	},
	{
		Code: SA7009, Message: "GetMetadataPropertyValue reads an input, \"<s>\" is a step",
		Hint:    "call it in the step that reads the input",
		Explain: "Metadata belongs to the events of an input.",
	},
	{
		Code: SA7010, Message: "aggregates cannot be nested",
		Hint:    "aggregate in a step, then again",
		Explain: "An aggregate works on rows, and the result of an aggregate is one per group.",
		Bad:     "SELECT AVG(SUM(v)) AS x FROM input GROUP BY TumblingWindow(second, 1)",
		Good:    "WITH s AS (SELECT k, SUM(v) AS v FROM input GROUP BY k, TumblingWindow(second, 1)) SELECT AVG(v) AS x FROM s GROUP BY TumblingWindow(second, 1)",
	},
	{
		Code: SA7011, Message: "<COUNT(DISTINCT) / STDEV / UDA..> cannot be used with OVER",
		Hint:    "use a SlidingWindow",
		Explain: "The aggregate has no form for the rows up to the current one.",
	},
	{
		Code: SA7012, Message: "<Duration> only works inside a window function",
		Explain: "Duration, Hop, Offset, Timeout and MaxDuration are arguments of windows.",
	},
	{
		Code: SA7013, Message: "<F> cannot contain <analytic / user> functions",
		Hint:    "compute it in a step before",
		Explain: "Analytic functions read the events of the source, so what they take has to be there already.",
		Bad:     "SELECT LAG(LAG(v) OVER (LIMIT DURATION(minute, 1))) OVER (LIMIT DURATION(minute, 1)) AS x FROM input",
		Good:    "SELECT LAG(v, 2) OVER (LIMIT DURATION(minute, 1)) AS x FROM input",
	},
	{
		Code: SA7014, Message: "the offset of LAG is an integer of 1 or more",
		Hint:    "for the current row: LAST",
		Explain: "LAG looks back by 1 or more events.",
		Bad:     "SELECT LAG(v, 0) OVER (LIMIT DURATION(second, 5)) AS p FROM input",
		Good:    "SELECT LAG(v, 1) OVER (LIMIT DURATION(second, 5)) AS p FROM input",
	},
	{
		Code: SA7015, Message: "the default is <t1>, the value <t2>",
		Hint:    "CAST the default",
		Explain: "The default stands in for the value, so it has its type.",
		Bad:     "SELECT LAG(CAST(v AS bigint), 1, 'none') OVER (LIMIT DURATION(second, 5)) AS p FROM input",
		Good:    "SELECT LAG(CAST(v AS bigint), 1, 0) OVER (LIMIT DURATION(second, 5)) AS p FROM input",
	},
	{
		Code: SA7016, Message: "<argument> of <F> must be <constraint>",
		Explain: "The function takes this argument in a certain form only; the message says which.",
	},
	{
		Code: SA7017, Message: "a polygon needs 4 points, the last equal to the first",
		Explain: "A polygon is a ring of points that ends where it starts.",
	},
	{
		Code: SA7018, Message: "<LAG> needs OVER (LIMIT DURATION(..))",
		Hint:    "`LAG(x) OVER (LIMIT DURATION(minute, 10))`",
		Explain: "Analytic functions look back over events, and the look-back has to be finite.",
		Bad:     "SELECT LAG(v) AS p FROM input",
		Good:    "SELECT LAG(v) OVER (LIMIT DURATION(minute, 10)) AS p FROM input",
	},
	{
		Code: SA7019, Message: "<part> is not allowed in the OVER of <F>",
		Hint:    "the table of 2.6 in words",
		Explain: "Each function takes certain parts of OVER: LAG and LAST want LIMIT DURATION, TopOne and CollectTop want ORDER BY, SessionWindow only PARTITION BY.",
		Bad:     "SELECT LAG(v) OVER (ORDER BY v LIMIT DURATION(minute, 1)) AS p FROM input",
		Good:    "SELECT LAG(v) OVER (PARTITION BY k LIMIT DURATION(minute, 1)) AS p FROM input",
	},
	{
		Code: SA8001, Message: "\"<u>\" is not yet defined in the definition of \"<v>\"",
		Hint:    "reorder DEFINE",
		Explain: "DEFINE is read from top to bottom: a definition may use variables that are defined before it.",
	},
	{
		Code: SA8002, Message: "<Max> here takes one field: variable.field",
		Hint:    "compute the expression in a step before",
		Explain: "First, Last, Min and Max in MATCH_RECOGNIZE take one field of one variable.",
	},
	{
		Code: SA8003, Message: "\"<token>\" is not allowed in PATTERN",
		Hint:    "quantifiers are * + ?, alternatives use |",
		Explain: "A pattern is made of variables, the dot for any row, parentheses, the quantifiers * + ? and | for alternatives.",
		Bad:     "SELECT * FROM t MATCH_RECOGNIZE (LIMIT DURATION(minute, 1) MEASURES A.v AS v PATTERN (A{2}) DEFINE A AS A.v > 1) AS m",
		Good:    "SELECT * FROM t MATCH_RECOGNIZE (LIMIT DURATION(minute, 1) MEASURES A.v AS v PATTERN (A A) DEFINE A AS A.v > 1) AS m",
	},
	{
		Code: SA8004, Message: "pattern variable \"<v>\" is unknown",
		Hint:    "define it in DEFINE",
		Explain: "Measures name variables of the pattern.",
	},
	{
		Code: SA9001, Message: "function \"<f>\" does not load: <JavaScript error>",
		Hint:    "caret in the script",
		Explain: "The JavaScript of the function has an error. The caret shows the place in the script.",
	},
	{
		Code: SA9002, Message: "UDA \"<f>\" lacks <computeResult()>",
		Explain: "A user aggregate has the methods init, accumulate and computeResult.",
	},
}
