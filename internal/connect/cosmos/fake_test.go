package cosmos

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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

// fake is what the connector uses of Cosmos DB, over HTTP as the service has it: signatures of
// the key, partition keys, upserts with ETags, transactional batches, ranges that split, and the
// change feed with the latest version of each document.
type fake struct {
	*httptest.Server
	key string

	mu       sync.Mutex
	dbs      map[string]map[string]*fakeContainer
	requests map[string]int // by kind: "upsert", "batch", "feed" ...
	now      func() time.Time
	// fault, if set, may answer a request in place of the service, or end its connection.
	fault func(kind string, r *http.Request) *fakeFault
}

// fakeFault is what happens to a request.
type fakeFault struct {
	status int
	after  time.Duration // x-ms-retry-after-ms
	cut    bool          // the connection ends without an answer
	done   bool          // and the request was done
	wait   chan struct{} // the request waits until it is closed
}

type fakeContainer struct {
	rid     string
	keyPath string
	unique  string // a field that is unique beside the id; "" for none
	ranges  []fakeRange
	version int // of the ranges
	lsn     int64
	docs    map[string]*fakeDoc
	limit   int // of the rows of a page of the feed; 0 is none of its own
}

type fakeRange struct {
	ID       string   `json:"id"`
	Min      string   `json:"minInclusive"`
	Max      string   `json:"maxExclusive"`
	Parents  []string `json:"parents"`
	MaxLSN   int64    `json:"lsn"`
	Fraction float64  `json:"throughputFraction"`
}

type fakeDoc struct {
	id, key, hash string
	fields        map[string]json.RawMessage
	size          int
	lsn, ts       int64
}

func newFake(t testing.TB) *fake {
	f := &fake{key: base64.StdEncoding.EncodeToString([]byte("a key that is a secret of the account")), dbs: map[string]map[string]*fakeContainer{}, requests: map[string]int{}, now: time.Now}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// container makes a container whose ranges end before the given values and "FF".
func (f *fake) container(db, name, keyPath string, ends ...string) *fakeContainer {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &fakeContainer{rid: fmt.Sprintf("rid%d%s", len(f.dbs)+len(f.dbs[db]), name), keyPath: keyPath, docs: map[string]*fakeDoc{}, version: 1}
	min := ""
	for i, max := range append(ends, "FF") {
		c.ranges = append(c.ranges, fakeRange{ID: strconv.Itoa(i), Min: min, Max: max})
		min = max
	}
	if f.dbs[db] == nil {
		f.dbs[db] = map[string]*fakeContainer{}
	}
	f.dbs[db][name] = c
	return c
}

// split replaces a range by two.
func (f *fake) split(c *fakeContainer, id, at string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(c.ranges, func(r fakeRange) bool { return r.ID == id })
	r := c.ranges[i]
	a := fakeRange{ID: id + "1", Min: r.Min, Max: at, Parents: append(slices.Clone(r.Parents), id)}
	b := fakeRange{ID: id + "2", Min: at, Max: r.Max, Parents: a.Parents}
	c.ranges = slices.Replace(c.ranges, i, i+1, a, b)
	c.version++
}

// merge replaces all ranges by one.
func (f *fake) merge(c *fakeContainer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var parents []string
	for _, r := range c.ranges {
		parents = append(append(parents, r.Parents...), r.ID)
	}
	c.ranges, c.version = []fakeRange{{ID: "m", Min: "", Max: "FF", Parents: parents}}, c.version+1
}

// documents are those of a container without what the service adds, by id.
func (f *fake) documents(c *fakeContainer) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]string{}
	for _, d := range c.docs {
		fields := maps.Clone(d.fields)
		maps.DeleteFunc(fields, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "_") })
		b, _ := json.Marshal(fields)
		out[d.id] = string(b)
	}
	return out
}

// put writes a document as another client does.
func (f *fake) put(c *fakeContainer, doc string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(doc), &fields); err != nil {
		panic(err)
	}
	key := fields[c.keyPath[1:]]
	if status := f.write(c, "["+string(key)+"]", []byte(doc), "Upsert", ""); status > 299 {
		panic(fmt.Sprint(status, " ", doc))
	}
}

func (f *fake) count(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[kind]
}

func (f *fake) setFault(fault func(kind string, r *http.Request) *fakeFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// ServeHTTP answers a request.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i])
	}
	kind := kindOf(r, parts)
	f.mu.Lock()
	f.requests[kind]++
	var fault *fakeFault
	if f.fault != nil {
		fault = f.fault(kind, r)
	}
	f.mu.Unlock()
	w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	w.Header().Set("x-ms-request-charge", "1.5")
	if fault != nil {
		if fault.wait != nil {
			<-fault.wait
		}
		if fault.cut {
			if fault.done {
				f.answer(httptest.NewRecorder(), r, kind, parts, body)
			}
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
		if fault.status != 0 {
			if fault.after > 0 {
				w.Header().Set("x-ms-retry-after-ms", strconv.FormatInt(fault.after.Milliseconds(), 10))
			}
			fail(w, fault.status, "Injected", "as the test wants it")
			return
		}
	}
	f.answer(w, r, kind, parts, body)
}

