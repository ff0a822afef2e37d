package sql

import (
	"testing"

	"weir/internal/vec"
)

// TestTexts has the SQL of every dialect word by word.
func TestTexts(t *testing.T) {
	key := &column{name: `k"]` + "`", class: textual, cast: ""}
	num := &column{name: "n", class: decimal, cast: "numeric"}
	at := &column{name: "at", class: moment, zone: true, cast: "timestamp with time zone"}
	f := func(d *dialect, mode string, withKey bool, cols []*column, want string) {
		t.Helper()
		w := &statement{d: d, table: &table{quoted: full(d.quote, name{"s", "t"})}, cols: cols, mode: mode}
		if withKey {
			w.key = []*column{key}
		}
		if got := d.write(w, 2); got != want {
			t.Errorf("%s %s\n got %s\nwant %s", d.name, mode, got, want)
		}
	}
	all, only := []*column{key, num, at}, []*column{key}

	f(sqliteDialect, modeInsert, false, all, `INSERT INTO "s"."t" ("k""]`+"`"+`", "n", "at") VALUES (?, ?, ?), (?, ?, ?)`)
	f(sqliteDialect, modeIgnore, true, only, `INSERT INTO "s"."t" ("k""]`+"`"+`") VALUES (?), (?) ON CONFLICT DO NOTHING`)
	f(sqliteDialect, modeUpsert, true, all, `INSERT INTO "s"."t" ("k""]`+"`"+`", "n", "at") VALUES (?, ?, ?), (?, ?, ?) ON CONFLICT ("k""]`+"`"+`") DO UPDATE SET "n" = excluded."n", "at" = excluded."at"`)
	f(sqliteDialect, modeUpsert, true, only, `INSERT INTO "s"."t" ("k""]`+"`"+`") VALUES (?), (?) ON CONFLICT ("k""]`+"`"+`") DO NOTHING`)

	f(postgresDialect, modeInsert, false, all, `INSERT INTO "s"."t" ("k""]`+"`"+`", "n", "at") SELECT x0, x1::numeric, x2 FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u(x0, x1, x2)`)
	f(postgresDialect, modeUpsert, true, all, `INSERT INTO "s"."t" ("k""]`+"`"+`", "n", "at") SELECT x0, x1::numeric, x2 FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u(x0, x1, x2) ON CONFLICT ("k""]`+"`"+`") DO UPDATE SET "n" = excluded."n", "at" = excluded."at"`)

	f(mysqlDialect, modeInsert, false, all, "INSERT INTO `s`.`t` (`k\"]```, `n`, `at`) VALUES (?, ?, ?), (?, ?, ?)")
	f(mysqlDialect, modeIgnore, false, all, "INSERT INTO `s`.`t` (`k\"]```, `n`, `at`) VALUES (?, ?, ?), (?, ?, ?) ON DUPLICATE KEY UPDATE `k\"]``` = `s`.`t`.`k\"]```")
	f(mysqlDialect, modeUpsert, true, all, "INSERT INTO `s`.`t` (`k\"]```, `n`, `at`) VALUES (?, ?, ?), (?, ?, ?) ON DUPLICATE KEY UPDATE `n` = VALUES(`n`), `at` = VALUES(`at`)")

	f(sqlserverDialect, modeInsert, false, all, "INSERT INTO [s].[t] ([k\"]]`], [n], [at]) VALUES (@p1, @p2, @p3), (@p4, @p5, @p6)")
	f(sqlserverDialect, modeIgnore, false, only, "INSERT INTO [s].[t] ([k\"]]`]) VALUES (@p1), (@p2)")
	f(sqlserverDialect, modeIgnore, true, all, "INSERT INTO [s].[t] ([k\"]]`], [n], [at]) SELECT s.[k\"]]`], s.[n], s.[at] FROM (VALUES (@p1, @p2, @p3), (@p4, @p5, @p6)) AS s ([k\"]]`], [n], [at])"+
		" WHERE NOT EXISTS (SELECT 1 FROM [s].[t] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[k\"]]`] = s.[k\"]]`])")
	f(sqlserverDialect, modeUpsert, true, all, "MERGE INTO [s].[t] WITH (HOLDLOCK) AS t USING (VALUES (@p1, @p2, @p3), (@p4, @p5, @p6)) AS s ([k\"]]`], [n], [at]) ON t.[k\"]]`] = s.[k\"]]`]"+
		" WHEN MATCHED THEN UPDATE SET [n] = s.[n], [at] = s.[at] WHEN NOT MATCHED THEN INSERT ([k\"]]`], [n], [at]) VALUES (s.[k\"]]`], s.[n], s.[at]);")
	f(sqlserverDialect, modeUpsert, true, only, "MERGE INTO [s].[t] WITH (HOLDLOCK) AS t USING (VALUES (@p1), (@p2)) AS s ([k\"]]`]) ON t.[k\"]]`] = s.[k\"]]`]"+
		" WHEN NOT MATCHED THEN INSERT ([k\"]]`]) VALUES (s.[k\"]]`]);")
}

