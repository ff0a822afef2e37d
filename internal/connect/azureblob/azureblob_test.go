package azureblob

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/files"
	"weir/internal/connect/objects"
	"weir/internal/disk"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// config is settings with the defaults of the others.
func config(t testing.TB, input bool, given map[string]any) connect.Config {
	values := map[string]any{}
	for _, f := range Spec.Fields {
		if f.Default == "" || f.Input != f.Output && f.Input != input {
			continue
		}
		switch f.Type {
		case connect.Int:
			n, err := strconv.ParseInt(f.Default, 10, 64)
			ok(t, err)
			values[f.Name] = n
		case connect.Bool:
			values[f.Name] = f.Default == "true"
		case connect.Duration:
			d, err := time.ParseDuration(f.Default)
			ok(t, err)
			values[f.Name] = d
		case connect.Size:
			values[f.Name] = int64(1 << 30)
		default:
			values[f.Name] = f.Default
		}
	}
	if input {
		values["poll"], values["max_poll"] = time.Millisecond, 20*time.Millisecond
	}
	for k, v := range given {
		values[k] = v
	}
	return connect.Config{Values: values}
}

// settings are those of a test's service.
func (s *service) settings(more map[string]any) map[string]any {
	m := map[string]any{"account": fakeAccount, "account_key": connect.NewHidden(fakeKey), "container": fakeContainer, "endpoint": s.endpoint()}
	for k, v := range more {
		m[k] = v
	}
	return m
}

// store opens the store of settings.
func storeOf(t testing.TB, given map[string]any) *store {
	t.Helper()
	s, err := open(context.Background(), config(t, true, given))
	ok(t, err)
	t.Cleanup(s.close)
	return s
}

// lines are rows as JSON, a line each.
func lines(rows []connecttest.Row) (b []byte) {
	for _, r := range rows {
		x, _ := json.Marshal(r)
		b = append(append(b, x...), '\n')
	}
	return b
}

// sourceSuite runs the conformance suite over blobs of a container, below a prefix for each
// feed.
func sourceSuite(t *testing.T, given map[string]any, put func(t testing.TB, name string, text []byte)) {
	var feeds atomic.Int64
	connecttest.Sources{Format: connect.Format{Type: "json"}, New: func(t testing.TB) *connecttest.Feed {
		root := fmt.Sprintf("suite%d", feeds.Add(1))
		m := map[string]any{"path": root + "/{date}"}
		for k, v := range given {
			m[k] = v
		}
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			return newSource(context.Background(), config(t, true, m), env)
		}
		n := 0
		f.Add = func(rows []connecttest.Row) error {
			n++
			put(t, fmt.Sprintf("%s/2024/05/%02d/%d.json", root, 1+n/4, n), lines(rows))
			return nil
		}
		for i := range 4 {
			ok(t, f.Add(f.Rows[50*i:50*i+50]))
		}
		return f
	}}.Run(t)
}

// TestSourceSuite runs it over a service of our own.
func TestSourceSuite(t *testing.T) {
	s := newService(t)
	sourceSuite(t, s.settings(nil), func(_ testing.TB, name string, text []byte) { s.set(name, text) })
}

// mortal is a store of a process that ends.
type mortal struct {
	objects.Store
	dead atomic.Bool
}

func (m *mortal) Put(ctx context.Context, name string, body io.ReaderAt, size int64, o objects.PutOptions) error {
	if m.dead.Load() {
		return connect.Permanent(errors.New("the process has ended")) // no upload goes on
	}
	return m.Store.Put(ctx, name, body, size, o)
}

// patient commits until it works, as the runner does.
type patient struct {
	connect.Sink
	store *mortal
}

func (p patient) Commit(ctx context.Context, epoch int64) (err error) {
	for range 50 {
		if err = p.Sink.Commit(ctx, epoch); err == nil || connect.IsPermanent(err) || errors.Is(err, disk.ErrPower) {
			break
		}
	}
	return err
}

