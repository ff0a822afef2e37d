//go:build lossy

package crashtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPower is TestKill on a file system that loses, with every kill, what was not synced:
// bytes, ends of files, names. It is Linux with FUSE only:
//
//	go test -tags lossy ./internal/crashtest -run Power -timeout 1h -kills 200 -events 1000000
func TestPower(t *testing.T) {
	d := mountLossy(t)
	c := newCrash(t, d.dir)
	for _, name := range []string{"out", "out/minutes", "state"} {
		if err := os.MkdirAll(filepath.Join(d.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.syncAll(d.dir)
	c.run(func(i int) { d.say(fmt.Sprintf("lose %d", *seed*1_000_003+uint64(i))) })
	t.Log(d.say("stats"))
}

// lossyDisk is a mounted bench/lossy.
type lossyDisk struct {
	t   *testing.T
	dir string
	in  io.Writer
	out *bufio.Reader
}

func mountLossy(t *testing.T) *lossyDisk {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "lossy")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = filepath.Join("..", "..", "bench", "lossy")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	d := &lossyDisk{t: t, dir: filepath.Join(t.TempDir(), "disk")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, d.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.in, d.out = in, bufio.NewReader(out)
	d.answer()
	t.Cleanup(func() {
		io.WriteString(in, "quit\n")
		cmd.Wait()
	})
	return d
}

// say gives a command and waits for the answer.
func (d *lossyDisk) say(command string) string {
	d.t.Helper()
	if _, err := io.WriteString(d.in, command+"\n"); err != nil {
		d.t.Fatal(err)
	}
	return d.answer()
}

func (d *lossyDisk) answer() string {
	d.t.Helper()
	line, err := d.out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ok") {
		d.t.Fatalf("the lossy disk says %q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

// syncAll makes everything below a directory durable.
func (d *lossyDisk) syncAll(dir string) {
	d.t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// TestHubPower is TestHubKill on that file system.
func TestHubPower(t *testing.T) {
	d := mountLossy(t)
	h := newHubCrash(t, d.dir, "always")
	for _, problem := range h.run(func(i int) { d.say(fmt.Sprintf("lose %d", *seed*1_000_003+uint64(i))) }) {
		t.Error(problem)
	}
	t.Log(d.say("stats"))
}

// TestHubPowerFindsLoss: without an fsync, losses of power take acknowledged events, and the
// test sees it.
func TestHubPowerFindsLoss(t *testing.T) {
	d := mountLossy(t)
	h := newHubCrash(t, d.dir, "none")
	problems := h.run(func(i int) { d.say(fmt.Sprintf("lose %d", *seed*1_000_003+uint64(i))) })
	if len(problems) == 0 {
		t.Error("nothing was lost")
	}
	t.Logf("found, as it should be: %q; %s", problems, d.say("stats"))
}
