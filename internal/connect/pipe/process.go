package pipe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"weir/internal/connect"
)

// patience is how long a program that is asked to end may take before it is killed.
const patience = 5 * time.Second

// Of what a program says on its standard error, so many lines a minute are logged, each cut to
// so many bytes.
const (
	maxSaid     = 100
	maxSaidLine = 500
)

// leastHidden is how long a value of the environment is that is not shown; shorter ones are in
// any text.
const leastHidden = 4

// lastWords is how long what a program has printed is waited for behind its end.
const lastWords = time.Second

// process is a program that runs.
type process struct {
	cmd    *exec.Cmd
	name   string
	hide   *strings.Replacer // values of its environment that are not shown
	in     io.WriteCloser    // its standard input
	out    *os.File          // what it prints
	exited chan struct{}
	err    error // of its end; after exited
	ending sync.Once

	mu   sync.Mutex
	last string // line of its standard error
}

// start starts the program of a configuration. With input its standard input is empty.
func start(c connect.Config, input bool, log *slog.Logger) (*process, error) {
	path, err := lookPath(c)
	if err != nil {
		return nil, err
	}
	command := c.List("command")
	var hide []string
	for _, value := range c.Map("environment") {
		if len(value) >= leastHidden {
			hide = append(hide, value, "***")
		}
	}
	p := &process{name: command[0], hide: strings.NewReplacer(hide...), exited: make(chan struct{}), cmd: exec.Command(path, command[1:]...)}
	p.cmd.Dir = c.Text("directory")
	for _, v := range os.Environ() { // the variables of Weir itself, such as its token, are not its business
		if !strings.HasPrefix(v, "WEIR_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	for name, value := range c.Map("environment") {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	ownGroup(p.cmd)
	if !input {
		if p.in, err = p.cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	// The pipes are ours, so that Wait does not close what was not read yet.
	out, outEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	said, saidEnd, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, out.Close(), outEnd.Close())
	}
	p.out, p.cmd.Stdout, p.cmd.Stderr = out, outEnd, saidEnd
	err = p.cmd.Start()
	outEnd.Close()
	saidEnd.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.name, err), out.Close(), said.Close())
	}
	listened := make(chan struct{})
	go func() { p.listen(said, log); close(listened) }()
	go func() {
		p.err = p.cmd.Wait()
		select { // what it said last comes first, but a grandchild may keep the pipe
		case <-listened:
		case <-time.After(time.Second):
		}
		said.Close()
		<-listened
		close(p.exited)
	}()
	return p, nil
}

// listen logs what the program says on its standard error.
func (p *process) listen(said *os.File, log *slog.Logger) {
	r := bufio.NewReaderSize(said, 64<<10)
	lines, dropped, since := 0, 0, time.Now()
	for {
		line, more, err := r.ReadLine()
		for more && err == nil { // the rest of a long line
			_, more, err = r.ReadLine()
		}
		if len(line) > 0 {
			text := p.hide.Replace(strings.ToValidUTF8(string(line), "\uFFFD")) // before it is cut: half a secret is one
			text = strings.ToValidUTF8(text[:min(len(text), maxSaidLine)], "")
			p.mu.Lock()
			p.last = text
			p.mu.Unlock()
			if time.Since(since) > time.Minute {
				if dropped > 0 {
					log.Warn("the program said more than is logged", "program", p.name, "lines", dropped)
				}
				lines, dropped, since = 0, 0, time.Now()
			}
			if lines++; lines <= maxSaid {
				log.Info("the program says", "program", p.name, "text", text)
			} else {
				dropped++
			}
		}
		if err != nil {
			return
		}
	}
}

// why is an error that says how the program ended.
func (p *process) why() error {
	how := "ended"
	if p.err != nil {
		how = "ended with " + p.err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last != "" {
		return fmt.Errorf("the program %s %s; it said: %s", p.name, how, p.last)
	}
	return fmt.Errorf("the program %s %s", p.name, how)
}

// end lets the program end: its input is over. If it does not, it is asked to, and then killed,
// with its children.
func (p *process) end() {
	if p.in == nil {
		p.abort()
		return
	}
	p.ending.Do(func() {
		p.in.Close()
		p.await(terminate, kill)
	})
}

// abort asks the program and its children to end, and kills them if they do not.
func (p *process) abort() {
	p.ending.Do(func() {
		if p.in != nil {
			p.in.Close()
		}
		terminate(p.cmd)
		p.await(kill)
	})
}

// await waits for the end, with a step whenever the program takes too long.
func (p *process) await(steps ...func(*exec.Cmd)) {
	for _, step := range steps {
		t := time.NewTimer(patience)
		select {
		case <-p.exited:
		case <-t.C:
			step(p.cmd)
		}
		t.Stop()
	}
	<-p.exited
	kill(p.cmd) // what it has left behind
	// Who reads has what is there; one that has left the group may hold the other end.
	_ = p.out.SetReadDeadline(time.Now().Add(lastWords))
}
