//go:build peers

package peertest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// world is the program that all tests share, and what clients need to reach it.
type world struct {
	AMQPPort    int
	HTTPSPort   int
	Kafka       string // host:port
	MQTTPort    int
	ForwardPort int

	standard     string // an address that has AMQP on 5671, as Azure has
	keyName, key string
	plain, tls   string // connection strings: of the emulator's kind, and for TLS
	standardTLS  string
	caFile, ca   string
	pool         *x509.CertPool

	api     string // of the service
	logFile string
	command []string
	cmd     *exec.Cmd
	hubs    atomic.Int64
}

var (
	shared     *world
	sharedOnce sync.Once
	scratch    string
)

// TestMain ends the program after the last test.
func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "weir-peers-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if shared != nil {
		if err := shared.stop(); err != nil {
			fmt.Fprintf(os.Stderr, "the program ended with %v\n%s", err, shared.log())
			code = 1
		}
	}
	os.RemoveAll(scratch)
	os.Exit(code)
}

// program is the program, which the first test starts.
func program(t *testing.T) *world {
	t.Helper()
	sharedOnce.Do(func() { shared = startProgram(t) })
	if shared == nil {
		t.Fatal("the program has not started")
	}
	return shared
}

func startProgram(t *testing.T) *world {
	t.Helper()
	bin := filepath.Join(scratch, "weir")
	if out, err := exec.Command("go", "build", "-o", bin, "weir/cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ports := freePorts(t, 5)
	w := &world{AMQPPort: ports[0], HTTPSPort: ports[1], Kafka: fmt.Sprintf("localhost:%d", ports[2]), MQTTPort: ports[3], ForwardPort: ports[4]}
	// Old SDKs for Python know the port 5671 only: it is opened on an address of our own.
	w.standard = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	data := filepath.Join(scratch, "data")
	w.logFile = filepath.Join(scratch, "log")
	w.command = []string{bin, "hub", "serve", "--data", data, "--listen", "127.0.0.1:0", "--ready", filepath.Join(scratch, "ready"), "--log-level", "info",
		"--host", w.standard, "--amqp", at(0) + "," + w.standard + ":5671", "--https", at(1), "--kafka", at(2), "--mqtt", at(3), "--forward", at(4)}
	w.launch(t)
	var keys struct {
		Keys []struct{ Name, Primary string }
	}
	w.ask(t, "GET", "hubs/-/keys", nil, &keys)
	w.keyName, w.key = keys.Keys[0].Name, keys.Keys[0].Primary
	secret := fmt.Sprintf("SharedAccessKeyName=%s;SharedAccessKey=%s", w.keyName, w.key)
	w.plain = fmt.Sprintf("Endpoint=sb://localhost:%d;%s;UseDevelopmentEmulator=true", w.AMQPPort, secret)
	w.tls = fmt.Sprintf("Endpoint=sb://localhost:%d/;%s", w.AMQPPort, secret)
	w.standardTLS = fmt.Sprintf("Endpoint=sb://%s/;%s", w.standard, secret)
	w.caFile = filepath.Join(data, "hub", "certs", "ca.pem")
	pem, err := os.ReadFile(w.caFile)
	if err != nil {
		t.Fatal(err)
	}
	w.ca, w.pool = string(pem), x509.NewCertPool()
	w.pool.AppendCertsFromPEM(pem)
	w.makeHub(t, deviceHub, 1)
	w.makeHub(t, forwardHub, 1)
	return w
}

// launch runs the program, and waits until it answers.
func (w *world) launch(t *testing.T) {
	t.Helper()
	stderr, err := os.OpenFile(w.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	ready := filepath.Join(scratch, "ready")
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.cmd = exec.Command(w.command[0], w.command[1:]...)
	w.cmd.Stderr = stderr
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(ready); err == nil && len(text) > 0 {
			w.api = strings.TrimSpace(string(text))
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the program does not answer\n%s", w.log())
		}
	}
}

// restart kills the program and runs it again, at the same ports and with the same data.
func (w *world) restart(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Wait(); err == nil {
		t.Fatal("the program was killed and ended as if it was not")
	}
	w.launch(t)
}

// The hubs of what comes without the name of one, by the program's defaults.
const (
	deviceHub  = "iothub"
	forwardHub = "fluentd"
)

// stop ends the program as an operator does.
func (w *world) stop() error {
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return w.cmd.Wait()
}

// log is what the program has written.
func (w *world) log() string {
	b, _ := os.ReadFile(w.logFile)
	if n := 8 << 10; len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

// ask asks the REST interface of the service.
func (w *world) ask(t *testing.T, method, path string, body, answer any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.api+"/api/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s", method, path, res.Status, out.Bytes())
	}
	if answer != nil {
		if err := json.Unmarshal(out.Bytes(), answer); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, out.Bytes(), err)
		}
	}
}

// newHub makes an event hub of the test's own.
func (w *world) newHub(t *testing.T, partitions int) string {
	t.Helper()
	name := fmt.Sprintf("hub-%d", w.hubs.Add(1))
	w.makeHub(t, name, partitions)
	return name
}

func (w *world) makeHub(t *testing.T, name string, partitions int) {
	t.Helper()
	w.ask(t, "POST", "hubs", args{"name": name, "partitions": partitions}, nil)
}

// next is the sequence number that the next event of a partition will have.
func (w *world) next(t *testing.T, hub string, partition int) int64 {
	t.Helper()
	var v struct{ Partitions []struct{ Next int64 } }
	w.ask(t, "GET", "hubs/"+hub+"/partitions", nil, &v)
	return v.Partitions[partition].Next
}

// tell is what the scripts are told of the program and of the hub of the test.
func (w *world) tell(t *testing.T, hub string) string {
	t.Helper()
	b, err := json.Marshal(args{"amqpPort": w.AMQPPort, "httpsPort": w.HTTPSPort, "kafka": w.Kafka, "mqttPort": w.MQTTPort, "forwardPort": w.ForwardPort,
		"keyName": w.keyName, "key": w.key, "plain": w.plain, "tls": w.tls, "standard": w.standardTLS, "caFile": w.caFile, "ca": w.ca, "hub": hub, "patience": patience.Milliseconds()})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// token is a shared access signature for an address.
func (w *world) token(address, key string) string {
	target, expires := url.QueryEscape(address), time.Now().Add(time.Hour).Unix()
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s\n%d", target, expires)
	return fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d&skn=%s", target, url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))), expires, w.keyName)
}

// freePorts are ports that nobody has at the moment.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var list []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().(*net.TCPAddr).Port)
	}
	return list
}

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