func TestCreateTexts(t *testing.T) {
	cols := []newColumn{
		{"k", vec.KindsOf(vec.String), true}, {"i", vec.KindsOf(vec.Int, vec.Null), false}, {"f", vec.KindsOf(vec.Float), false},
		{"t", vec.KindsOf(vec.Datetime), false}, {"b", vec.KindsOf(vec.Bit), false}, {"r", vec.KindsOf(vec.Record), false},
		{"n", numbers, false}, {"a", vec.AnyKind, false},
	}
	f := func(d *dialect, want string) {
		t.Helper()
		if got := d.createTable(d.quote("t"), cols, []string{"k"}); got != want {
			t.Errorf("%s\n got %s\nwant %s", d.name, got, want)
		}
	}
	f(sqliteDialect, `CREATE TABLE "t" ("k" TEXT NOT NULL, "i" INTEGER, "f" REAL, "t" TEXT, "b" BOOLEAN, "r" JSON, "n", "a", PRIMARY KEY ("k"))`)
	f(postgresDialect, `CREATE TABLE "t" ("k" text NOT NULL, "i" bigint, "f" double precision, "t" timestamptz, "b" boolean, "r" jsonb, "n" numeric, "a" text, PRIMARY KEY ("k"))`)
	f(mysqlDialect, "CREATE TABLE `t` (`k` VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, `i` BIGINT, `f` DOUBLE, `t` DATETIME(6), `b` BOOLEAN, `r` JSON, `n` DOUBLE, `a` LONGTEXT CHARACTER SET utf8mb4, PRIMARY KEY (`k`))")
	f(sqlserverDialect, "CREATE TABLE [t] ([k] nvarchar(200) NOT NULL, [i] bigint, [f] float, [t] datetime2(7), [b] bit, [r] nvarchar(max), [n] float, [a] nvarchar(max), PRIMARY KEY ([k]))")
}

func TestNames(t *testing.T) {
	f := func(text, schema, table string) {
		t.Helper()
		n, err := parseName(text)
		if n != (name{schema, table}) || (err == nil) != (table != "") {
			t.Errorf("%q gives %q, %v", text, n, err)
		}
	}
	f("t", "", "t")
	f(" my table ", "", "my table")
	f("dbo.t", "dbo", "t")
	f("[dbo].[my.table]", "dbo", "my.table")
	f("[a]]b]", "", "a]b")
	f(`"a""b"."c"`, `a"b`, "c")
	f("`a``b`.c", "a`b", "c")
	f(`x"; DROP TABLE canary;--`, "", `x"; DROP TABLE canary;--`)
	for _, bad := range []string{"", " ", "a.b.c", "a.", ".a", "[a", `"a"b`, "a\x00", `""`} {
		f(bad, "", "")
	}
}