// kindOf names a request.
func kindOf(r *http.Request, parts []string) string {
	h := r.Header
	switch {
	case len(parts) == 1:
		return "account"
	case len(parts) == 2:
		return "database"
	case len(parts) == 4:
		return "container"
	case parts[4] == "pkranges":
		return "ranges"
	case h.Get("x-ms-cosmos-is-batch-request") != "":
		return "batch"
	case h.Get("A-IM") != "":
		return "feed"
	case r.Method == http.MethodPost && h.Get("x-ms-documentdb-is-upsert") != "":
		return "upsert"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodPut:
		return "replace"
	}
	return "read"
}

func fail(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"code": code, "message": "Message: {\"Errors\":[\"" + text + "\"]}\r\nActivityId: 1, Request URI: /apps"})
}

func give(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status != http.StatusNotModified {
		json.NewEncoder(w).Encode(v)
	}
}

// signed reports whether a request has the signature of the key.
func (f *fake) signed(r *http.Request, parts []string) bool {
	kind, link := "", ""
	if len(parts) > 1 {
		n := len(parts)
		if kind = parts[n-1-(n+1)%2]; n%2 == 1 { // a feed: its parent is what is signed
			n--
		}
		link = strings.Join(parts[:n], "/")
	}
	key, _ := base64.StdEncoding.DecodeString(f.key)
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "%s\n%s\n%s\n%s\n\n", strings.ToLower(r.Method), kind, link, strings.ToLower(r.Header.Get("x-ms-date")))
	want := "type=master&ver=1.0&sig=" + base64.StdEncoding.EncodeToString(m.Sum(nil))
	got, err := url.QueryUnescape(r.Header.Get("Authorization"))
	return err == nil && got == want
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, kind string, parts []string, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.signed(r, parts) {
		fail(w, http.StatusUnauthorized, "Unauthorized", "The input authorization token can't serve the request.")
		return
	}
	if kind == "account" {
		here := []map[string]string{{"name": "Here", "databaseAccountEndpoint": f.URL + "/"}}
		give(w, http.StatusOK, map[string]any{"id": "fake", "writableLocations": here, "readableLocations": here, "enableMultipleWriteLocations": false,
			"userConsistencyPolicy": map[string]string{"defaultConsistencyLevel": "Session"}})
		return
	}
	db := f.dbs[parts[1]]
	if db == nil || len(parts) > 3 && db[parts[3]] == nil {
		fail(w, http.StatusNotFound, "NotFound", "Resource Not Found.")
		return
	}
	if kind == "database" {
		give(w, http.StatusOK, map[string]string{"id": parts[1], "_rid": "db"})
		return
	}
	c := db[parts[3]]
	h := r.Header
	switch kind {
	case "container":
		give(w, http.StatusOK, map[string]any{"id": parts[3], "_rid": c.rid, "partitionKey": map[string]any{"paths": []string{c.keyPath}, "kind": "Hash", "version": 2}})
	case "ranges":
		w.Header().Set("etag", strconv.Itoa(c.version))
		if h.Get("If-None-Match") == strconv.Itoa(c.version) {
			give(w, http.StatusNotModified, nil)
			return
		}
		give(w, http.StatusOK, map[string]any{"_rid": c.rid, "PartitionKeyRanges": c.ranges, "_count": len(c.ranges)})
	case "feed":
		f.feed(w, r, c)
	case "batch":
		f.batch(w, h.Get("x-ms-documentdb-partitionkey"), c, body)
	case "read":
		d := c.docs[docName(h.Get("x-ms-documentdb-partitionkey"), parts[5])]
		if d == nil {
			fail(w, http.StatusNotFound, "NotFound", "Entity with the specified id does not exist in the system.")
			return
		}
		w.Header().Set("etag", etag(d))
		give(w, http.StatusOK, d.fields)
	default:
		op := map[string]string{"upsert": "Upsert", "create": "Create", "replace": "Replace"}[kind]
		status := f.write(c, h.Get("x-ms-documentdb-partitionkey"), body, op, h.Get("If-Match"))
		if status > 299 {
			fail(w, status, http.StatusText(status), "the document was not taken")
			return
		}
		give(w, status, nil)
	}
}

// docName is what a document is known by: its key, as the header has it, and its id.
func docName(key, id string) string {
	var list []any
	if err := json.Unmarshal([]byte(key), &list); err != nil {
		return "bad key " + key
	}
	b, _ := json.Marshal(list)
	return string(b) + id
}

func etag(d *fakeDoc) string { return fmt.Sprintf("\"%08d\"", d.lsn) }

