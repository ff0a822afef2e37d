//go:build services

package cosmos

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/vec"
)

// The peer is cosmosdb-server of npm. It has no transactional batches, so rows go alone; its
// feed ranges and its change feed cannot be read by the library.

func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run the test with WEIR_SERVICES=cosmos scripts/services.sh run go test -tags services ...", name)
	}
	return v
}

var serviceKey = base64.StdEncoding.EncodeToString([]byte("any key will do for this server"))

var containers atomic.Int64

// peer is a container of the server.
type peer struct {
	url, name string
	client    *azcosmos.Client
}

func newPeer(t testing.TB, keyPath string) *peer {
	t.Helper()
	p := &peer{url: variable(t, "WEIR_TEST_COSMOS"), name: fmt.Sprintf("c%d", containers.Add(1))}
	cred, err := azcosmos.NewKeyCredential(serviceKey)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := newTransport("", 4)
	if err != nil {
		t.Fatal(err)
	}
	o := &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: transport}}}
	if p.client, err = azcosmos.NewClientWithKey(p.url, cred, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Close)
	t.Cleanup(transport.CloseIdleConnections)
	p.create(t, keyPath)
	return p
}

func (p *peer) create(t testing.TB, keyPath string) {
	t.Helper()
	ctx := t.Context()
	// Another test may have made it.
	_, _ = p.client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: "shop"}, nil)
	db, err := p.client.NewDatabase("shop")
	if err == nil {
		_, err = db.CreateContainer(ctx, azcosmos.ContainerProperties{ID: p.name, PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{keyPath}}}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *peer) config(values map[string]any) connect.Config {
	return configOf(false, map[string]any{"endpoint": p.url, "key": connect.NewHidden(serviceKey), "database": "shop", "container": p.name, "batch_rows": int64(1)}, values)
}

