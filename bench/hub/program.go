package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is the program while it is measured.
type program struct {
	dir        string
	cmd        *exec.Cmd
	api        string
	amqp, mqtt string // host:port
	keyName    string
	key        string
	connection string
}

// start starts the program with a new data directory in parent ("": the temporary one).
func (b *bench) start(ctx context.Context, parent, fsync string) (*program, error) {
	dir, err := os.MkdirTemp(parent, "weir-bench-hub-")
	if err != nil {
		return nil, err
	}
	p := &program{dir: dir}
	if err := p.begin(ctx, b.weir, fsync); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *program) begin(ctx context.Context, weir, fsync string) error {
	var err error
	if p.amqp, p.mqtt, err = freeAddresses(); err != nil {
		return err
	}
	ready := filepath.Join(p.dir, "ready")
	cmd := exec.Command(weir, "hub", "serve", "--data", filepath.Join(p.dir, "data"), "--listen", "127.0.0.1:0", "--ready", ready, "--hub-fsync", fsync, "--log-level", "error",
		"--amqp", p.amqp, "--mqtt", p.mqtt, "--https", "off", "--kafka", "off", "--forward", "off")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(ready); err == nil && len(text) > 0 {
			p.api = strings.TrimSpace(string(text)) + "/api/v1/"
			break
		}
		if time.Now().After(end) {
			return errors.New("the program does not answer")
		}
	}
	var keys struct {
		Keys []struct{ Name, Primary string }
	}
	if err := p.ask(ctx, "GET", "hubs/-/keys", nil, &keys); err != nil {
		return err
	}
	p.keyName, p.key = keys.Keys[0].Name, keys.Keys[0].Primary
	p.connection = fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", strings.Replace(p.amqp, "127.0.0.1", "localhost", 1), p.keyName, p.key)
	return nil
}

// freeAddresses are two that nobody has at the moment.
func freeAddresses() (string, string, error) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer a.Close()
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer b.Close()
	return a.Addr().String(), b.Addr().String(), nil
}

// makeHub makes an event hub.
func (p *program) makeHub(ctx context.Context, name string, partitions int, groups ...string) error {
	return p.ask(ctx, "POST", "hubs", map[string]any{"name": name, "partitions": partitions, "groups": append([]string{}, groups...)}, nil)
}

func (p *program) ask(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, p.api+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err = io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s %s", method, path, res.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// close ends the program and removes its data.
func (p *program) close() error {
	var err error
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		err = p.cmd.Wait()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// tick is the unit of processor times in /proc; it is the same on all machines of today.
const tick = 10 * time.Millisecond

// cpu is the processor time that the program has used.
func (p *program) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(text, []byte(") ")) // the name may have spaces
	fields := strings.Fields(string(after))
	var sum time.Duration
	for _, f := range fields[11:13] { // user and system
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// resident is the memory of the program that is in use, in bytes.
func (p *program) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			return kb << 10, nil
		}
	}
	return 0, errors.New("no VmRSS")
}

// ownCPU is the processor time that this process, the client, has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