// sinkSuite runs the conformance suite over the blobs that an output writes.
func sinkSuite(t *testing.T, given map[string]any, path string, stride int) {
	var targets atomic.Int64
	connecttest.Sinks{Delayed: true, Unordered: true, Stride: stride, Seeds: 1, New: func(t testing.TB) *connecttest.Target {
		root := fmt.Sprintf("sink%d/", targets.Add(1))
		st := storeOf(t, given)
		var last *mortal
		end := func() {
			if last != nil {
				last.dead.Store(true)
			}
		}
		var left []connect.Sink
		t.Cleanup(func() {
			end()
			for _, s := range left {
				s.Close() // of processes that have ended
			}
		})
		m := map[string]any{"path": root + path}
		for k, v := range given {
			m[k] = v
		}
		return &connecttest.Target{Disk: disk.NewMem(11),
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				end()
				last = &mortal{Store: st}
				out, err := files.OpenStore(context.Background(), last, config(t, false, m), env)
				if err == nil {
					left = append(left, out)
				}
				return patient{out, last}, err
			},
			Rows: func() ([]connecttest.Row, error) { return rowsBelow(st, root) },
		}
	}}.Run(t)
}

// rowsBelow are the rows of all blobs below a prefix, in the order of their names.
func rowsBelow(s *store, prefix string) (list []connecttest.Row, err error) {
	for o, err := range s.List(context.Background(), prefix, "") {
		if err != nil {
			return nil, err
		}
		body, err := s.Open(context.Background(), o.Name, 0, o.ETag)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(body)
		body.Close()
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(text) {
			var r connecttest.Row
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, err
			}
			list = append(list, r)
		}
	}
	return list, nil
}

// TestSinkSuite runs it over a service of our own.
func TestSinkSuite(t *testing.T) {
	sinkSuite(t, newService(t).settings(nil), "{date}/{datetime:HHmmss}{ext}", 211)
}

// testStore holds a store to what objects.Store says.
func testStore(t *testing.T, s *store) {
	ctx := context.Background()
	for i, size := range []int{0, 1, 1000, blockBytes, blockBytes + 1, 3*blockBytes + 12345} {
		name := fmt.Sprintf("store/blob %d ü%%.bin", i)
		text := bytes.Repeat([]byte("0123456789abcdefg"), size/17+1)[:size]
		o := objects.PutOptions{ContentType: "text/plain", Metadata: map[string]string{"weirrows": "7", "weirsum": "ab"}}
		ok(t, s.Put(ctx, name, bytes.NewReader(text), int64(size), o))
		o.IfAbsent = true
		if err := s.Put(ctx, name, bytes.NewReader(text), int64(size), o); !errors.Is(err, objects.ErrExists) {
			t.Fatalf("%s again: %v", name, err)
		}
		x, meta, err := s.Stat(ctx, name)
		ok(t, err)
		if x.Size != int64(size) || x.Name != name || x.ETag == "" || x.Modified.IsZero() || meta["weirrows"] != "7" || meta["weirsum"] != "ab" {
			t.Fatalf("%+v %v", x, meta)
		}
		if size == 0 {
			continue
		}
		body, err := s.Open(ctx, name, int64(size/2), x.ETag)
		ok(t, err)
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || !bytes.Equal(got, text[size/2:]) {
			t.Fatalf("%s from the middle: %d bytes, %v", name, len(got), err)
		}
		o.IfAbsent = false
		ok(t, s.Put(ctx, name, bytes.NewReader([]byte("other")), 5, o))
		if _, err := s.Open(ctx, name, 0, x.ETag); !errors.Is(err, objects.ErrChanged) {
			t.Fatalf("%s after a change: %v", name, err)
		}
	}
	var names []string
	var listed objects.Object
	for o, err := range s.List(ctx, "store/", "store/blob 1 ü%.bin") {
		ok(t, err)
		names, listed = append(names, o.Name), o
	}
	if len(names) != 4 || !slices.IsSorted(names) || names[0] != "store/blob 2 ü%.bin" {
		t.Errorf("listed %q", names)
	}
	if x, _, err := s.Stat(ctx, listed.Name); err != nil || x != listed {
		t.Errorf("listed as %+v, and it is %+v, %v", listed, x, err)
	}
	for _, n := range append(names, names...) {
		ok(t, s.Delete(ctx, n)) // twice: what is gone is gone
	}
	if _, _, err := s.Stat(ctx, names[0]); !errors.Is(err, objects.ErrNotExist) {
		t.Errorf("stat of what is gone: %v", err)
	}
	if _, err := s.Open(ctx, names[0], 0, ""); !errors.Is(err, objects.ErrNotExist) {
		t.Errorf("open of what is gone: %v", err)
	}
}