// write writes a document, and gives the status.
func (f *fake) write(c *fakeContainer, key string, doc []byte, op, ifMatch string) int {
	var fields map[string]json.RawMessage
	if json.Unmarshal(doc, &fields) != nil {
		return http.StatusBadRequest
	}
	var id string
	if json.Unmarshal(fields["id"], &id) != nil || id == "" || len(id) > 1023 || strings.ContainsAny(id, `/\`) {
		return http.StatusBadRequest
	}
	var header []json.RawMessage
	value := fields[c.keyPath[1:]]
	if json.Unmarshal([]byte(key), &header) != nil || len(header) != 1 || !sameJSON(header[0], value) {
		return http.StatusBadRequest
	}
	if len(doc) > 2<<20 {
		return http.StatusRequestEntityTooLarge
	}
	name := docName(key, id)
	old := c.docs[name]
	switch {
	case op == "Create" && old != nil:
		return http.StatusConflict
	case op == "Replace" && old == nil:
		return http.StatusNotFound
	case ifMatch != "" && old != nil && etag(old) != ifMatch:
		return http.StatusPreconditionFailed
	}
	if c.unique != "" {
		for _, d := range c.docs {
			if d != old && sameJSON(d.fields[c.unique], fields[c.unique]) {
				return http.StatusConflict
			}
		}
	}
	status := http.StatusCreated
	if old != nil {
		status = http.StatusOK
	}
	c.lsn++
	sum := sha256.Sum256([]byte(docName(key, "")))
	d := &fakeDoc{id: id, key: key, hash: fmt.Sprintf("%02X%02X", sum[0]&0x3f, sum[1]), fields: fields, size: len(doc), lsn: c.lsn, ts: f.now().Unix()}
	for field, v := range map[string]any{"_rid": c.rid + name, "_self": "dbs/x", "_etag": etag(d), "_attachments": "attachments/", "_ts": d.ts} {
		fields[field], _ = json.Marshal(v)
	}
	c.docs[name] = d
	return status
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprintf("%T%v", x, x) == fmt.Sprintf("%T%v", y, y)
}

// batch does all operations of a transaction, or none.
func (f *fake) batch(w http.ResponseWriter, key string, c *fakeContainer, body []byte) {
	var ops []struct {
		OperationType string          `json:"operationType"`
		ResourceBody  json.RawMessage `json:"resourceBody"`
	}
	if json.Unmarshal(body, &ops) != nil || len(ops) > 100 {
		fail(w, http.StatusBadRequest, "BadRequest", "too many operations")
		return
	}
	if len(body) > 2<<20 {
		fail(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Request size is too large")
		return
	}
	type result struct {
		StatusCode    int     `json:"statusCode"`
		RequestCharge float64 `json:"requestCharge"`
	}
	before, lsn := maps.Clone(c.docs), c.lsn
	results := make([]result, len(ops))
	for i, op := range ops {
		if results[i].StatusCode = f.write(c, key, op.ResourceBody, op.OperationType, ""); results[i].StatusCode > 299 {
			for k := range results {
				if k != i {
					results[k].StatusCode = http.StatusFailedDependency
				}
			}
			c.docs, c.lsn = before, lsn
			give(w, http.StatusMultiStatus, results)
			return
		}
	}
	give(w, http.StatusOK, results)
}

// feed gives the documents of a range that changed behind a place, each as it is now.
func (f *fake) feed(w http.ResponseWriter, r *http.Request, c *fakeContainer) {
	i := slices.IndexFunc(c.ranges, func(x fakeRange) bool { return x.ID == r.Header.Get("x-ms-documentdb-partitionkeyrangeid") })
	if i < 0 {
		w.Header().Set("x-ms-substatus", "1002")
		fail(w, http.StatusGone, "Gone", "The range is gone")
		return
	}
	after, since := int64(0), int64(0)
	switch place := r.Header.Get("If-None-Match"); {
	case place == "*":
		after = c.lsn
	case place != "":
		n, err := strconv.Unquote(place)
		if after, _ = strconv.ParseInt(n, 10, 64); err != nil {
			fail(w, http.StatusBadRequest, "BadRequest", "a place of another feed")
			return
		}
	case r.Header.Get("If-Modified-Since") != "":
		t, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
		if err != nil {
			fail(w, http.StatusBadRequest, "BadRequest", "no time")
			return
		}
		since = t.Unix()
	}
	var list []*fakeDoc
	for _, d := range c.docs {
		if d.lsn > after && d.ts >= since && d.hash >= c.ranges[i].Min && d.hash < c.ranges[i].Max {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b *fakeDoc) int { return int(a.lsn - b.lsn) })
	most, _ := strconv.Atoi(r.Header.Get("x-ms-max-item-count"))
	if c.limit > 0 {
		most = c.limit
	}
	end := c.lsn
	if most > 0 && len(list) > most {
		list = list[:most]
		end = list[most-1].lsn
	}
	w.Header().Set("etag", fmt.Sprintf("\"%d\"", end))
	if len(list) == 0 {
		give(w, http.StatusNotModified, nil)
		return
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"_rid":%q,"Documents":[`, c.rid)
	for i, d := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		doc, _ := json.MarshalIndent(d.fields, " ", " ")
		b.Write(doc[:len(doc)-1])
		fmt.Fprintf(&b, ",\n \"_lsn\":%d }", d.lsn)
	}
	fmt.Fprintf(&b, `],"_count":%d}`, len(list))
	w.Header().Set("Content-Type", "application/json")
	w.Write(b.Bytes())
}
