package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for a program in the background.
const patience = 20 * time.Second

// scriptCommands are what stories with a service need besides exec.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"serving":          waitServing,
	"hubconnection":    hubConnection,
	"fluentd":          fluentd,
	"posttohub":        postToHub,
	"running":          waitRunning,
	"secureconnection": secureConnection,
	"waitrows":         waitRows,
	"waitfor":          waitFor,
	"edit":             editFile,
}

// waitServing waits until a service that runs in the background has written its URL, with
// weir serve --ready FILE, and makes it the one that verbs talk to.
func waitServing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serving FILE")
	}
	poll(ts, "the service does not answer", func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.HasSuffix(string(b), "\n") {
			ts.Setenv("WEIR_SERVER", strings.TrimSpace(string(b)))
			return true
		}
		return false
	})
}

// waitFor waits until a file holds a text: waitfor FILE TEXT. With !, until it is gone.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg && len(args) == 1 {
		poll(ts, args[0]+" is still there", func() bool {
			_, err := os.Stat(ts.MkAbs(args[0]))
			return errors.Is(err, fs.ErrNotExist)
		})
		return
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE TEXT, or ! waitfor FILE")
	}
	text := ""
	poll(ts, args[0]+" does not hold "+args[1], func() bool {
		b, _ := os.ReadFile(ts.MkAbs(args[0]))
		text = string(b)
		return strings.Contains(text, args[1])
	})
}

// poll tries until f is true; what runs is another process, which tells us nothing.
func poll(ts *testscript.TestScript, what string, f func() bool) {
	for end := time.Now().Add(patience); !f(); {
		if time.Now().After(end) {
			ts.Fatalf("%s after %s", what, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// editFile replaces a text in a file, as a person with an editor does: edit FILE OLD NEW. The
// text must be there.
func editFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o666))
}
