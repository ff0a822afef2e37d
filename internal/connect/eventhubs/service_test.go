//go:build services

package eventhubs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/namespace"
	"weir/internal/disk"
)

// program is "weir hub serve" as a process of its own, with TLS of its development CA.
type program struct {
	t       testing.TB
	command []string
	cmd     *exec.Cmd
	ready   string
	api     string
	host    string // of AMQP
	secure  string // of WebSockets
	ca      string
	key     string // name and key, as connection strings have them
	config  *tls.Config
	hubs    atomic.Int64
}

var binary struct {
	once sync.Once
	path string
}

// built is the program, which the first test builds.
func built(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "weir-eventhubs-")
		if err != nil {
			t.Fatal(err)
		}
		atEnd = append(atEnd, func() { os.RemoveAll(dir) })
		path := filepath.Join(dir, "weir")
		if out, err := exec.Command("go", "build", "-o", path, "weir/cmd/weir").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		binary.path = path
	})
	if binary.path == "" {
		t.Fatal("the program was not built")
	}
	return binary.path
}

// newProgram starts it.
func newProgram(t testing.TB) *program {
	t.Helper()
	dir, bin := t.TempDir(), built(t)
	var ports []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		ports = append(ports, port)
		ln.Close()
	}
	data := filepath.Join(dir, "data")
	p := &program{t: t, ready: filepath.Join(dir, "ready"), host: "localhost:" + ports[0], secure: "localhost:" + ports[1], ca: filepath.Join(data, "hub", "certs", "ca.pem")}
	p.command = []string{bin, "hub", "serve", "--data", data, "--listen", "127.0.0.1:0", "--ready", p.ready,
		"--amqp", "127.0.0.1:" + ports[0], "--https", "127.0.0.1:" + ports[1], "--kafka", "off", "--mqtt", "off", "--forward", "off"}
	p.start()
	t.Cleanup(func() { p.end(syscall.SIGTERM) })
	var keys struct {
		Keys []struct{ Name, Primary string }
	}
	p.ask("GET", "hubs/-/keys", nil, &keys)
	p.key = fmt.Sprintf("SharedAccessKeyName=%s;SharedAccessKey=%s", keys.Keys[0].Name, keys.Keys[0].Primary)
	pem, err := os.ReadFile(p.ca)
	if err != nil {
		t.Fatal(err)
	}
	p.config = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	p.config.RootCAs.AppendCertsFromPEM(pem)
	return p
}

func (p *program) start() {
	p.t.Helper()
	os.Remove(p.ready)
	p.cmd = exec.Command(p.command[0], p.command[1:]...)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; wait(context.Background(), 10*time.Millisecond, nil) {
		if text, err := os.ReadFile(p.ready); err == nil && len(text) > 0 {
			p.api = strings.TrimSpace(string(text))
			return
		}
		if time.Now().After(end) {
			p.t.Fatal("the program does not answer")
		}
	}
}

func (p *program) end(how os.Signal) {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(how)
	p.cmd.Wait()
	p.cmd = nil
}

// ask asks the REST interface.
func (p *program) ask(method, path string, body, answer any) {
	p.t.Helper()
	text, _ := json.Marshal(body)
	req, err := http.NewRequest(method, p.api+"/api/v1/"+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		p.t.Fatal(method, path, res.Status)
	}
	if answer != nil {
		if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *program) newHub(partitions int) string {
	name := fmt.Sprint("hub-", p.hubs.Add(1))
	p.ask("POST", "hubs", map[string]any{"name": name, "partitions": partitions}, nil)
	return name
}

// settings reach a hub over TLS, in WebSockets or not.
func (p *program) settings(hub string, sockets bool) map[string]any {
	given := map[string]any{"hub": hub, "tls_ca": p.ca, "connection_string": connect.NewHidden("Endpoint=sb://" + p.host + "/;" + p.key)}
	if sockets {
		given["connection_string"], given["transport"] = connect.NewHidden("Endpoint=sb://"+p.secure+"/;"+p.key), "websockets"
	}
	return given
}

// messages are those of a hub, as the client alone receives them.
func (p *program) messages(hub string) (bodies []string, err error) {
	c, err := azeventhubs.NewConsumerClientFromConnectionString("Endpoint=sb://"+p.host+"/;"+p.key, hub, "$Default", &azeventhubs.ConsumerClientOptions{TLSConfig: p.config})
	if err != nil {
		return nil, err
	}
	defer c.Close(context.Background())
	m, err := azeventhubs.NewProducerClientFromConnectionString("Endpoint=sb://"+p.host+"/;"+p.key, hub, &azeventhubs.ProducerClientOptions{TLSConfig: p.config})
	if err != nil {
		return nil, err
	}
	defer m.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	h, err := m.GetEventHubProperties(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, id := range h.PartitionIDs {
		x, err := m.GetPartitionProperties(ctx, id, nil)
		if err != nil {
			return nil, err
		}
		if x.IsEmpty {
			continue
		}
		earliest := true
		pc, err := c.NewPartitionClient(id, &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
		if err != nil {
			return nil, err
		}
		list, err := pc.ReceiveEvents(ctx, int(x.LastEnqueuedSequenceNumber+1), nil)
		namespace.Shut(pc)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			bodies = append(bodies, string(e.Body))
		}
	}
	return bodies, nil
}

func rowsOf(bodies []string) (list []connecttest.Row, err error) {
	for _, b := range bodies {
		var e event
		if err := json.Unmarshal([]byte(b), &e); err != nil {
			return nil, err
		}
		list = append(list, connecttest.Row(e))
	}
	return list, nil
}

// publish sends rows with the client alone.
func (p *program) publish(hub string, rows []connecttest.Row) error {
	c, err := azeventhubs.NewProducerClientFromConnectionString("Endpoint=sb://"+p.host+"/;"+p.key, hub, &azeventhubs.ProducerClientOptions{TLSConfig: p.config})
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	zero := "0"
	b, err := c.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &zero})
	for _, r := range rows {
		text, e := json.Marshal(event(r))
		if err = errors.Join(err, e); err == nil {
			err = b.AddEventData(&azeventhubs.EventData{Body: text}, nil)
		}
	}
	if err != nil {
		return err
	}
	return c.SendEventDataBatch(ctx, b, nil)
}

