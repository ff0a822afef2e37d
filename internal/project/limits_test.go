package project

import (
	"strings"
	"testing"
)

// TestLimits: texts that would take a parser long, or deep, are refused before.
func TestLimits(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := Load(write(t, "weir.yaml", text), env())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: got %.200v, want %s", text, err, want)
		}
	}
	f(strings.Repeat("a: b\n", 1+maxYAMLLines), "a job file has at most 10000 lines")
	f(strings.Repeat("? a\n", 1+maxYAMLKeys), "weir.yaml:65:1: error: a key is a text on one line, without ?")
	f("a: "+strings.Repeat("[", 1000), "lists and objects are more than 64 deep")
	f("a:\n  "+strings.Repeat("- ", 1000)+"b", "lists and objects are more than 64 deep")
	f(strings.Repeat("#", maxYAMLBytes+1), "is longer than 256 KiB")
	deep := ""
	for i := range 100 {
		deep += strings.Repeat(" ", i) + "a:\n"
	}
	f(deep, "lists and objects are more than 64 deep")
	f("a: \xff", "the file is not valid UTF-8")
	_, err := Load(write(t, "asaproj.json", strings.Repeat("[", 1000)), env())
	if err == nil || !strings.Contains(err.Error(), "lists and objects are more than 64 deep") {
		t.Errorf("got %v", err)
	}
}
