package pipe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/intake"
	"weir/internal/disk"
	"weir/internal/vec"
)

// TestMain is the test, or one of the programs at the other end of the pipes.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "program" {
		os.Exit(program(os.Args[2], os.Args[3:]))
	}
	// The race detector has programs wait a second at their end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// program is what the test binary does as a program.
func program(name string, args []string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	switch name {
	case "dial": // prints what comes over a connection
		c, err := net.Dial("tcp", args[0])
		if err != nil {
			return fail(err)
		}
		if _, err := io.Copy(os.Stdout, c); err != nil {
			return fail(err)
		}
	case "keep": // keeps lines in a file, and acknowledges them; after so many it ends
		f, err := os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fail(err)
		}
		most := -1
		if len(args) > 1 {
			fmt.Sscan(args[1], &most)
		}
		r := bufio.NewReader(os.Stdin)
		for n := 0; n != most; n++ {
			line, err := r.ReadBytes('\n')
			if err == io.EOF {
				return 0
			}
			if err != nil {
				return fail(err)
			}
			if _, err := f.Write(line); err != nil {
				return fail(err)
			}
			fmt.Println("ok")
		}
		return fail(errors.New("that is enough for me"))
	case "say": // says a line and ends
		fmt.Fprintln(os.Stderr, args[0])
	case "last": // prints something when it is asked to end
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println(`{"id":1}`)
		<-c
		fmt.Println(`{"id":2}`)
	case "parent": // has a child that does not listen
		c := exec.Command(os.Args[0], "program", "child", args[0])
		c.Stdout = os.Stdout
		if err := c.Run(); err != nil {
			return fail(err)
		}
	case "child":
		signal.Ignore(syscall.SIGTERM)
		if err := os.WriteFile(args[0], fmt.Append(nil, os.Getpid()), 0o600); err != nil {
			return fail(err)
		}
		fmt.Println(`{"id":1}`)
		select {}
	case "variables": // says whether it has ours
		fmt.Fprintf(os.Stderr, "token %q, language %q\n", os.Getenv("WEIR_TOKEN"), os.Getenv("LANG"))
	case "hang": // takes nothing
		select {}
	}
	return 0
}

// config is settings with the defaults of the others; the program is one of ours.
func config(input bool, given map[string]any, command ...string) connect.Config {
	values := map[string]any{"command": append([]string{os.Args[0], "program"}, command...), "restart": 10 * time.Millisecond}
	if input {
		values["max_line"], values["retention"], values["max_log"], values["fsync"] = int64(1<<20), time.Minute, int64(64<<20), "always"
	} else {
		values["acknowledge"], values["timeout"] = acknowledgeLines, time.Minute
	}
	for k, v := range given {
		values[k] = v
	}
	return connect.Config{Values: values}
}

func ctx() context.Context { return Allow(context.Background()) }

func TestManual(t *testing.T) { connecttest.Manual(t, spec, "../../../docs/connectors/pipe.md") }

// other is the other side of an input: programs dial it, and print what is written to it.
type other struct {
	t     testing.TB
	l     net.Listener
	conns chan net.Conn
	sent  int64
}

func newOther(t testing.TB) *other {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &other{t: t, l: l, conns: make(chan net.Conn, 16)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.conns <- c
		}
	}()
	t.Cleanup(func() { l.Close() })
	return o
}

func (o *other) conn() net.Conn {
	select {
	case c := <-o.conns:
		o.t.Cleanup(func() { c.Close() })
		return c
	case <-time.After(20 * time.Second):
		o.t.Fatal("no program has dialled")
		return nil
	}
}

// kept waits until the log of a source has so many events.
func kept(s *source, n int64) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if _, next, _ := s.Range(); next >= n {
			return nil
		}
		select {
		case <-s.done:
			return errors.New("the source has ended")
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("the log does not get %d events", n)
}

// TestSourceSuite: what a program prints is read as the contract says.
func TestSourceSuite(t *testing.T) {
	connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
		o := newOther(t)
		var src *source
		var c net.Conn
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
		f.Add = func(rows []connecttest.Row) error {
			for _, r := range rows {
				b, err := json.Marshal(map[string]any{"id": r.ID, "text": r.Text})
				if err != nil {
					return err
				}
				if _, err := c.Write(append(b, '\n')); err != nil {
					return err
				}
				o.sent++
			}
			return kept(src, o.sent)
		}
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			s, err := openSource(ctx(), config(true, nil, "dial", o.l.Addr().String()), env)
			if err != nil {
				return nil, err
			}
			src, c = s.(*source), o.conn()
			if o.sent == 0 {
				err = f.Add(f.Rows)
			}
			return s, err
		}
		return f
	}}.Run(t)
}

