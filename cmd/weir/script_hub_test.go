package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-sql-driver/mysql"
	"github.com/rogpeppe/go-internal/testscript"
)

// hubConnection waits until the hub of a run that goes on in the background answers AMQP, and has
// verbs talk to it: hubconnection FILE, where FILE is its standard error.
func hubConnection(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hubconnection FILE")
	}
	said := regexp.MustCompile(`(?m)^the hub answers AMQP: (.*)$`)
	poll(ts, "the hub does not answer", func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		m := said.FindSubmatch(b)
		if err != nil || m == nil {
			return false
		}
		ts.Setenv("WEIR_CONNECTION", string(m[1]))
		return true
	})
}

// fluentd posts each line of a file to a hub as fluent-plugin-azureeventhubs 0.0.7 does
// (eventhubs.md 1.4): fluentd HUB FILE. The service says where, and with which key.
func fluentd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fluentd HUB FILE")
	}
	p := newPlugin(ts, args[0])
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		status, err := p.post(strings.TrimSpace(line))
		ts.Check(err)
		if status != "201 Created" {
			ts.Fatalf("%s: %s", line, status)
		}
	}
}

// postToHub posts an event by HTTPS with a token that is a file's line: posttohub HUB PATH FILE
// STATUS.
func postToHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: posttohub HUB PATH FILE STATUS")
	}
	p := newPlugin(ts, args[0])
	r, err := http.NewRequest(http.MethodPost, "https://"+p.host+"/"+args[1], strings.NewReader(`{"posted":1}`))
	ts.Check(err)
	token, ok := strings.CutSuffix(ts.ReadFile(args[2]), "\n")
	if !ok || strings.Contains(token, "\n") {
		ts.Fatalf("%q is not a token and a line end", token)
	}
	r.Header.Set("Authorization", token)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: p.trust, DisableKeepAlives: true}, Timeout: patience}
	answer, err := c.Do(r)
	ts.Check(err)
	ts.Check(answer.Body.Close())
	if answer.Status != args[3] {
		ts.Fatalf("%s: %s", args[1], answer.Status)
	}
}

// plugin is what the configuration of the Fluentd plugin says.
type plugin struct {
	host, hub, rule, key string
	trust                *tls.Config
}

func newPlugin(ts *testscript.TestScript, hub string) *plugin {
	var keys struct {
		Keys []struct {
			Connect []struct{ For, Settings string } `json:"connect"`
		} `json:"keys"`
	}
	var about struct{ CA string }
	getJSON(ts, "/hubs/"+hub+"/keys", &keys)
	getJSON(ts, "/hub", &about)
	ca, err := os.ReadFile(about.CA)
	ts.Check(err)
	p := &plugin{hub: hub, trust: &tls.Config{RootCAs: x509.NewCertPool()}}
	p.trust.RootCAs.AppendCertsFromPEM(ca)
	for _, c := range keys.Keys[0].Connect {
		if c.For != "fluent-plugin-azureeventhubs" {
			continue
		}
		if strings.Count(c.Settings, ";") != 2 {
			ts.Fatalf("the plugin takes three parts, not %q", c.Settings)
		}
		parts, err := azeventhubs.ParseConnectionString(c.Settings)
		ts.Check(err)
		p.host, p.rule, p.key = strings.Trim(strings.TrimPrefix(parts.Endpoint, "sb://"), "/"), *parts.SharedAccessKeyName, *parts.SharedAccessKey
	}
	return p
}

// getJSON asks the service of a script.
func getJSON(ts *testscript.TestScript, path string, to any) {
	r, err := http.Get(ts.Getenv("WEIR_SERVER") + "/api/v1" + path)
	ts.Check(err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	ts.Check(err)
	if r.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s %s", path, r.Status, b)
	}
	ts.Check(json.Unmarshal(b, to))
}

// post sends a record over a connection of its own, and gives the status line.
func (p *plugin) post(body string) (string, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", p.host, p.trust)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	sr := strings.ToLower(url.QueryEscape("https://" + p.host + "/" + p.hub + "/messages"))
	se := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	mac := hmac.New(sha256.New, []byte(p.key))
	mac.Write([]byte(sr + "\n" + se))
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	_, err = fmt.Fprintf(conn, "POST /%s/messages HTTP/1.1\r\nContent-Type: application/atom+xml;type=entry;charset=utf-8\r\n"+
		"Authorization: SharedAccessSignature sr=%s&sig=%s&se=%s&skn=%s\r\nX-Prop: 1\r\nConnection: close\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s",
		p.hub, sr, sig, se, p.rule, p.host, len(body), body)
	if err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	line, _, _ := bytes.Cut(answer, []byte("\r\n"))
	return strings.TrimPrefix(string(line), "HTTP/1.1 "), err
}

// secureConnection has send and recv talk to a port of the service with TLS, and sets CA to the
// file of its development CA: secureconnection HUB amqp|https.
func secureConnection(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: secureconnection HUB PROTOCOL")
	}
	p := newPlugin(ts, args[0])
	var about struct {
		CA    string
		Ports []struct{ Protocol, Address string }
	}
	getJSON(ts, "/hub", &about)
	for _, at := range about.Ports {
		_, port, err := net.SplitHostPort(at.Address)
		ts.Check(err)
		if at.Protocol == args[1] {
			ts.Setenv("WEIR_CONNECTION", fmt.Sprintf("Endpoint=sb://localhost:%s/;SharedAccessKeyName=%s;SharedAccessKey=%s", port, p.rule, p.key))
		}
	}
	ts.Setenv("CA", about.CA)
}

// waitRunning waits until a job of the service runs: running JOB.
func waitRunning(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: running JOB")
	}
	var job struct{ State, Reason string }
	poll(ts, args[0]+" does not run", func() bool {
		getJSON(ts, "/jobs/"+args[0], &job)
		if job.State == "failed" {
			ts.Fatalf("%s has failed: %s", args[0], job.Reason)
		}
		return job.State == "running"
	})
}

// waitRows waits until a query gives the rows of a file, a row a line: waitrows DATABASE QUERY
// FILE, where DATABASE is sqlite:FILE or a connection string of MySQL.
func waitRows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: waitrows DATABASE QUERY FILE")
	}
	driver, name := "sqlite", ""
	if file, ok := strings.CutPrefix(args[0], "sqlite:"); ok {
		name = ts.MkAbs(file)
	} else {
		u, err := url.Parse(args[0])
		ts.Check(err)
		c := mysql.NewConfig()
		c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, strings.Trim(u.Path, "/")
		c.Passwd, _ = u.User.Password()
		driver, name = "mysql", c.FormatDSN()
	}
	db, err := sql.Open(driver, name)
	ts.Check(err)
	defer db.Close()
	want, got := ts.ReadFile(args[2]), ""
	for end := time.Now().Add(patience); got != want; {
		if time.Now().After(end) {
			ts.Fatalf("%s gives\n%swant\n%s", args[1], got, want)
		}
		time.Sleep(10 * time.Millisecond)
		if got, err = rowsOf(db, args[1]); err != nil {
			got = err.Error() + "\n"
		}
	}
}

// rowsOf is what a query gives.
func rowsOf(db *sql.DB, query string) (string, error) {
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for rows.Next() {
		cells := make([]sql.NullString, len(names))
		to := make([]any, len(names))
		for i := range cells {
			to[i] = &cells[i]
		}
		if err := rows.Scan(to...); err != nil {
			return "", err
		}
		var line []string
		for _, c := range cells {
			line = append(line, c.String)
		}
		fmt.Fprintln(&out, strings.Join(line, " "))
	}
	return out.String(), rows.Err()
}
