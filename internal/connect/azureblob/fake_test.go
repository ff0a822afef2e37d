package azureblob

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// service is a small Blob service: what the connector asks for, as the REST API answers it.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	blobs  map[string]*fakeBlob
	staged map[string][]byte // "name id"
	writes int
	page   int // blobs in a page of a listing
	// fault, if set, may answer a request itself: it reports whether it did.
	fault func(w http.ResponseWriter, r *http.Request) bool
	lists []url.Values
}

type fakeBlob struct {
	text     []byte
	etag     string
	modified time.Time
	meta     http.Header
}

const (
	fakeAccount   = "shop"
	fakeContainer = "events"
	fakeKey       = "c2VjcmV0IGtleSBvZiB0aGUgYWNjb3VudA==" // "secret key of the account"
)

// newService starts a service with an empty container.
func newService(t testing.TB) *service {
	s := &service{blobs: map[string]*fakeBlob{}, staged: map[string][]byte{}, page: 7}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "SharedKey "+fakeAccount+":") && r.URL.Query().Get("sig") == "" {
		refuse(w, http.StatusForbidden, "AuthenticationFailed")
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/"+fakeAccount+"/")
	in, name, _ := strings.Cut(path, "/")
	if in != fakeContainer {
		refuse(w, http.StatusNotFound, "ContainerNotFound")
		return
	}
	q := r.URL.Query()
	switch {
	case q.Get("comp") == "list":
		s.lists = append(s.lists, q)
		s.list(w, q)
	case r.Method == http.MethodPut:
		s.put(w, r, name)
	case s.blobs[name] == nil:
		refuse(w, http.StatusNotFound, "BlobNotFound")
	case r.Method == http.MethodDelete:
		delete(s.blobs, name)
		w.WriteHeader(http.StatusAccepted)
	default:
		s.get(w, r, s.blobs[name])
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("x-ms-error-code", code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>no. The MAC signature %s is wrong</Message></Error>", code, fakeKey)
}

func (s *service) list(w http.ResponseWriter, q url.Values) {
	type item struct {
		Name string
		When string `xml:"Properties>Last-Modified"`
		ETag string `xml:"Properties>Etag"`
		Size int    `xml:"Properties>Content-Length"`
	}
	var answer struct {
		XMLName xml.Name `xml:"EnumerationResults"`
		Blobs   []item   `xml:"Blobs>Blob"`
		Next    string   `xml:"NextMarker"`
	}
	limit := s.page
	if n, err := strconv.Atoi(q.Get("maxresults")); err == nil {
		limit = min(limit, n)
	}
	for _, name := range slices.Sorted(maps.Keys(s.blobs)) {
		if !strings.HasPrefix(name, q.Get("prefix")) || name < q.Get("marker") || name < q.Get("startFrom") {
			continue
		}
		if len(answer.Blobs) == limit {
			answer.Next = name
			break
		}
		b := s.blobs[name]
		answer.Blobs = append(answer.Blobs, item{name, b.modified.UTC().Format(http.TimeFormat), strings.Trim(b.etag, `"`), len(b.text)})
	}
	w.Header().Set("Content-Type", "application/xml")
	xml.NewEncoder(w).Encode(answer)
}

func (s *service) get(w http.ResponseWriter, r *http.Request, b *fakeBlob) {
	if m := r.Header.Get("If-Match"); m != "" && m != b.etag {
		refuse(w, http.StatusPreconditionFailed, "ConditionNotMet")
		return
	}
	from := 0
	if v := strings.TrimPrefix(r.Header.Get("x-ms-range"), "bytes="); v != "" {
		from, _ = strconv.Atoi(strings.TrimSuffix(v, "-"))
	}
	h := w.Header()
	for k, v := range b.meta {
		h[k] = v
	}
	h.Set("ETag", b.etag)
	h.Set("Last-Modified", b.modified.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(b.text)-from))
	if r.Method == http.MethodHead {
		return
	}
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(b.text[from:])
}

func (s *service) put(w http.ResponseWriter, r *http.Request, name string) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	q := r.URL.Query()
	if q.Get("comp") == "block" {
		s.staged[name+" "+q.Get("blockid")] = text
		w.WriteHeader(http.StatusCreated)
		return
	}
	if r.Header.Get("If-None-Match") == "*" && s.blobs[name] != nil {
		refuse(w, http.StatusConflict, "BlobAlreadyExists")
		return
	}
	if q.Get("comp") == "blocklist" {
		var list struct {
			Latest []string `xml:"Latest"`
		}
		if xml.Unmarshal(text, &list) != nil {
			refuse(w, http.StatusBadRequest, "InvalidXmlDocument")
			return
		}
		text = nil
		for _, id := range list.Latest {
			text = append(text, s.staged[name+" "+id]...)
		}
	}
	meta := http.Header{}
	for k, v := range r.Header {
		if strings.HasPrefix(strings.ToLower(k), "x-ms-meta-") {
			meta[k] = v
		}
	}
	s.keep(name, text, meta)
	w.WriteHeader(http.StatusCreated)
}

func (s *service) keep(name string, text []byte, meta http.Header) {
	s.writes++
	s.blobs[name] = &fakeBlob{text: text, etag: fmt.Sprintf(`"0x%d"`, s.writes), modified: time.Now(), meta: meta}
}

// set writes a blob from outside.
func (s *service) set(name string, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(name, text, nil)
}

// breakBy sets what fails.
func (s *service) breakBy(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *service) endpoint() string { return s.URL + "/" + fakeAccount }

// secret makes a key.
func secret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}