// TestSinkSuite: a program that acknowledges its rows has each of them at least once.
func TestSinkSuite(t *testing.T) {
	connecttest.Sinks{Unknown: true, Unordered: true, Early: true, New: func(t testing.TB) *connecttest.Target {
		file := filepath.Join(t.TempDir(), "rows")
		var open []connect.Sink
		t.Cleanup(func() {
			for _, s := range open {
				s.Close()
			}
		})
		return &connecttest.Target{
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				s, err := openSink(ctx(), config(false, nil, "keep", file), env)
				open = append(open, s)
				return s, err
			},
			Rows: func() (rows []connecttest.Row, err error) {
				b, err := os.ReadFile(file)
				if errors.Is(err, fs.ErrNotExist) {
					return nil, nil
				}
				for line := range bytes.Lines(b) {
					var r connecttest.Row
					if err := json.Unmarshal(line, &r); err != nil {
						return nil, err
					}
					rows = append(rows, r)
				}
				return rows, err
			},
		}
	}}.Run(t)
}

// said is a log that can be read.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestRestart: a program that ends is started again, with longer and longer waits, and what it
// said last is why nothing comes.
func TestRestart(t *testing.T) {
	var log said
	s, err := openSource(ctx(), config(true, nil, "say", "no such topic"), connect.SourceEnv{State: disk.NewMem(1).Boot(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	src := s.(*source)
	for end := time.Now().Add(20 * time.Second); strings.Count(log.String(), "no such topic") < 4; {
		if time.Now().After(end) {
			t.Fatalf("the log: %s", log.String())
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := src.trouble(); err == nil || !strings.Contains(err.Error(), "ended; it said: no such topic") {
		t.Errorf("the trouble is %v", err)
	}
}

// TestVariables: a program gets the variables of its settings, and none that are for Weir.
func TestVariables(t *testing.T) {
	t.Setenv("WEIR_TOKEN", "tell nobody")
	p, err := start(config(true, map[string]any{"environment": map[string]string{"LANG": "x"}}, "variables"), true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if err := p.why(); err == nil || !strings.HasSuffix(err.Error(), `it said: token "", language "x"`) && !strings.HasSuffix(err.Error(), `it said: token "", language "***"`) {
		t.Errorf("it says %v", err)
	}
	p.end()
}

// TestHidden: what a program says of its environment is not shown.
func TestHidden(t *testing.T) {
	const secret = "s3cret-of-pipe"
	var log said
	c := config(true, map[string]any{"environment": map[string]string{"KEY": secret, "LANG": "C"}}, "say", strings.Repeat("x", maxSaidLine-5)+secret)
	s, err := openSource(ctx(), c, connect.SourceEnv{State: disk.NewMem(1).Boot(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	var ended error // while the next one has not begun
	for end := time.Now().Add(20 * time.Second); ended == nil && time.Now().Before(end); ended = s.(*source).trouble() {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	trouble := fmt.Sprint(ended)
	for _, text := range []string{trouble, log.String()} {
		if !strings.Contains(text, "x***") || strings.Contains(text, secret[:5]) {
			t.Errorf("%s", text)
		}
	}
}

// next waits until the log of an input has so many events.
func next(t *testing.T, s connect.Source, n int64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, has, _ := s.(*source).Range(); has >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("fewer than %d events came", n)
		}
	}
}

// TestLastWords: what a program prints when it is asked to end is in the log.
func TestLastWords(t *testing.T) {
	d := disk.NewMem(1)
	s, err := openSource(ctx(), config(true, nil, "last"), connect.SourceEnv{State: d.Boot()})
	if err != nil {
		t.Fatal(err)
	}
	next(t, s, 1)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	l, err := intake.Open(connect.SourceEnv{State: d.Boot()}, intake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, has, _ := l.Range(); has != 2 {
		t.Errorf("%d events", has)
	}
}

// TestChildren: what a program has started ends with it.
func TestChildren(t *testing.T) {
	file := filepath.Join(t.TempDir(), "id")
	s, err := openSource(ctx(), config(true, nil, "parent", file), connect.SourceEnv{State: disk.NewMem(1).Boot()})
	if err != nil {
		t.Fatal(err)
	}
	next(t, s, 1)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		out, err := exec.Command("ps", "-o", "stat=", "-p", string(b)).Output()
		if err != nil || strings.HasPrefix(string(out), "Z") { // none, or one that nobody has looked at
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the child lives on: %s", out)
		}
	}
}

// TestSinkRestart: a program that ends in the midst of an epoch is started again and gets the
// rows that it has not acknowledged.
func TestSinkRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows")
	s, err := openSink(ctx(), config(false, nil, "keep", file, "7"), connect.SinkEnv{Job: "j", Output: "o", Instance: "i", State: disk.NewMem(1).Boot(), Columns: connecttest.Columns()})
	if err != nil {
		t.Fatal(err)
	}
	rows := connecttest.Rows(1, 40)
	c := context.Background()
	if err := s.Write(c, 1, connecttest.Batch(rows)); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(c, 1, vec.MinTime); err != nil {
		t.Fatal(err)
	}
	tries := 1
	for ; ; tries++ {
		if err = s.Commit(c, 1); err == nil {
			break
		}
		if !strings.Contains(err.Error(), "that is enough for me") || connect.IsPermanent(err) || tries > 40 {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for line := range bytes.Lines(b) {
		var r connecttest.Row
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != len(rows) || tries < 40/7 {
		t.Errorf("%d of %d rows after %d tries", len(ids), len(rows), tries)
	}
}

// TestStuck: a program that takes nothing, or acknowledges nothing, is ended after its time; a
// job that is stopped does not wait for it.
func TestStuck(t *testing.T) {
	f := func(stop bool, want string, command ...string) {
		t.Helper()
		limit := 50 * time.Millisecond
		if stop {
			limit = time.Hour
		}
		s, err := openSink(ctx(), config(false, map[string]any{"timeout": limit}, command...),
			connect.SinkEnv{Job: "j", Output: "o", Instance: "i", State: disk.NewMem(1).Boot(), Columns: connecttest.Columns()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, cancel := context.WithCancel(context.Background())
		if err := s.Write(c, 1, connecttest.Batch(connecttest.Rows(1, 3000))); err != nil {
			t.Fatal(err)
		}
		if stop {
			time.AfterFunc(20*time.Millisecond, cancel)
		}
		if err := s.Commit(c, 1); err == nil || !strings.Contains(err.Error(), want) || connect.IsPermanent(err) {
			t.Errorf("%v: %v", command, err)
		}
		cancel()
	}
	f(false, "ended with", "hang")
	f(true, "context canceled", "hang")
}

// TestLines: how a stream is cut, whatever comes together.
func TestLines(t *testing.T) {
	f := func(text string, most int, want ...string) {
		t.Helper()
		l := newLines(io.MultiReader(strings.NewReader(text[:len(text)/2]), strings.NewReader(text[len(text)/2:])), most)
		var got []string
		for {
			records, _, err := l.take(nil)
			for _, r := range records {
				got = append(got, string(r.Value))
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.60q: %.200q", text, got)
		}
	}
	f("", 9)
	f("{}\n\n [1]\r\nlast", 9, "{}", " [1]", "last")
	f("123456789\n1234567890\n1\n", 9, "123456789", "the line is longer than max_line: 1234567890", "1")
	long := strings.Repeat("x", 200_000)
	f(long+"\n"+long, 200_000, long, long)
	f(long+"\n1\n", 100_000, "the line is longer than max_line: "+long[:1000], "1")
}

// TestRefusals: what cannot be is said when the job starts.
func TestRefusals(t *testing.T) {
	f := func(ctx context.Context, input bool, c connect.Config, format connect.Format, want string) {
		t.Helper()
		var err error
		if input {
			_, err = openSource(ctx, c, connect.SourceEnv{Format: format, State: disk.NewMem(1).Boot()})
		} else {
			_, err = openSink(ctx, c, connect.SinkEnv{Format: format, State: disk.NewMem(1).Boot()})
		}
		if err == nil || !connect.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, input := range []bool{true, false} {
		f(context.Background(), input, config(input, nil, "hang"), connect.Format{}, "--allow-commands")
		f(ctx(), input, config(input, map[string]any{"command": []string{"no-such-program-"}}), connect.Format{}, "there is no program no-such-program-")
		f(ctx(), input, config(input, map[string]any{"command": []string{}}), connect.Format{}, "no program is named")
		f(ctx(), input, config(input, map[string]any{"restart": time.Duration(0)}, "hang"), connect.Format{}, "restart")
		f(ctx(), input, config(input, nil, "hang"), connect.Format{Type: "csv"}, "lines of JSON")
	}
	if got := probe(ctx(), config(true, map[string]any{"command": []string{"no-such-program-"}}), connect.ProbeEnv{}); len(got) != 1 || got[0].Field != "command" {
		t.Errorf("%v", got)
	}
	if got := probe(ctx(), config(true, map[string]any{"directory": filepath.Join(t.TempDir(), "no")}, "hang"), connect.ProbeEnv{}); len(got) != 1 || got[0].Field != "directory" {
		t.Errorf("%v", got)
	}
	if got := probe(ctx(), config(true, nil, "hang"), connect.ProbeEnv{}); got != nil {
		t.Errorf("%v", got)
	}
}
