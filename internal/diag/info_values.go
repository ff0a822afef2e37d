package diag

// infoValues are the codes about types and values.
var infoValues = []Info{
	{
		Code: SA3001, Message: "a condition cannot be used as a value",
		Hint:    "`CASE WHEN .. THEN 1 ELSE 0 END`",
		Explain: "A comparison gives true, false or unknown, which is no type of data: it cannot be selected, stored or passed to a function.",
		Bad:     "SELECT a > 1 AS high FROM input",
		Good:    "SELECT CASE WHEN a > 1 THEN 1 ELSE 0 END AS high FROM input",
	},
	{
		Code: SA3002, Message: "a value cannot be used as a condition",
		Hint:    "compare it: `= 1`",
		Explain: "WHERE, HAVING, ON, WHEN and NOT want a comparison, not a value.",
		Bad:     "SELECT id FROM input WHERE flag",
		Good:    "SELECT id FROM input WHERE flag = 1",
	},
	{
		Code: SA3003, Message: "comparisons cannot be chained",
		Hint:    "`a < b AND b < c`",
		Explain: "A comparison has two sides. Join two of them with AND.",
		Bad:     "SELECT id FROM input WHERE 1 < a < 5",
		Good:    "SELECT id FROM input WHERE 1 < a AND a < 5",
	},
	{
		Code: SA3004, Message: "\"<text>\" is not a number",
		Hint:    "to join text use CONCAT(..) or CAST the number AS nvarchar(max)",
		Explain: "Arithmetic reads text as a number, and this text is none. The sign + joins two texts only; a text and a number are added as numbers.",
		Bad:     "SELECT 'n' + 1 AS x FROM input",
		Good:    "SELECT CONCAT('n', 1) AS x FROM input",
	},
	{
		Code: SA3005, Message: "cannot <add / compare / ..> <t1> and <t2>",
		Hint:    "DATEADD / DATEDIFF for datetime; CAST otherwise",
		Explain: "The operator does not work for these types.",
		Bad:     "SELECT CAST(a AS datetime) + 1 AS x FROM input",
		Good:    "SELECT DATEADD(day, 1, a) AS x FROM input",
	},
	{
		Code: SA3006, Message: "CASE mixes <t1> and <t2>",
		Hint:    "CAST the branches to one type",
		Explain: "The results of a CASE have one type. Numbers mix with numbers, and NULL with all.",
		Bad:     "SELECT CASE WHEN a = 1 THEN 1 ELSE 'none' END AS x FROM input",
		Good:    "SELECT CASE WHEN a = 1 THEN '1' ELSE 'none' END AS x FROM input",
	},
	{
		Code: SA3007, Message: "<record/array> values have no order",
		Hint:    "compare one of their parts",
		Explain: "Records and arrays can be compared neither by < nor in ORDER BY, MIN or MAX.",
		Bad:     "SELECT id FROM input WHERE CAST(r AS record) < CAST(s AS record)",
		Good:    "SELECT id FROM input WHERE r.level < s.level",
	},
	{
		Code: SA3008, Message: "a <t1> cannot be cast to <t2>",
		Hint:    "text to record: JSON_PARSE; number to datetime: DATEADD(second, n, '1970-01-01')",
		Explain: "There is no way to convert values of the one type to the other.",
		Bad:     "SELECT CAST(CAST(a AS bigint) AS record) AS r FROM input",
		Good:    "SELECT JSON_PARSE(text) AS r FROM input",
	},
	{
		Code: SA3009, Message: "argument <n> of <F> is <t1>; <t2> wanted",
		Hint:    "TRY_CAST(.. AS <t2>)",
		Explain: "The argument has a type that the function does not take and that does not convert to one that it takes.",
		Bad:     "SELECT GetArrayLength(1) AS n FROM input",
		Good:    "SELECT GetArrayLength(TRY_CAST(a AS array)) AS n FROM input",
	},
	{
		Code: SA3010, Message: "type \"<t>\" does not exist",
		Hint:    "bigint, float, nvarchar(max), datetime, bit, record, array; for int: bigint; for varchar, string: nvarchar(max); for decimal, real: float; for boolean: bit; for date: datetime; nvarchar(50): only max",
		Explain: "The types are bigint, float, nvarchar(max), datetime, bit, record and array.",
		Bad:     "SELECT CAST(v AS int) AS i FROM input",
		Good:    "SELECT CAST(v AS bigint) AS i FROM input",
	},
}
