//go:build peers

package peertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// event is what a client is told to send.
type event struct {
	Text        string            `json:"text"`
	Base64      string            `json:"base64,omitempty"`
	Key         string            `json:"key,omitempty"`
	Properties  map[string]string `json:"properties,omitempty"`
	ContentType string            `json:"contentType,omitempty"`
	MessageID   string            `json:"messageId,omitempty"`
	Encoding    string            `json:"encoding,omitempty"`
	Partition   *int              `json:"partition,omitempty"`
}

func (e event) body() string {
	if e.Base64 == "" {
		return e.Text
	}
	b, _ := base64.StdEncoding.DecodeString(e.Base64)
	return string(b)
}

// received is what a client says of an event that it was given.
type received struct {
	Partition    string         `json:"partition"`
	Seq          int64          `json:"seq"`
	Offset       string         `json:"offset"`
	Enqueued     int64          `json:"enqueued"` // milliseconds
	PartitionKey string         `json:"partitionKey"`
	Base64       *string        `json:"base64"`
	Properties   map[string]any `json:"properties"`
	ContentType  string         `json:"contentType"`
	MessageID    string         `json:"messageId"`
	System       map[string]any `json:"system"` // annotations
}

func (r received) body() string { return event{Base64: *r.Base64}.body() }

// failure is an error that a client has had.
type failure struct{ Name, Code, Message string }

// answers are the lines that a client has printed.
type answers []json.RawMessage

// each gives the lines that have a field, as objects of a type.
func each[T any](t *testing.T, a answers, field string) []T {
	t.Helper()
	var list []T
	for _, line := range a {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatalf("the client says %s: %v", line, err)
		}
		if _, ok := fields[field]; !ok {
			continue
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("the client says %s: %v", line, err)
		}
		list = append(list, v)
	}
	return list
}

// one is the one line that has a field.
func one[T any](t *testing.T, a answers, field string) T {
	t.Helper()
	list := each[T](t, a, field)
	if len(list) != 1 {
		t.Fatalf("%d lines have the field %q, want one: %s", len(list), field, a)
	}
	return list[0]
}

// events are the events that the client was given, by partition and place.
func (a answers) events(t *testing.T) []received {
	t.Helper()
	list := each[received](t, a, "base64")
	slices.SortStableFunc(list, func(x, y received) int {
		if c := strings.Compare(x.Partition, y.Partition); c != 0 {
			return c
		}
		return int(x.Seq - y.Seq)
	})
	return list
}

// client is a program that others wrote, with our script.
type client struct {
	name    string
	command []string
	dir     string
}

func script(dir, name string, command ...string) func(file string) client {
	return func(file string) client {
		return client{name: name + " " + file, command: append(slices.Clone(command), file), dir: filepath.Join("testdata", dir)}
	}
}

var (
	javascript   = script("js", "node", "node")
	python       = script("python", "python", os.Getenv("WEIR_PEER_PYTHON"), "-B")
	debianPython = script("python", "Debian's python", os.Getenv("WEIR_PEER_DEBIAN"), "-B")
	ruby         = script("ruby", "ruby", "ruby")
	java         = script("java", "java", "java", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", os.Getenv("WEIR_PEER_JAVA"))
)

// patience is how long a client may take.
const patience = 90 * time.Second

// start runs a client with a verb in the background; wait gives what it has said, and err the
// error that it ended with.
func (w *world) start(t *testing.T, c client, hub string, args ...any) (wait func() (answers, *failure)) {
	t.Helper()
	if slices.Contains(c.command, "") {
		t.Fatal("the clients are not installed: run make peers")
	}
	command := slices.Clone(c.command)
	for _, a := range args {
		if s, ok := a.(string); ok {
			command = append(command, s)
			continue
		}
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		command = append(command, string(b))
	}
	ctx, stop := context.WithTimeout(t.Context(), patience+10*time.Second)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "WEIR_PEER="+w.tell(t, hub), "NODE_EXTRA_CA_CERTS="+w.caFile, "SSL_CERT_FILE="+w.caFile, "NODE_NO_WARNINGS=1")
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v; make peers installs it", c.name, err)
	}
	return func() (answers, *failure) {
		t.Helper()
		defer stop()
		err := cmd.Wait()
		var a answers
		for line := range bytes.Lines(out.Bytes()) {
			a = append(a, bytes.TrimSpace(line))
		}
		if err != nil {
			t.Fatalf("%s %s: %v\n%s\n%s\nthe program says:\n%s", c.name, command[len(c.command)], err, out.Bytes(), errors.Bytes(), w.log())
		}
		for _, e := range each[struct{ Error failure }](t, a, "error") {
			if e.Error.Name != "" {
				return a, &e.Error
			}
		}
		return a, nil
	}
}

// try runs a client with a verb and gives what it has said and the error it ended with.
func (w *world) try(t *testing.T, c client, hub string, args ...any) (answers, *failure) {
	t.Helper()
	return w.start(t, c, hub, args...)()
}

// run runs a client with a verb that must succeed.
func (w *world) run(t *testing.T, c client, hub string, args ...any) answers {
	t.Helper()
	a, err := w.try(t, c, hub, args...)
	if err != nil {
		t.Fatalf("%s %v: %+v\n%s\nthe program says:\n%s", c.name, args[0], *err, a, w.log())
	}
	return a
}

// tool runs a program of the command line, and gives what it has written.
func (w *world) tool(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	out, err := w.tryTool(t, input, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\nthe program says:\n%s", name, strings.Join(args, " "), err, out, w.log())
	}
	return out
}

func (w *world) tryTool(t *testing.T, input, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v; make peers installs it", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// same compares bodies, keys and properties of what was sent with what was received, in order.
func same(t *testing.T, got []received, want []event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events have come, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		if g.body() != w.body() || g.PartitionKey != w.Key {
			t.Errorf("event %d is %q with key %q, want %q with key %q", i, g.body(), g.PartitionKey, w.body(), w.Key)
		}
		p := map[string]string{}
		for k, v := range g.Properties {
			if s, ok := v.(string); ok {
				p[k] = s
			} else {
				t.Errorf("event %d has the property %s = %v (%T)", i, k, v, v)
			}
		}
		if !maps.Equal(p, w.Properties) {
			t.Errorf("event %d has properties %v, want %v", i, p, w.Properties)
		}
		if w.ContentType != "" && g.ContentType != w.ContentType {
			t.Errorf("event %d has content type %q, want %q", i, g.ContentType, w.ContentType)
		}
	}
}
