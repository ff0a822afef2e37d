package twin

import (
	"fmt"
	"strings"
)

// col is a column that expressions may read. In a block of several sources its name is
// written with the alias.
type col struct {
	name string
	kind rune
}

// namedSource is a source that a query may name.
type namedSource struct {
	name      string
	columns   []col
	stream    bool // takes TIMESTAMP BY
	open      bool
	reference bool
}

// blockGen is the block at work: what its expressions may read.
type blockGen struct {
	columns []col
	// history allows analytic functions.
	history bool
	on      bool // in ON, which has no time of its own
	// key must be among the keys of windows: the one of PARTITION BY or TIMESTAMP BY ..
	// OVER. always tells that it must be among those of history and patterns too.
	key    string
	always bool
	// whole are the aliases whose whole rows may be read.
	whole []string
}

// of is a column of one of the kinds, or "".
func (g *gen) of(kinds string) string {
	var names []string
	for _, c := range g.block.columns {
		if strings.ContainsRune(kinds, c.kind) {
			names = append(names, c.name)
		}
	}
	if names == nil {
		return ""
	}
	name := pick(g, names...)
	if g.chance(3) {
		name = strings.ToUpper(name)
	}
	return name
}

func (g *gen) or(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

func (g *gen) f(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// number is an expression that gives a number or NULL.
func (g *gen) number(depth int) string {
	if depth <= 0 || g.chance(25) {
		if g.chance(25) {
			return g.numberText0()
		}
		return g.or(g.of("n"), g.numberText0())
	}
	d := depth - 1
	if g.block.history && g.chance(12) {
		return g.history(d)
	}
	switch g.IntN(25) {
	case 22:
		return g.f("%s(%s)", pick(g, "SQRT", "UNICODE", "SIGN"), g.number(d))
	case 23:
		return g.f("POWER(%s, %s)", g.or(g.of("n"), "2"), pick(g, "2", "0", "(-1)", "0.5"))
	case 24:
		return g.f("PATINDEX(%s, %s)", pick(g, "'%b%'", "'a%'", "'%[0-9]'", "'_'", "'%'"), g.text(d))
	case 0, 1, 2, 3:
		return g.f("(%s %s %s)", g.number(d), pick(g, "+", "-", "*", "/", "%"), g.number(d))
	case 4:
		return g.f("%s(%s)", pick(g, "ABS", "SIGN", "FLOOR", "CEILING", "SQUARE"), g.number(d))
	case 5:
		return g.f("LEN(%s)", g.text(d))
	case 6:
		return g.f("CHARINDEX(%s, %s)", g.text(d), g.text(d))
	case 7:
		return g.f("DATEPART(%s, %s)", pick(g, "second", "minute", "day", "month", "yy", "week", "weekday", "ms", "quarter", "dayofyear"), g.time(d))
	case 8:
		return g.f("DATEDIFF(%s, %s, %s)", pick(g, "second", "mi", "day", "month", "week", "ms"), g.time(d), g.time(d))
	case 9, 10:
		return g.caseOf(d, func() string { return pick(g, g.or(g.of("n"), "1"), g.numberText0(), "NULL") })
	case 11:
		return g.f("COALESCE(%s, %s)", g.number(d), g.number(d))
	case 12:
		return g.f("NULLIF(%s, %s)", g.number(d), g.number(d))
	case 13:
		return g.f("TRY_CAST(%s AS %s)", g.any(d), pick(g, "bigint", "float"))
	case 14:
		return g.f("CAST(%s AS %s)", g.number(d), pick(g, "bigint", "float"))
	case 15:
		if c := g.of("l"); c != "" {
			return g.f("GetArrayLength(%s)", c)
		}
	case 16:
		if c := g.of("r"); c != "" {
			return c + pick(g, ".p", ".q.z", ".P")
		}
	case 17:
		return g.f("ROUND(%s, %d)", g.number(d), g.IntN(3)-1)
	case 18:
		return g.f("-(%s)", g.number(d))
	case 19:
		return g.f("(%s %s %s)", g.number(d), pick(g, "&", "|", "^"), g.number(d))
	case 20:
		if g.risky {
			return g.f("(%s + 1)", g.or(g.of("mk"), "1"))
		}
	case 21:
		if g.risky {
			return g.f("CAST(%s AS bigint)", g.any(d))
		}
	}
	return g.number(d)
}

// numberText0 is a number literal; a negative one in parentheses, so that no two minus
// signs meet.
func (g *gen) numberText0() string {
	s := g.numberText()
	if s[0] == '-' {
		return "(" + s + ")"
	}
	return s
}

func (g *gen) caseOf(d int, branch func() string) string {
	if g.chance(40) {
		return g.f("CASE %s WHEN %s THEN %s WHEN %s THEN %s ELSE %s END", g.or(g.of("nk"), "1"), g.numberText0(), branch(), g.numberText0(), branch(), branch())
	}
	return g.f("CASE WHEN %s THEN %s ELSE %s END", g.condition(d), branch(), branch())
}

// text is an expression that gives text or NULL.
func (g *gen) text(depth int) string {
	if depth <= 0 || g.chance(25) {
		if g.chance(30) {
			return pick(g, "'a'", "'b'", "'ab'", "''", "'x y'", "N'é'", "'%'")
		}
		return g.or(g.of("s"), "'a'")
	}
	d := depth - 1
	switch g.IntN(18) {
	case 13:
		return g.f("%s(%s)", pick(g, "TRIM", "LTRIM", "RTRIM"), g.text(d))
	case 14:
		return g.f("STUFF(%s, %d, %d, %s)", g.text(d), g.IntN(4)-1, g.IntN(3), g.text(d))
	case 15:
		return g.f("CONCAT_WS(%s, %s, %s)", g.text(d), g.scalar(d), g.scalar(d))
	case 16:
		return g.f("TRANSLATE(%s, 'ab', 'ba')", g.text(d))
	case 17:
		return g.f("REPLICATE(%s, %d)", g.text(d), g.IntN(4)-1)
	case 0:
		return g.f("%s(%s)", pick(g, "UPPER", "LOWER", "REVERSE"), g.text(d))
	case 1:
		return g.f("SUBSTRING(%s, %d, %d)", g.text(d), g.IntN(5)-1, g.IntN(4))
	case 2:
		return g.f("%s(%s, %d)", pick(g, "LEFT", "RIGHT"), g.text(d), g.IntN(3))
	case 3:
		return g.f("CONCAT(%s, %s)", g.scalar(d), g.scalar(d))
	case 4:
		return g.f("REPLACE(%s, %s, %s)", g.text(d), g.text(d), g.text(d))
	case 5:
		return g.f("CAST(%s AS nvarchar(max))", g.scalar(d))
	case 6:
		return g.f("(%s + %s)", g.text(d), g.text(d))
	case 7:
		return g.caseOf(d, func() string { return pick(g, g.or(g.of("s"), "'a'"), "'b'", "NULL") })
	case 8:
		return g.f("DATENAME(%s, %s)", pick(g, "month", "weekday", "second"), g.time(d))
	case 9:
		return g.f("GetType(%s)", g.any(d))
	case 10:
		return g.f("COALESCE(%s, %s)", g.text(d), g.text(d))
	case 11:
		if c := g.of("r"); c != "" {
			return c + ".s"
		}
	case 12:
		return g.f("NULLIF(%s, %s)", g.text(d), g.text(d))
	}
	return g.text(d)
}

// time is an expression that gives a datetime or NULL.
func (g *gen) time(depth int) string {
	if depth <= 0 || g.chance(40) {
		if c := g.of("d"); c != "" && g.chance(50) {
			return c
		}
		if g.block.on {
			return "CAST('2024-01-01T00:00:05' AS datetime)"
		}
		return "System.Timestamp()"
	}
	d := depth - 1
	switch g.IntN(4) {
	case 0:
		return g.f("DATEADD(%s, %s, %s)", pick(g, "second", "minute", "month", "day", "hh"), pick(g, "1", "(-1)", g.of0("n", "2")), g.time(d))
	case 1:
		if c := g.of("t"); c != "" {
			return g.f("TRY_CAST(%s AS datetime)", c)
		}
	case 2:
		return g.f("CAST('2024-01-0%dT00:00:0%d' AS datetime)", 1+g.IntN(9), g.IntN(10))
	case 3:
		return g.f("COALESCE(%s, %s)", g.time(d), g.time(d))
	}
	return g.time(d)
}

func (g *gen) of0(kinds, otherwise string) string { return g.or(g.of(kinds), otherwise) }

// scalar is any value but records and arrays.
func (g *gen) scalar(d int) string {
	switch g.IntN(4) {
	case 0:
		return g.text(d)
	case 1:
		return g.time(d)
	case 2:
		return g.of0("mks", "NULL")
	}
	return g.number(d)
}

// any is any value.
func (g *gen) any(d int) string {
	switch g.IntN(10) {
	case 8:
		if g.block.whole != nil {
			return g.f("GetRecordPropertyValue(%s, %s)", pick(g, g.block.whole...), pick(g, "'n'", "'K'", "'c1'", "'none'"))
		}
	case 7:
		if g.block.history {
			return g.historyRows(d)
		}
	case 9:
		return g.f("JSON_PARSE(%s)", pick(g, "'{\"a\":[1,2.5,null]}'", "'[1]'", g.text(d-1)))
	case 0:
		return g.of0("rl", "NULL")
	case 1:
		if c := g.of("l"); c != "" {
			return g.f("GetArrayElement(%s, %d)", c, g.IntN(4)-1)
		}
	case 2:
		if c := g.of("r"); c != "" && g.risky {
			return g.f("GetRecordPropertyValue(%s, %s)", c, pick(g, "'p'", "'q'", "'none'", `"p"`))
		}
	case 3:
		return g.f("COALESCE(%s, %s)", g.of0("m", "NULL"), g.any(d-1))
	}
	return g.scalar(d)
}

// condition is a predicate.
func (g *gen) condition(depth int) string {
	d := depth - 1
	if depth > 0 && g.chance(35) {
		switch g.IntN(4) {
		case 0:
			return g.f("NOT (%s)", g.condition(d))
		case 1, 2:
			return g.f("(%s AND %s)", g.condition(d), g.condition(d))
		}
		return g.f("(%s OR %s)", g.condition(d), g.condition(d))
	}
	op := pick(g, "=", "<>", "<", "<=", ">", ">=", "!=", "!<", "!>")
	switch g.IntN(11) {
	case 0, 1, 2:
		return g.f("%s %s %s", g.number(d), op, g.number(d))
	case 3:
		return g.f("%s %s %s", g.text(d), op, g.text(d))
	case 4:
		return g.f("%s %s %s", g.of0("mk", "1"), op, pick(g, "1", "'1'", "0.5", "'a'", "'x'", g.of0("mkn", "1")))
	case 5:
		return g.f("%s %s %s", g.time(d), op, g.time(d))
	case 6:
		return g.f("%s IS %sNULL", g.any(d), pick(g, "", "NOT "))
	case 7:
		return g.f("%s %sIN (%s, %s)", g.of0("mkn", "2"), pick(g, "", "NOT "), g.numberText0(), pick(g, "'x'", "2", "NULL"))
	case 8:
		return g.f("%s %sBETWEEN %s AND %s", g.number(d), pick(g, "", "NOT "), g.number(d), g.number(d))
	case 9:
		return g.f("%s %sLIKE %s", g.text(d), pick(g, "", "NOT "), pick(g, "'a%'", "'%b'", "'_'", "'[ab]%'", "'[^a]%'", "'a!%' ESCAPE '!'", g.text(d)))
	}
	if c := g.of("rl"); c != "" && g.chance(30) {
		return g.f("%s = %s", c, g.of("rl"))
	}
	return g.f("%s %s %s", g.number(d), op, g.number(d))
}
