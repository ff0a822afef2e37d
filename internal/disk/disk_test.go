package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file of a text.
func write(t *testing.T, d FS, name, text string) File {
	t.Helper()
	f, err := d.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	add(t, f, text)
	return f
}

func add(t *testing.T, f File, text string) {
	t.Helper()
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content is a file's text, or the kind of error that reading it gives.
func content(d FS, name string) string {
	f, err := d.Open(name)
	if err != nil {
		return kind(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return kind(err)
	}
	return string(b)
}

func kind(err error) string {
	for _, e := range []error{fs.ErrNotExist, fs.ErrInvalid, fs.ErrExist, fs.ErrClosed, ErrLocked, ErrFull, ErrPower, io.EOF} {
		if errors.Is(err, e) {
			return "<" + e.Error() + ">"
		}
	}
	if err != nil {
		return "<error>"
	}
	return "<ok>"
}

func list(d FS, name string) string {
	infos, err := d.ReadDir(name)
	if err != nil {
		return kind(err)
	}
	var s []string
	for _, i := range infos {
		text := fmt.Sprintf("%s:%d", i.Name, i.Size)
		if i.Dir {
			text = i.Name + "/"
		}
		s = append(s, text)
	}
	return strings.Join(s, " ")
}

// TestSameAnswers runs one script on the real file system and on the one in memory: what
// can be seen must be the same.
func TestSameAnswers(t *testing.T) {
	atDir, err := At(t.TempDir() + "/made/here")
	ok(t, err)
	disks := map[string]FS{"at": atDir, "mem": NewMem(1)}
	answers := map[string][]string{}
	for name, d := range disks {
		say := func(a ...any) { answers[name] = append(answers[name], fmt.Sprint(a...)) }
		script(t, d, say)
	}
	if len(answers["at"]) < 50 {
		t.Fatalf("%d answers", len(answers["at"]))
	}
	for i, want := range answers["at"] {
		if got := answers["mem"][i]; got != want {
			t.Errorf("answer %d: the machine says %q, memory %q", i, want, got)
		}
	}
}

func script(t *testing.T, d FS, say func(...any)) {
	_, err := d.Open("nothing")
	say(kind(err))
	for _, name := range []string{"../x", "/etc/passwd", "a/../b", "", "a//b", "a/", "./a", "..", "a\x00b"} {
		_, err := d.Open(name)
		say(name, kind(err))
		_, err = d.Create(name)
		say(name, kind(err))
		_, err = d.Edit(name)
		say(name, kind(err))
		say(name, kind(d.Rename(name, "x")), kind(d.Rename("x", name)), kind(d.Remove(name)), kind(d.MkdirAll(name)), kind(d.SyncDir(name)))
		_, err = d.Stat(name)
		say(name, kind(err))
		_, err = d.Sub(name)
		say(name, kind(err))
		_, err = d.Lock(name)
		say(name, kind(err))
	}
	say(list(d, "."))
	f := write(t, d, "a", "hello")
	say(content(d, "a"), list(d, "."))
	at, err := f.Seek(1, io.SeekStart)
	say(at, kind(err))
	add(t, f, "EL")
	say(content(d, "a"))
	at, err = f.Seek(2, io.SeekEnd)
	say(at, kind(err))
	add(t, f, "!")
	say(content(d, "a"))
	say(kind(f.Truncate(4)), content(d, "a"))
	say(kind(f.Truncate(6)), content(d, "a"))
	say(kind(f.Truncate(-1)) != "<ok>")
	_, err = f.Seek(0, io.SeekStart)
	ok(t, err)
	p := make([]byte, 3)
	n, err := f.Read(p)
	say(n, kind(err), string(p))
	n, err = f.ReadAt(p, 5)
	say(n, kind(err))
	n, err = f.ReadAt(p, 50)
	say(n, kind(err))
	i, err := f.Stat()
	say(i.Name, i.Size, i.Dir, kind(err))
	say(kind(f.Sync()), kind(d.SyncDir(".")))

	say(kind(d.Rename("a", "no/where")), kind(d.MkdirAll("dir/deep")), kind(d.MkdirAll("dir/deep")), kind(d.MkdirAll(".")))
	id, _ := d.Stat("a")
	say(kind(d.Rename("a", "dir/b")), list(d, "."), list(d, "dir"), kind(d.Rename("a", "c")))
	moved, _ := d.Stat("dir/b")
	say(id.ID == moved.ID, id.ID != 0, moved.Name)
	add(t, f, "?")
	say("through the old handle: ", content(d, "dir/b"), kind(f.Close()), kind(f.Close()))
	_, err = f.Write([]byte("x"))
	say(kind(err))

	f, err = d.Edit("dir/b")
	ok(t, err)
	add(t, f, "J")
	ok(t, f.Close())
	f, err = d.Edit("new")
	ok(t, err)
	ok(t, f.Close())
	say(content(d, "dir/b"), content(d, "new"))
	ok(t, write(t, d, "other", "other").Close())
	say(kind(d.Rename("other", "new")), content(d, "new"), content(d, "other"))
	r, err := d.Open("new")
	ok(t, err)
	ok(t, write(t, d, "next", "next").Close())
	ok(t, d.Rename("next", "new"))
	b, err := io.ReadAll(r)
	say("the replaced file stays open: ", string(b), kind(err), content(d, "new"))
	ok(t, r.Close())
	r, err = d.Open("new")
	ok(t, err)
	_, err = r.Write([]byte("x"))
	say(err != nil)
	ok(t, d.Remove("new"))
	b, err = io.ReadAll(r)
	say("so does a removed one: ", string(b), kind(err), kind(d.Remove("new")))
	ok(t, r.Close())

	_, err = d.Open("dir")
	say("a directory is no file: ", err != nil)
	_, err = d.Create("dir")
	say(err != nil)
	say(d.Remove("dir") != nil, d.MkdirAll("dir/b") != nil, d.MkdirAll("dir/b/c") != nil)
	_, err = d.Open("dir/b/c")
	say(err != nil)
	say(kind(d.SyncDir("missing")), list(d, "missing"), list(d, "dir"))
	i, err = d.Stat(".")
	say(i.Dir, kind(err))

	sub, err := d.Sub("sub/way")
	ok(t, err)
	ok(t, write(t, sub, "x", "in sub").Close())
	say(content(d, "sub/way/x"), content(sub, "../../dir/b"), list(d, "sub"), list(sub, "."))
	say(kind(d.Remove("sub/way/x")), kind(d.Remove("sub/way")), list(d, "sub"))

	l, err := d.Lock("lock")
	say(kind(err))
	_, err = d.Lock("lock")
	say(kind(err))
	ok(t, l.Close())
	l, err = d.Lock("lock")
	say(kind(err))
	ok(t, l.Close())
}

// TestOutside has links that lead out of the directory.
func TestOutside(t *testing.T) {
	top := t.TempDir()
	canary := filepath.Join(top, "canary")
	ok(t, os.WriteFile(canary, []byte("alive"), 0o600))
	ok(t, os.Mkdir(filepath.Join(top, "in"), 0o700))
	ok(t, os.Symlink(canary, filepath.Join(top, "in", "absolute")))
	ok(t, os.Symlink("../canary", filepath.Join(top, "in", "relative")))
	ok(t, os.Symlink("..", filepath.Join(top, "in", "up")))
	ok(t, os.Symlink("nowhere", filepath.Join(top, "in", "dangling")))
	d, err := At(filepath.Join(top, "in"))
	ok(t, err)
	ok(t, write(t, d, "real", "real").Close())
	ok(t, os.Symlink("real", filepath.Join(top, "in", "inside")))
	if got := content(d, "inside"); got != "real" {
		t.Error("a link inside:", got)
	}
	for _, name := range []string{"absolute", "relative", "up/canary", "up/new", "up"} {
		if _, err := d.Open(name); err == nil {
			t.Error("opened", name)
		}
		if f, err := d.Create(name); err == nil {
			f.Close()
			t.Error("created", name)
		}
		if _, err := d.Sub(name); err == nil {
			t.Error("entered", name)
		}
		if _, err := d.Stat(name); err == nil {
			t.Error("saw", name)
		}
	}
	if got := list(d, "."); got != "inside:4 real:4" {
		t.Error(got)
	}
	if d.Rename("real", "up/canary") == nil {
		t.Error("renamed out")
	}
	if b, err := os.ReadFile(canary); err != nil || string(b) != "alive" {
		t.Error("the canary is dead")
	}
}

// TestModes has what only we read, and what others do.
func TestModes(t *testing.T) {
	f := func(open func(string) (FS, error), file, dir fs.FileMode) {
		t.Helper()
		top := t.TempDir() + "/d"
		d, err := open(top)
		ok(t, err)
		ok(t, write(t, d, "f", "").Close())
		ok(t, d.MkdirAll("sub"))
		for name, want := range map[string]fs.FileMode{"f": file, "sub": dir, ".": dir} {
			i, err := os.Stat(d.Path(name))
			ok(t, err)
			if got := i.Mode().Perm(); got&^want != 0 || got&0o600 == 0 {
				t.Errorf("%s has mode %v, not %v", name, got, want)
			}
		}
	}
	f(At, 0o600, 0o700)
	f(Shared, 0o666, 0o777)
}

// TestFullDevice asks the system itself what a full disk says.
func TestFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Log("no /dev/full on this system")
		return
	}
	defer full.Close()
	if _, err := (realFile{full}).Write(bytes.Repeat([]byte("x"), 10)); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}
