package diag

// infoNames are the codes about text, names and grammar.
var infoNames = []Info{
	{
		Code: SA1001, Message: "the query is not valid UTF-8",
		Hint:    "save the file as UTF-8",
		Explain: "A query is UTF-8 text. A byte was found that is no part of a UTF-8 character; the caret shows the first one. Editors of other encodings (Latin-1, UTF-16) write such files.",
	},
	{
		Code: SA1002, Message: "unclosed <comment / string / name>",
		Hint:    "add `*/`, `'`, `]` or `\"`",
		Explain: "A comment, a string or a name was opened and never closed. Strings and names in double quotes may span lines, so the text up to the end was taken as a part of it. A name in brackets ends on its line. Block comments nest: each /* needs its */.",
		Bad:     "SELECT id FROM input WHERE name = 'abc",
		Good:    "SELECT id FROM input WHERE name = 'abc'",
	},
	{
		Code: SA1003, Message: "unexpected character <c>",
		Hint:    "use `'` for a typographic quote, `[name]` for a backtick",
		Explain: "The character is no part of the language outside of strings, quoted names and comments. Word processors turn quotes into typographic ones, and other dialects use backticks.",
		Bad:     "SELECT ‘a’ AS x FROM input",
		Good:    "SELECT 'a' AS x FROM input",
	},
	{
		Code: SA1004, Message: "number out of range",
		Hint:    "bigint goes up to 9223372036854775807; write it with a point for a float, or as text",
		Explain: "A bigint goes from -9223372036854775808 to 9223372036854775807, a float to about 1.8e308, and a hex integer has 1 to 16 digits.",
		Bad:     "SELECT 9223372036854775808 AS n FROM input",
		Good:    "SELECT 9223372036854775807 AS n FROM input",
	},
	{
		Code: SA2001, Message: "the query writes to no output",
		Hint:    "add a SELECT after the WITH steps",
		Explain: "A script computes something only for its outputs. It needs at least one SELECT outside of WITH.",
		Bad:     "WITH s AS (SELECT id FROM input)",
		Good:    "WITH s AS (SELECT id FROM input) SELECT id FROM s",
	},
	{
		Code: SA2002, Message: "no column \"<c>\" in <source>",
		Hint:    "nearest name; or: the columns are a, b, c",
		Explain: "The source has a known list of columns, from CREATE TABLE or from the SELECT of a step, and the name is not among them. Names of columns are found exactly, or else without case.",
		Bad:     "CREATE TABLE input (id bigint, humidity float); SELECT humidty FROM input",
		Good:    "CREATE TABLE input (id bigint, humidity float); SELECT humidity FROM input",
	},
	{
		Code: SA2003, Message: "no output named \"<o>\"",
		Hint:    "nearest; or: the job's outputs are ..",
		Explain: "INTO names an output of the job. Without INTO the result goes to the output called output, or to the only output that there is.",
	},
	{
		Code: SA2004, Message: "\"<c>\" could be a column of <a> or <b>",
		Hint:    "write <a>.<c> or <b>.<c>",
		Explain: "More than one source of the FROM could have the column, so it is ambiguous. Write the alias of the source in front of it.",
		Bad:     "SELECT id FROM input a JOIN other b ON a.id = b.id AND DATEDIFF(second, a, b) BETWEEN 0 AND 5",
		Good:    "SELECT a.id FROM input a JOIN other b ON a.id = b.id AND DATEDIFF(second, a, b) BETWEEN 0 AND 5",
	},
	{
		Code: SA2005, Message: "no input or step named \"<s>\"",
		Hint:    "nearest; for the original name of an aliased source: use the alias \"<i>\"",
		Explain: "FROM and JOIN name steps of a WITH before this place, or inputs of the job. A source that has an alias is known by the alias only.",
	},
	{
		Code: SA2006, Message: "the name \"<s>\" is already <an input / a step>",
		Hint:    "rename the step; second mark at the first definition",
		Explain: "Steps and inputs share one list of names, compared without case.",
		Bad:     "WITH a AS (SELECT id FROM input), A AS (SELECT v FROM input) SELECT * FROM A",
		Good:    "WITH a AS (SELECT id FROM input), b AS (SELECT v FROM input) SELECT * FROM b",
	},
	{
		Code: SA2007, Message: "two sources are both called \"<a>\"",
		Hint:    "give one an alias: `JOIN x AS b`",
		Explain: "The sources of one FROM need different names, compared without case. An input that is joined with itself needs an alias on one side.",
		Bad:     "SELECT 1 AS one FROM x JOIN x ON DATEDIFF(second, x, x) BETWEEN 0 AND 5",
		Good:    "SELECT 1 AS one FROM x AS a JOIN x AS b ON DATEDIFF(second, a, b) BETWEEN 0 AND 5",
	},
	{
		Code: SA2008, Message: "step \"<s>\" is used before it is defined",
		Hint:    "move it up; steps see only earlier steps",
		Explain: "A step sees the inputs and the steps before it, neither itself nor later ones.",
		Bad:     "WITH a AS (SELECT id FROM b), b AS (SELECT id FROM input) SELECT * FROM a",
		Good:    "WITH b AS (SELECT id FROM input), a AS (SELECT id FROM b) SELECT * FROM a",
	},
	{
		Code: SA2101, Message: "expected <what>, found <token>",
		Hint:    "from the grammar position; special texts below",
		Explain: "The text does not follow the grammar at the caret. The message says what could stand there.",
		Bad:     "SELECT a FROM input GROUP BY a, TumblingWindow(second, 1) WHERE a > 1",
		Good:    "SELECT a FROM input WHERE a > 1 GROUP BY a, TumblingWindow(second, 1)",
	},
	{
		Code: SA2102, Message: "a comma too many",
		Hint:    "remove it",
		Explain: "There is a comma without an item behind it or before it.",
		Bad:     "SELECT a, b, FROM input",
		Good:    "SELECT a, b FROM input",
	},
	{
		Code: SA2103, Message: "\"<w>\" is a reserved word",
		Hint:    "write [<w>]",
		Explain: "Some words are reserved for the grammar and must be written in brackets to be names. Most words, such as time, value or count, are not.",
		Bad:     "SELECT order FROM input",
		Good:    "SELECT [order] FROM input",
	},
}