// TestStore holds the store to its contract, over a service of our own.
func TestStore(t *testing.T) {
	s := newService(t)
	testStore(t, storeOf(t, s.settings(nil)))
	// A service that does not know startFrom is asked without it.
	s.breakBy(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("startFrom") == "" {
			return false
		}
		refuse(w, http.StatusBadRequest, "UnsupportedQueryParameter")
		return true
	})
	s.set("store/zz", []byte("x"))
	st := storeOf(t, s.settings(nil))
	for range 2 {
		n := 0
		for o, err := range st.List(context.Background(), "store/", "store/y") {
			ok(t, err)
			if n++; o.Name != "store/zz" {
				t.Error(o.Name)
			}
		}
		if n != 1 {
			t.Errorf("%d are listed", n)
		}
	}
}

// TestAccount has settings and what they come to.
func TestAccount(t *testing.T) {
	f := func(given map[string]any, want string) {
		t.Helper()
		given["container"] = "c"
		a, bad := readAccount(config(t, true, given))
		got := a.url
		for _, p := range bad {
			got += p.Field + ": " + p.Text + "; "
		}
		if !strings.Contains(got, want) {
			t.Errorf("%v: %s, want %s", given, got, want)
		}
	}
	hidden := connect.NewHidden
	f(map[string]any{"account": "shop", "account_key": hidden(fakeKey)}, "https://shop.blob.core.windows.net/c")
	f(map[string]any{"account": "shop", "sas_token": hidden("?sv=1&sig=abc")}, "https://shop.blob.core.windows.net/c")
	f(map[string]any{"account": "shop", "sign_in": "entra"}, "https://shop.blob.core.windows.net/c")
	f(map[string]any{"connection_string": hidden("UseDevelopmentStorage=true")}, "http://127.0.0.1:10000/devstoreaccount1/c")
	f(map[string]any{"connection_string": hidden("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=" + fakeKey + ";EndpointSuffix=core.chinacloudapi.cn")}, "https://shop.blob.core.chinacloudapi.cn/c")
	f(map[string]any{"connection_string": hidden("BlobEndpoint=https://x.example/;SharedAccessSignature=sv=1&sig=abc")}, "https://x.example/c")
	f(map[string]any{"account": "shop", "account_key": hidden(fakeKey), "endpoint": "https://shop.blob.core.usgovcloudapi.net"}, "https://shop.blob.core.usgovcloudapi.net/c")
	f(map[string]any{}, "account: nothing says which")
	f(map[string]any{"account": "shop"}, "account_key: there is no key")
	f(map[string]any{"account": "shop", "account_key": hidden("no base64!")}, "account_key: the key is not one")
	f(map[string]any{"account": "shop", "account_key": hidden(fakeKey), "sign_in": "entra"}, "sign_in: Entra needs no key")
	f(map[string]any{"account": "shop", "account_key": hidden(fakeKey), "connection_string": hidden("x")}, "connection_string: the connection string says")
	f(map[string]any{"connection_string": hidden("Endpoint=sb://x;SharedAccessKey=y")}, "connection_string: this is no connection string of a storage account")
	f(map[string]any{"account": "shop", "account_key": hidden(fakeKey), "endpoint": "x y"}, "endpoint: is no address")
	f(map[string]any{"account": "shop", "sign_in": "entra", "client_id": "1"}, "client_id: says which")
}

// TestManual: the page of the manual has the example and the settings as they are declared.
func TestManual(t *testing.T) {
	connecttest.Manual(t, Spec, "../../../docs/connectors/azure-blob.md")
}
