//go:build services

package azureblob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/objects"
	"weir/internal/disk"
)

// variable is a variable that scripts/services.sh sets.
func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run scripts/services.sh run", name)
	}
	return v
}

var containers atomic.Int64

// azurite makes a container of Azurite. It gives the settings and a client of its own.
func azurite(t testing.TB) (map[string]any, *container.Client) {
	t.Helper()
	text := variable(t, "WEIR_TEST_AZURITE")
	name := fmt.Sprintf("test%d-%d", os.Getpid(), containers.Add(1))
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := container.NewClientFromConnectionString(text, name, &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: transport}}})
	ok(t, err)
	_, err = c.Create(context.Background(), nil)
	ok(t, err)
	t.Cleanup(func() { c.Delete(context.Background(), nil) })
	return map[string]any{"connection_string": connect.NewHidden(text), "container": name}, c
}

// upload writes a blob.
func upload(t testing.TB, c *container.Client, name string, text []byte) {
	t.Helper()
	_, err := c.NewBlockBlobClient(name).Upload(context.Background(), streaming.NopCloser(bytes.NewReader(text)), nil)
	ok(t, err)
}

// control is Azurite's program to stop and start it.
func control(t testing.TB, verb string) {
	t.Helper()
	out, err := exec.Command(variable(t, "WEIR_TEST_AZURITE_CONTROL"), verb).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s", verb, err, out)
	}
}

// TestServiceSource runs the conformance suite over blobs of Azurite.
func TestServiceSource(t *testing.T) {
	given, c := azurite(t)
	sourceSuite(t, given, func(t testing.TB, name string, text []byte) { upload(t, c, name, text) })
}

// TestServiceSink runs it over an output into Azurite.
func TestServiceSink(t *testing.T) {
	given, _ := azurite(t)
	given["max_rows"] = int64(40)
	sinkSuite(t, given, "{n}{ext}", 211)
}

// TestServiceStore holds the store to its contract.
func TestServiceStore(t *testing.T) {
	given, _ := azurite(t)
	testStore(t, storeOf(t, given))
}

// TestServiceAppend reads append blobs as they grow.
func TestServiceAppend(t *testing.T) {
	given, c := azurite(t)
	given["append"] = true
	b := c.NewAppendBlobClient("log/a.json")
	_, err := b.Create(context.Background(), nil)
	ok(t, err)
	add := func(rows []connecttest.Row) error {
		_, err := b.AppendBlock(context.Background(), streaming.NopCloser(bytes.NewReader(lines(rows))), nil)
		return err
	}
	r := opened(t, given, "")
	for i := range 5 {
		ok(t, add(connecttest.Rows(1+10*i, 10)))
		r.want(t, 10*i+10)
	}
}

// follower reads a source to what is there.
type follower struct {
	r    connect.Reader
	text []byte
}