// TestServiceProgram: the suites against "weir hub serve" over TLS, in WebSockets and without.
func TestServiceProgram(t *testing.T) {
	p := newProgram(t)
	w := &world{t: t}
	w.addr = p.host
	for _, sockets := range []bool{false, true} {
		name := map[bool]string{false: "amqp", true: "websockets"}[sockets]
		t.Run(name+"/source", func(t *testing.T) {
			connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
				hub := p.newHub(1)
				f := &connecttest.Feed{Rows: connecttest.Rows(1, 100), Add: func(rows []connecttest.Row) error { return p.publish(hub, rows) }}
				f.Open = func(env connect.SourceEnv) (connect.Source, error) {
					return openSource(t.Context(), w.config(true, p.settings(hub, sockets)), env)
				}
				if err := f.Add(f.Rows); err != nil {
					t.Fatal(err)
				}
				return f
			}}.Run(t)
		})
		t.Run(name+"/sink", func(t *testing.T) {
			connecttest.Sinks{Unknown: true, Unordered: true, Early: true, Stride: 9, Seeds: 1, New: func(t testing.TB) *connecttest.Target {
				hub := p.newHub(2)
				return &connecttest.Target{Disk: disk.NewMem(1),
					Rows: func() ([]connecttest.Row, error) {
						bodies, err := p.messages(hub)
						if err != nil {
							return nil, err
						}
						return rowsOf(bodies)
					},
					Open: func(env connect.SinkEnv) (connect.Sink, error) {
						s, err := openSink(t.Context(), w.config(false, p.settings(hub, sockets)), env)
						if err == nil {
							t.Cleanup(func() { s.Close() })
						}
						return s, err
					}}
			}}.Run(t)
		})
	}
}

// TestServiceKilled: the program is killed while rows are sent and read, and started again.
func TestServiceKilled(t *testing.T) {
	p := newProgram(t)
	w := &world{t: t}
	name := p.newHub(1)
	src := w.source(p.settings(name, false), connect.SourceEnv{})
	sink := w.sink(p.settings(name, false), connect.SinkEnv{})
	at, seen := connect.Position(""), map[string]bool{}
	for epoch := range int64(4) {
		write(t, sink, epoch+1, keyed(3000, 1))
		if epoch%2 == 1 {
			p.end(syscall.SIGKILL)
			started := make(chan struct{})
			time.AfterFunc(300*time.Millisecond, func() {
				p.start()
				close(started)
			})
			if commit(t, sink, epoch+1) == 0 {
				t.Error("nothing failed")
			}
			<-started
		} else {
			commit(t, sink, epoch+1)
		}
		var texts []string
		texts, at, _ = reads(t, src, "0", at, 3000)
		for _, s := range texts {
			seen[s] = true
		}
		if len(seen) != 3000 {
			t.Fatalf("epoch %d: %d rows of 3000", epoch+1, len(seen))
		}
		clear(seen)
	}
}

// TestServiceProbe: a certificate that is not trusted is told with what to do.
func TestServiceProbe(t *testing.T) {
	p := newProgram(t)
	w := &world{t: t}
	given := p.settings(p.newHub(1), false)
	for _, input := range []bool{true, false} {
		if found := probe(t.Context(), w.config(input, given), connect.ProbeEnv{Input: input}); len(found) != 0 {
			t.Errorf("%+v", found)
		}
	}
	given["tls_ca"] = nil
	for _, input := range []bool{true, false} {
		found := probe(t.Context(), w.config(input, given), connect.ProbeEnv{Input: input})
		if len(found) != 1 || !strings.Contains(found[0].Hint, "tls_ca") {
			t.Errorf("%+v", found)
		}
	}
}
