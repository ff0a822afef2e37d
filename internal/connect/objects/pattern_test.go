package objects

import (
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

func parse(t testing.TB, text string, whole bool) *Pattern {
	t.Helper()
	p, err := ParsePattern(text, "yyyy/MM/dd", "HH", whole)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPatternMatch has names that are read, with their times, and names that are not.
func TestPatternMatch(t *testing.T) {
	f := func(pattern, name, want string) {
		t.Helper()
		at, ok := parse(t, pattern, false).Match(name)
		got := "no"
		if ok {
			got = at.String()
		}
		if got != want {
			t.Errorf("%q and %q: %s, want %s", pattern, name, got, want)
		}
	}
	f("", "a/b.json", "-inf")
	f("logs", "logs/a", "-inf")
	f("logs", "logs-2/a", "-inf") // a start of the name, as in Azure
	f("/logs/", "logs/a", "-inf")
	f("logs", "a/logs", "no")
	f("logs/{date}", "logs/2024/05/01/a/b.json", "2024-05-01T00:00:00.0000000Z")
	f("logs/{date}", "logs/2024/05/01", "2024-05-01T00:00:00.0000000Z")
	f("logs/{date}", "logs/2024/05/011", "no")
	f("logs/{date}", "logs/2024/02/30/a", "no")
	f("logs/{date}", "logs/2024/13/01/a", "no")
	f("logs/{date}/{time}", "logs/2024/05/01/23/a", "2024-05-01T23:00:00.0000000Z")
	f("logs/{date}/{time}", "logs/2024/05/01/24/a", "no")
	f("logs/{date}/{time}/{partition}", "logs/2024/05/01/07/3_a.csv", "2024-05-01T07:00:00.0000000Z")
	f("y={datetime:YYYY}/m={datetime:MM}/d={datetime:dd}", "y=2024/m=05/d=09/x", "2024-05-09T00:00:00.0000000Z")
	f("*.json", "a.json", "-inf")
	f("*.json", "b/a.json", "no")
	f("**/*.json", "b/c/a.json", "-inf")
	f("**/*.json", "a.json", "-inf")
	f("in/**", "in/c/a", "-inf")
	f("a?c", "abc", "-inf")
	f("a?c", "a/c", "no")
	f("a.c", "abc", "no")
	f("{date}/*.csv", "2024/05/01/a.csv", "2024-05-01T00:00:00.0000000Z")
	f("{date}/*.csv", "2024/05/01/a.csv.tmp", "no")
	whole := parse(t, "ref/{date}/{time}/p.csv", true)
	if _, ok := whole.Match("ref/2024/05/01/07/p.csv"); !ok {
		t.Error("a whole name does not match")
	}
	if _, ok := whole.Match("ref/2024/05/01/07/p.csv.tmp"); ok {
		t.Error("more than a whole name matches")
	}
}

// TestPatternPartition: a partition has the names with its number and no other.
func TestPatternPartition(t *testing.T) {
	f := func(pattern, partition, name string, want bool) {
		t.Helper()
		p, err := parse(t, pattern, false).Partition(partition)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.Match(name); ok != want {
			t.Errorf("%q with %s and %q: %v", pattern, partition, name, ok)
		}
	}
	f("logs/{partition}", "1", "logs/1/a", true)
	f("logs/{partition}", "1", "logs/10/a", false)
	f("logs/{partition}", "1", "logs/1_a", true)
	f("logs/{partition}/{date}", "2", "logs/2/2024/05/01/x", true)
	f("logs/{partition}/{date}", "2", "logs/1/2024/05/01/x", false)
	f("p{partition}/*", "0", "p0/x", true)
}

// TestPatternPrefix: listings ask for no more than the names that can match.
func TestPatternPrefix(t *testing.T) {
	f := func(pattern, prefix string, days ...string) {
		t.Helper()
		p := parse(t, pattern, false)
		if got := p.Prefix(); got != prefix {
			t.Errorf("%q: %q, want %q", pattern, got, prefix)
		}
		at := vec.FromCivil(2024, 2, 28) + 13*vec.Hour
		if got := p.dayPrefixes(at, at+2*vec.Day); !slices.Equal(got, days) {
			t.Errorf("%q: days %q, want %q", pattern, got, days)
		}
	}
	f("", "")
	f("logs/x", "logs/x")
	f("logs/*/{date}", "logs/")
	f("logs/{date}/{time}/*.json", "logs/", "logs/2024/02/28/", "logs/2024/02/29/", "logs/2024/03/01/")
	f("{datetime:yyyy}/{datetime:M}/x", "", "2024/2/x", "2024/3/x")
	f("a/{time}/{date}", "a/")
}

// TestBadPatterns are refused with a sentence.
func TestBadPatterns(t *testing.T) {
	f := func(pattern, format, want string) {
		t.Helper()
		_, err := ParsePattern(pattern, format, "HH", false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
	f("a/{date", "yyyy", "without a }")
	f("a/{column}", "yyyy", "{column} is no token")
	f("a/{date}", "yyyy/month", "has a part that is not known")
	f("a/{date}", "-/-", "names no part of a time")
	f("a/{datetime:}", "yyyy", "names no part of a time")
}