// documents are those of the container, by id.
func (p *peer) documents() (map[string]string, error) {
	r, err := http.NewRequest(http.MethodGet, p.url+"/dbs/shop/colls/"+p.name+"/docs", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("x-ms-max-item-count", "1000000")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var list struct{ Documents []json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, d := range list.Documents {
		var id struct{ ID string }
		if err := json.Unmarshal(d, &id); err != nil {
			return nil, err
		}
		out[id.ID] = string(d)
	}
	return out, nil
}

func TestServiceSinkSuite(t *testing.T) {
	f := func(name, keyPath string, values map[string]any) {
		t.Run(name, func(t *testing.T) {
			connecttest.Sinks{Unordered: true, Early: true, New: func(t testing.TB) *connecttest.Target {
				p := newPeer(t, keyPath)
				return &connecttest.Target{
					Open: func(env connect.SinkEnv) (connect.Sink, error) {
						return openSink(t.Context(), p.config(values), env)
					},
					Rows: func() ([]connecttest.Row, error) {
						docs, err := p.documents()
						if err != nil {
							return nil, err
						}
						return rowsOf(docs)
					},
				}
			}}.Run(t)
		})
	}
	f("upsert", "/id", map[string]any{"document_id": "id"})
	f("insert", "/id", nil)
}

// TestServiceQuery: what was written is found by the library's query, in the types of SAQL.
func TestServiceQuery(t *testing.T) {
	p := newPeer(t, "/team")
	env := envOf(connect.Columns{Names: []string{"team", "at", "n", "x", "ok", "nothing", "rec"}})
	s, err := openSink(t.Context(), p.config(map[string]any{"document_id": "at"}), env)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rec := vec.RecordValue(&vec.Rec{Names: []string{"a"}, Vals: []vec.Value{vec.ArrayValue(&vec.Rec{Vals: []vec.Value{vec.IntValue(1)}})}})
	row := []vec.Value{vec.IntValue(7), vec.TimeValue(connecttest.Origin), vec.IntValue(3), vec.FloatValue(2), vec.BitValue(true), vec.NullValue(), rec}
	writeRows(t, s, 1, row)
	db, err := p.client.NewContainer("shop", p.name)
	if err != nil {
		t.Fatal(err)
	}
	pages := db.NewQueryItemsPager("SELECT c.id, c.team, c.at, c.n, c.x, c.ok, c.nothing, c.rec FROM c WHERE c.n = 3", azcosmos.NewPartitionKeyString("7"), nil)
	r, err := pages.NextPage(t.Context())
	if err != nil || len(r.Items) != 1 {
		t.Fatal(err, len(r.Items))
	}
	if want := `{"id":"2022-09-28T22:13:20.0000000Z","team":"7","at":"2022-09-28T22:13:20.0000000Z","n":3,"x":2,"ok":true,"nothing":null,"rec":{"a":[1]}}`; string(r.Items[0]) != want {
		t.Errorf("%s\nand must be\n%s", r.Items[0], want)
	}
}

// TestServiceProbe: what is missing is told apart, and nothing is made.
func TestServiceProbe(t *testing.T) {
	p := newPeer(t, "/team")
	f := func(values map[string]any, want string) {
		t.Helper()
		list := probe(t.Context(), p.config(values), connect.ProbeEnv{Columns: connect.Columns{Names: []string{"team"}}})
		if got := problemText(list); got != want {
			t.Errorf("%s\nand must be\n%s", got, want)
		}
	}
	f(nil, "")
	f(map[string]any{"database": "none"}, "database: there is no database none [az cosmosdb sql database create --account-name ACCOUNT --resource-group GROUP --name none]")
	f(map[string]any{"container": "none"}, "container: there is no container none of database shop [az cosmosdb sql container create --account-name ACCOUNT --resource-group GROUP --database-name shop --name none --partition-key-path /id]")
	f(map[string]any{"partition_key": "region"}, "partition_key: container "+p.name+" of database shop at "+p.url+": the partition key of the container is /team, not /region; remove partition_key, or make a container with that key []")
}

// TestServiceRestart: the server ends and comes again, empty; the sink goes on without being
// opened again, and nothing of the epoch is lost.
func TestServiceRestart(t *testing.T) {
	p := newPeer(t, "/id")
	control := variable(t, "WEIR_TEST_COSMOS_CONTROL")
	run := func(verb string) {
		t.Helper()
		if out, err := exec.Command(control, verb).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", verb, err, out)
		}
	}
	s, err := openSink(t.Context(), p.config(nil), envOf(connecttest.Columns()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run("kill")
	defer run("start")
	rows := connecttest.Rows(1, 50)
	if err := s.Write(t.Context(), 1, connecttest.Batch(rows)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := s.Prepare(ctx, 1, 0); err == nil || connect.IsPermanent(err) || strings.Contains(err.Error(), serviceKey) {
		t.Fatalf("without a server: %v", err)
	}
	run("start")
	deadline := time.Now().Add(20 * time.Second)
	for _, err = p.documents(); err != nil && time.Now().Before(deadline); _, err = p.documents() {
		time.Sleep(20 * time.Millisecond)
	}
	p.create(t, "/id")
	if err := s.Prepare(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	docs, err := p.documents()
	if err != nil || len(docs) != len(rows) {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
}

// BenchmarkServiceSink writes epochs of 2000 documents.
func BenchmarkServiceSink(b *testing.B) {
	p := newPeer(b, "/id")
	s, err := openSink(b.Context(), p.config(map[string]any{"document_id": "id"}), envOf(connecttest.Columns()))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	benchmarkSink(b, s)
}

// BenchmarkServiceLibrary does the same with the library alone.
func BenchmarkServiceLibrary(b *testing.B) {
	p := newPeer(b, "/id")
	transport, err := newTransport("", 16)
	if err != nil {
		b.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	benchmarkLibrary(b, p.url, serviceKey, p.name, transport)
}

// TestServiceFeedRestart: the service of a feed ends and comes again; the input goes on, and each
// document comes once. It is over the fake, and here because the library takes its time.
func TestServiceFeedRestart(t *testing.T) {
	in := newInlet(t, nil)
	in.put("a")
	caughtUp(t, in.source)
	address := in.f.Listener.Addr().String()
	in.f.CloseClientConnections()
	in.f.Close()
	if err := in.failure(t, "0"); connect.IsPermanent(err) || !strings.Contains(err.Error(), "refused") {
		t.Fatal(err)
	}
	in.put("b", "a")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	in.f.Server = httptest.NewUnstartedServer(in.f)
	in.f.Listener = listener
	in.f.Start()
	defer in.f.Server.Close()
	in.from(t, "0", "", docs("a", "b", "a"))
}