func opened(t testing.TB, given map[string]any, path string) *follower {
	t.Helper()
	given["path"] = path
	src, err := newSource(context.Background(), config(t, true, given), connect.SourceEnv{State: disk.NewMem(1), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ok(t, err)
	r, err := src.Open(context.Background(), "0", "")
	ok(t, err)
	f := &follower{r: r}
	t.Cleanup(func() { f.r.Close(); src.Close() })
	return f
}

// want reads until there are n lines. Errors are those of a service that is away: they pass.
func (f *follower) want(t testing.TB, n int) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); bytes.Count(f.text, []byte{'\n'}) < n; {
		c, err := f.r.Read(context.Background(), 1<<20, "")
		if err != nil && connect.IsPermanent(err) || time.Now().After(until) {
			t.Fatalf("%d of %d lines: %v", bytes.Count(f.text, []byte{'\n'}), n, err)
		}
		f.text = append(f.text, c.Data...)
		if len(c.Data) == 0 {
			select {
			case <-f.r.Ready():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	if got := bytes.Count(f.text, []byte{'\n'}); got != n {
		t.Fatalf("%d lines, and must be %d", got, n)
	}
}

// TestServiceStopped stops the service while blobs are read, and starts it again: an error that
// passes, and every event once.
func TestServiceStopped(t *testing.T) {
	given, c := azurite(t)
	upload(t, c, "a", lines(connecttest.Rows(1, 20_000)))
	upload(t, c, "b", lines(connecttest.Rows(20_001, 20_000)))
	f := opened(t, given, "")
	first, err := f.r.Read(context.Background(), 64<<10, "")
	ok(t, err)
	f.text = append(f.text, first.Data...)
	control(t, "stop")
	back := time.AfterFunc(time.Second, func() { control(t, "start") })
	defer back.Stop()
	f.want(t, 40_000)
	want := append(lines(connecttest.Rows(1, 20_000)), lines(connecttest.Rows(20_001, 20_000))...)
	if !bytes.Equal(f.text, want) {
		t.Error("the text is not what was written")
	}
}

// TestServiceReference has versions of reference data by their dates.
func TestServiceReference(t *testing.T) {
	given, c := azurite(t)
	for _, day := range []string{"2024/05/01", "2024/05/03", "2024/05/02"} {
		upload(t, c, "ref/"+day+"/p.json", []byte(`{"day":"`+day+"\"}\n"))
	}
	given["path"] = "ref/{date}/p.json"
	src, err := newSource(context.Background(), config(t, true, given), connect.SourceEnv{Reference: true, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ok(t, err)
	defer src.Close()
	list, err := src.(connect.Versions).Versions(context.Background(), 638502048000000000) // 2024-05-02 12:00
	ok(t, err)
	var got []string
	for _, v := range list {
		r, err := src.Open(context.Background(), v.Name, "")
		ok(t, err)
		chunk, err := r.Read(context.Background(), 1<<20, "")
		ok(t, err)
		got = append(got, v.Effective.String()[:10]+" "+strings.TrimSpace(string(chunk.Data)))
		ok(t, r.Close())
	}
	if fmt.Sprint(got) != `[2024-05-02 {"day":"2024/05/02"} 2024-05-03 {"day":"2024/05/03"}]` {
		t.Error(got)
	}
}

// TestServiceProbe has what can be wrong with a container.
func TestServiceProbe(t *testing.T) {
	given, _ := azurite(t)
	f := func(change map[string]any, want string) {
		t.Helper()
		m := map[string]any{}
		for k, v := range given {
			m[k] = v
		}
		for k, v := range change {
			m[k] = v
		}
		got := ""
		for _, p := range probe(context.Background(), config(t, true, m), connect.ProbeEnv{Input: true}) {
			got += p.Text + " -> " + p.Hint
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: %q, want %q", change, got, want)
		}
	}
	f(nil, "")
	f(map[string]any{"container": "nothing"}, "az storage container create --account-name weirtest --name nothing")
	text := variable(t, "WEIR_TEST_AZURITE")
	f(map[string]any{"connection_string": connect.NewHidden(strings.Replace(text, "AccountKey=", "AccountKey=AAAA", 1))}, "access is refused")
}

// BenchmarkServiceRead reads 192 MB of JSON lines from Azurite: by the source, and by the SDK
// alone, which lists the blobs too.
func BenchmarkServiceRead(b *testing.B) {
	given, c := azurite(b)
	var one []byte
	for i := 0; len(one) < 48<<20; i++ {
		one = fmt.Appendf(one, `{"id":%d,"device":"press-%d","time":"2024-05-01T12:00:00.0000000Z","value":%d.5,"text":"a few words more"}`+"\n", i, i%100, i%1000)
	}
	st := storeOf(b, given)
	for i := range 4 {
		ok(b, st.Put(context.Background(), fmt.Sprint("bench/", i), bytes.NewReader(one), int64(len(one)), objects.PutOptions{}))
	}
	b.Run("source", func(b *testing.B) {
		b.SetBytes(4 * int64(len(one)))
		for range b.N {
			f := opened(b, given, "bench/")
			for n := 0; n < 4*len(one); {
				chunk, err := f.r.Read(context.Background(), 2<<20, "")
				ok(b, err)
				if n += len(chunk.Data); len(chunk.Data) == 0 {
					<-f.r.Ready()
				}
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(4 * int64(len(one)))
		buf := make([]byte, 256<<10)
		for range b.N {
			page, err := c.NewListBlobsFlatPager(nil).NextPage(context.Background())
			ok(b, err)
			for _, x := range page.Segment.BlobItems {
				r, err := c.NewBlobClient(*x.Name).DownloadStream(context.Background(), nil)
				ok(b, err)
				for err == nil {
					_, err = r.Body.Read(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				r.Body.Close()
			}
		}
	})
}
