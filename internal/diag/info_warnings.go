package diag

// infoWarnings are the codes of warnings.
var infoWarnings = []Info{
	{
		Code: W1003, Message: "\"<t>\" in double quotes is taken as text",
		Hint:    "write '<t>'; for a column: [<t>]",
		Explain: "Text stands in single quotes. Double quotes are taken as a column when a source is known to have one of this name, else as text.",
		Bad:     "SELECT id FROM input WHERE state = \"WA\"",
		Good:    "SELECT id FROM input WHERE state = 'WA'",
	},
	{
		Code: W1004, Message: "\"<[n]>\" is taken as the name of the column",
		Hint:    "an element of an array is GetArrayElement(<a>, <n>); for a name write AS <[n]>",
		Explain: "Brackets hold names. Directly behind a column they are its alias, not an index.",
		Bad:     "SELECT tags[0] FROM input",
		Good:    "SELECT GetArrayElement(tags, 0) AS first FROM input",
	},
	{
		Code: W2001, Message: "step \"<s>\" is never used",
		Explain: "Nothing reads the step, so it is not computed.",
		Bad:     "WITH s AS (SELECT id FROM input), u AS (SELECT v FROM input) SELECT * FROM s",
		Good:    "WITH s AS (SELECT id FROM input) SELECT * FROM s",
	},
	{
		Code: W2002, Message: "input column names \"<a>\" and \"<A>\" differ only by case",
		Explain: "Two names of columns are the same but for case. A name in the query finds the exact one first.",
	},
	{
		Code: W2003, Message: "\"<n>\" is a source and also one of its columns; <meaning> is taken",
		Hint:    "rename the source with AS",
		Explain: "A name means a source and a column; the message says which one is taken.",
	},
	{
		Code: W3001, Message: "bigint / bigint drops the fraction",
		Hint:    "CAST(.. AS float)",
		Explain: "The division of two integers drops the fraction: 7 / 2 is 3.",
		Bad:     "SELECT 7 / 2 AS x FROM input",
		Good:    "SELECT 7 / 2.0 AS x FROM input",
	},
	{
		Code: W3002, Message: "TRY_CAST of <t1> to <t2> is always NULL",
		Explain: "No value of the one type converts to the other, so the result is always NULL.",
	},
	{
		Code: W3003, Message: "comparing <nvarchar> with <bigint> converts every row",
		Hint:    "CAST once in a step",
		Explain: "The text of every row is read as a number for the comparison.",
	},
	{
		Code: W3004, Message: "`= NULL` is never true",
		Hint:    "IS NULL",
		Explain: "A comparison with NULL is never true, not even NULL = NULL.",
		Bad:     "SELECT id FROM input WHERE a = NULL",
		Good:    "SELECT id FROM input WHERE a IS NULL",
	}, {
		Code: W3005, Message: "CAST of \"<x>\" stops the job at the first value that does not convert",
		Hint:    "TRY_CAST gives NULL for such a value",
		Explain: "Events come from outside, and one with a wrong value is enough: a CAST that fails is a query error. TRY_CAST gives NULL.",
		Bad:     "SELECT CAST(v AS bigint) AS v FROM input",
		Good:    "SELECT TRY_CAST(v AS bigint) AS v FROM input",
	},

	{
		Code: W4001, Message: "\"<c>\" after * is hidden by the field of the same name",
		Hint:    "list it before *. Only when a schema or sample data has the field",
		Explain: "Of two columns of the same name the left one stays.",
		Bad:     "SELECT *, UPPER(name) AS name FROM input",
		Good:    "SELECT UPPER(name) AS name, * FROM input",
	},
	{
		Code: W4002, Message: "without INTO the result goes to \"output\"",
		Explain: "The job has no single output to take, so the result goes to the one called output.",
	}, {
		Code: W4003, Message: "System.Timestamp() without an alias is the column \"timestamp\"",
		Hint:    "name it: System.Timestamp() AS Time",
		Explain: "The time of a row is best called what it is: the end of a window, or the time of an event.",
		Bad:     "SELECT id, System.Timestamp() FROM input",
		Good:    "SELECT id, System.Timestamp() AS Time FROM input",
	},

	{
		Code: W5001, Message: "no TIMESTAMP BY: windows use the arrival time",
		Hint:    "FROM <i> TIMESTAMP BY <f>. Only when schema or sample data shows a field with times",
		Explain: "Without TIMESTAMP BY the time of an event is its arrival. The data has a field with times that could serve.",
	}, {
		Code: W5002, Message: "the hop does not divide the size of the window: results cover parts of hops",
		Hint:    "a size that is a multiple of the hop",
		Explain: "Windows of 10 seconds every 4 overlap by 6 and by 2. That is allowed and seldom meant. A hop longer than the window leaves rows out.",
		Bad:     "SELECT COUNT(*) AS n FROM input GROUP BY HoppingWindow(second, 10, 4)",
		Good:    "SELECT COUNT(*) AS n FROM input GROUP BY HoppingWindow(second, 10, 5)",
	},
	{
		Code: W5003, Message: "the late tolerance is longer than this window: without newer events, results wait for it",
		Hint:    "a longer window, or a shorter tolerance",
		Explain: "When a source falls silent, a window closes once the late tolerance has passed.",
	},
	{
		Code: W5004, Message: "events that are out of order by any time are dropped",
		Hint:    "a tolerance above 0, or the policy Adjust",
		Explain: "The policy is Drop and the tolerance 0: of two events that change places one is lost.",
	},

	{
		Code: W5006, Message: "System.Timestamp() here is the window end, not the grouping key",
		Hint:    "project the key in a step before",
		Explain: "With a window System.Timestamp() is always the end of the window, also where it is a key too.",
	},
	{
		Code: W6001, Message: "the join compares <nvarchar> with <bigint>: never equal",
		Hint:    "CAST one side",
		Explain: "Text never equals a number in the look-up of a join.",
	},
	{
		Code: W6002, Message: "the join has no equality: every pair in the time bound is compared",
		Explain: "Without an equality in ON every pair of rows within the time bound is compared.",
	},
	{
		Code: W6003, Message: "the reference join has no equality: full scan per row",
		Explain: "Without an equality in ON every row of the stream is compared with all reference data.",
	},
	{
		Code: W7001, Message: "invalid regular expression: REGEXMATCH gives 0",
		Hint:    "position and reason",
		Explain: "The regular expression cannot be read, so nothing matches it.",
	}, {
		Code: W7002, Message: "<Collect> keeps every row of the window in memory",
		Hint:    "a shorter window, then aggregate again in a step",
		Explain: "Collect keeps the rows and COUNT(DISTINCT) the values until the window ends, and the window is an hour or longer.",
		Bad:     "SELECT COUNT(DISTINCT id) AS n FROM input GROUP BY TumblingWindow(day, 1)",
		Good:    "SELECT COUNT(DISTINCT id) AS n FROM input GROUP BY TumblingWindow(minute, 1)",
	},

	{
		Code: W7003, Message: "<Math.random()> makes results unrepeatable",
		Explain: "The function depends on the time or on chance, so a replay gives other results.",
	},
	{
		Code: W8001, Message: "LIMIT DURATION of more than 7 days",
		Explain: "Events are kept for the whole duration.",
	},
	{
		Code: W8002, Message: "pattern variable \"<v>\" is defined but not used",
		Explain: "The pattern does not name the variable.",
	}, {
		Code: W8003, Message: "<LAG> without PARTITION BY looks at the rows of all keys",
		Hint:    "OVER (PARTITION BY <key> ..)",
		Explain: "The query groups by a key, but the row before this one may be of another. It is right for one device and wrong for two.",
		Bad:     "WITH s AS (SELECT id, LAG(v) OVER (LIMIT DURATION(minute, 1)) AS before FROM input) SELECT id, MAX(before) AS m FROM s GROUP BY id, TumblingWindow(minute, 1)",
		Good:    "WITH s AS (SELECT id, LAG(v) OVER (PARTITION BY id LIMIT DURATION(minute, 1)) AS before FROM input) SELECT id, MAX(before) AS m FROM s GROUP BY id, TumblingWindow(minute, 1)",
	},

	{
		Code: W9001, Message: "<feature> is an extension; other engines reject it",
		Hint:    "portable form if there is one",
		Explain: "The job is to run elsewhere too (portable = true), and this part is an extension.",
	},
}
