package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/codec/jsonline"
)

// Verb is the word by which the program decodes a file and does nothing else.
const Verb = "decode-parquet"

// Program, if not "", is the program that decodes files as a child: with Verb as its first
// argument it calls Main with the others. Package main sets it before anything is read.
var Program string

// Self is this program, whatever has become of its file since it was started.
const Self = "/proc/self/exe"

// ChildMemory is how much memory a child may take beside what it begins with, in bytes. Three
// quarters of it is where its collector begins to work harder.
var ChildMemory int64 = 512 << 20

const (
	// stall is how long a child may work without giving a row.
	stall = 60 * time.Second
	// childLines is how much text of a child waits to be read.
	childLines = 256 << 10
)

// The exit status of a child that says what was wrong on its standard error, and whether the
// file ends too early.
const (
	exitDamage = 3
	exitCut    = 4
)

// Main is the child: it decodes the file that it gets as number 3 to its standard output. args
// are what follows Verb.
func Main(args []string) int {
	if len(args) != 3 {
		return 2
	}
	memory, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return 2
	}
	limit, err := strconv.Atoi(args[1])
	if err != nil {
		return 2
	}
	// What the library prints must not get between the lines.
	out, err := unix.Dup(1)
	if err == nil {
		err = unix.Dup2(2, 1)
	}
	if err == nil && limited {
		err = limitMemory(memory)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	f := os.NewFile(3, "the file")
	info, err := f.Stat()
	if err == nil {
		err = Decode(os.NewFile(uintptr(out), "the text"), f, info.Size(), Options{Limit: limit, Name: args[2]})
	}
	var damage *jsonline.Damage
	switch {
	case err == nil:
		return 0
	case errors.As(err, &damage) && damage.Cut:
		fmt.Fprint(os.Stderr, damage.Reason)
		return exitCut
	case errors.As(err, &damage):
		fmt.Fprint(os.Stderr, damage.Reason)
		return exitDamage
	}
	fmt.Fprintln(os.Stderr, err)
	return 2
}

// limitMemory bounds the memory that the process may write to. The address space is no measure:
// the runtime reserves much more of it than it uses.
func limitMemory(memory int64) error {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 6 {
		return errors.New("/proc/self/statm has no sixth field")
	}
	pages, err := strconv.ParseUint(fields[5], 10, 64)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(memory / 4 * 3)
	most := pages*uint64(os.Getpagesize()) + uint64(memory)
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
}

// child is a file that is decoded by a process.
type child struct {
	cmd    *exec.Cmd
	out    *os.File
	errors *start
	lines  []byte // whole lines and what is there of the next
	given  int
	whole  int // where the last whole line ends
	err    error
	waited bool
}

// spawn starts a child; ok is false if there cannot be one.
func spawn(f *os.File, o Options) (r io.ReadCloser, ok bool, err error) {
	if Program == "" {
		return nil, false, nil
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, false, err
	}
	c := &child{out: pr, errors: &start{}, cmd: exec.Command(Program, Verb, strconv.FormatInt(ChildMemory, 10), strconv.Itoa(o.Limit), o.Name)}
	c.cmd.Args[0] = os.Args[0]
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.ExtraFiles = pw, c.errors, []*os.File{f}
	// It gets nothing of the settings and secrets of this process.
	c.cmd.Env = []string{"GOMAXPROCS=2", "GOTRACEBACK=none"}
	err = c.cmd.Start()
	pw.Close()
	if err != nil {
		pr.Close()
		return nil, false, fmt.Errorf("start the process that decodes Parquet: %w", err)
	}
	return c, true, nil
}

// start keeps the start of what is written to it.
type start struct{ text []byte }

func (s *start) Write(p []byte) (int, error) {
	s.text = append(s.text, p[:min(len(p), 2<<10-len(s.text))]...)
	return len(p), nil
}

// Read gives whole lines: of what a child that ends badly has written, a line that does not end
// is dropped.
func (c *child) Read(p []byte) (int, error) {
	for c.given == c.whole {
		if c.err != nil {
			return 0, c.err
		}
		c.fill()
	}
	n := copy(p, c.lines[c.given:c.whole])
	c.given += n
	return n, nil
}

// fill reads from the child.
func (c *child) fill() {
	if c.lines == nil {
		c.lines = make([]byte, 0, childLines)
	}
	rest := copy(c.lines, c.lines[c.given:])
	c.lines = c.lines[:rest]
	c.given, c.whole = 0, 0
	if rest == cap(c.lines) {
		c.lines = append(c.lines, 0)[:rest] // a line that is longer
	}
	c.out.SetReadDeadline(time.Now().Add(stall))
	n, err := c.out.Read(c.lines[rest:cap(c.lines)])
	c.lines = c.lines[:rest+n]
	if i := bytes.LastIndexByte(c.lines[rest:], '\n'); i >= 0 {
		c.whole = rest + i + 1
	}
	switch {
	case err == io.EOF:
		c.err = c.ended()
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.err = jsonline.Damagef("the Parquet file cannot be read: no row came of it for %v", stall)
		c.kill()
	case err != nil:
		c.err = err
		c.kill()
	}
}

// ended says why the child has ended.
func (c *child) ended() error {
	c.waited = true
	err := c.cmd.Wait()
	if err == nil {
		return io.EOF
	}
	said := string(c.errors.text)
	switch status := c.cmd.ProcessState; {
	case status.ExitCode() == exitCut:
		return &jsonline.Damage{Reason: said, Cut: true}
	case status.ExitCode() == exitDamage:
		return &jsonline.Damage{Reason: said}
	default:
		// A program of Go that gets no memory dies in many ways.
		line, _, _ := strings.Cut(said, "\n")
		return jsonline.Damagef("the Parquet file cannot be read: its decoder takes more than %d MiB of memory, or fails (%v: %.100s); write it with smaller pages and row groups",
			ChildMemory>>20, status, line)
	}
}

func (c *child) kill() {
	if !c.waited {
		c.waited = true
		c.cmd.Process.Kill()
		c.cmd.Wait()
	}
}

// Close ends the child and waits for it.
func (c *child) Close() error {
	c.kill()
	if c.err == nil {
		c.err = errClosed
	}
	c.given, c.whole = 0, 0
	return c.out.Close()
}
