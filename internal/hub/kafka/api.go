package kafka

import (
	"context"
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// api is a kind of request that is served.
type api struct {
	min, max int16 // versions
	request  func() kmsg.Request
	serve    func(ctx context.Context, c *conn, q kmsg.Request) (kmsg.Response, error)
	// open requests may come before the client has authenticated.
	open bool
}

// on makes a handler of a function that takes the request's own type.
func on[Q kmsg.Request, R kmsg.Response](f func(ctx context.Context, c *conn, q Q, r R) error) func(context.Context, *conn, kmsg.Request) (kmsg.Response, error) {
	return func(ctx context.Context, c *conn, q kmsg.Request) (kmsg.Response, error) {
		r := q.ResponseKind()
		if err := f(ctx, c, q.(Q), r.(R)); err != nil {
			return nil, err
		}
		return r, nil
	}
}

// apis are the requests that are served, by their keys. Produce and Fetch, which have their
// own way, are here for their versions.
var apis map[int16]*api

func init() {
	apis = map[int16]*api{
		0:  {min: 3, max: 13},
		1:  {min: 4, max: 18, request: func() kmsg.Request { return kmsg.NewPtrFetchRequest() }},
		2:  {min: 1, max: 10, request: func() kmsg.Request { return kmsg.NewPtrListOffsetsRequest() }, serve: on(listOffsets)},
		3:  {min: 0, max: 13, request: func() kmsg.Request { return kmsg.NewPtrMetadataRequest() }, serve: on(metadata)},
		8:  {min: 0, max: 10, request: func() kmsg.Request { return kmsg.NewPtrOffsetCommitRequest() }, serve: on(offsetCommit)},
		9:  {min: 0, max: 10, request: func() kmsg.Request { return kmsg.NewPtrOffsetFetchRequest() }, serve: on(offsetFetch)},
		10: {min: 0, max: 6, request: func() kmsg.Request { return kmsg.NewPtrFindCoordinatorRequest() }, serve: on(findCoordinator)},
		11: {min: 0, max: 9, request: func() kmsg.Request { return kmsg.NewPtrJoinGroupRequest() }, serve: on(joinGroup)},
		12: {min: 0, max: 4, request: func() kmsg.Request { return kmsg.NewPtrHeartbeatRequest() }, serve: on(heartbeat)},
		13: {min: 0, max: 5, request: func() kmsg.Request { return kmsg.NewPtrLeaveGroupRequest() }, serve: on(leaveGroup)},
		14: {min: 0, max: 5, request: func() kmsg.Request { return kmsg.NewPtrSyncGroupRequest() }, serve: on(syncGroup)},
		15: {min: 0, max: 6, request: func() kmsg.Request { return kmsg.NewPtrDescribeGroupsRequest() }, serve: on(describeGroups)},
		16: {min: 0, max: 5, request: func() kmsg.Request { return kmsg.NewPtrListGroupsRequest() }, serve: on(listGroups)},
		17: {min: 0, max: 1, request: func() kmsg.Request { return kmsg.NewPtrSASLHandshakeRequest() }, serve: on(saslHandshake), open: true},
		18: {min: 0, max: 4, request: func() kmsg.Request { return kmsg.NewPtrApiVersionsRequest() }, serve: on(apiVersions), open: true},
		19: {min: 0, max: 7, request: func() kmsg.Request { return kmsg.NewPtrCreateTopicsRequest() }, serve: on(createTopics)},
		20: {min: 0, max: 6, request: func() kmsg.Request { return kmsg.NewPtrDeleteTopicsRequest() }, serve: on(deleteTopics)},
		22: {min: 0, max: 5, request: func() kmsg.Request { return kmsg.NewPtrInitProducerIDRequest() }, serve: on(initProducerID)},
		23: {min: 0, max: 4, request: func() kmsg.Request { return kmsg.NewPtrOffsetForLeaderEpochRequest() }, serve: on(offsetForLeaderEpoch)},
		32: {min: 0, max: 4, request: func() kmsg.Request { return kmsg.NewPtrDescribeConfigsRequest() }, serve: on(describeConfigs)},
		35: {min: 0, max: 4, request: func() kmsg.Request { return kmsg.NewPtrDescribeLogDirsRequest() }, serve: on(describeLogDirs)},
		36: {min: 0, max: 2, request: func() kmsg.Request { return kmsg.NewPtrSASLAuthenticateRequest() }, serve: on(saslAuthenticate), open: true},
		37: {min: 0, max: 3, request: func() kmsg.Request { return kmsg.NewPtrCreatePartitionsRequest() }, serve: on(createPartitions)},
		42: {min: 0, max: 2, request: func() kmsg.Request { return kmsg.NewPtrDeleteGroupsRequest() }, serve: on(deleteGroups)},
		44: {min: 0, max: 1, request: func() kmsg.Request { return kmsg.NewPtrIncrementalAlterConfigsRequest() }, serve: on(alterConfigs)},
		47: {min: 0, max: 0, request: func() kmsg.Request { return kmsg.NewPtrOffsetDeleteRequest() }, serve: on(offsetDelete)},
		60: {min: 0, max: 2, request: func() kmsg.Request { return kmsg.NewPtrDescribeClusterRequest() }, serve: on(describeCluster)},
	}
}

// header is what stands before every request.
type header struct {
	key, version int16
	id           int32
	client       string
}

// parseHeader reads the header of a request and gives the rest of it.
func parseHeader(b []byte) (header, []byte, error) {
	r := kbin.Reader{Src: b}
	h := header{key: r.Int16(), version: r.Int16(), id: r.Int32()}
	client := r.NullableString()
	if !r.Ok() {
		return h, nil, bad("a request whose header ends too early")
	}
	if client != nil {
		h.client = *client
	}
	rest := r.Src
	if a := apis[h.key]; a != nil && h.version <= a.max && isFlexible(h.key, h.version) {
		w := walker{b: rest, left: 16}
		if w.tags(); w.bad {
			return h, nil, bad("a request whose header has bad tags")
		}
		rest = w.b
	}
	return h, rest, nil
}

func isFlexible(key, version int16) bool {
	if key == int16(kmsg.Produce) {
		return version >= 9
	}
	return version >= parsed[key].flexible
}

// run runs a request. The answer is nil if there is none; with an error, the connection ends
// when the answer is written.
func (c *conn) run(ctx context.Context, f frame) (*answer, error) {
	if c.login.raw {
		defer c.giveIn(f.cost)
		return c.rawLogin(f.body)
	}
	h, body, err := parseHeader(f.body)
	if err != nil {
		c.giveIn(f.cost)
		return nil, err
	}
	if err := c.allowed(h); err != nil {
		c.giveIn(f.cost)
		return nil, err
	}
	c.client = h.client
	if h.key == int16(kmsg.Produce) {
		return c.produce(ctx, h, body, f)
	}
	defer c.giveIn(f.cost)
	a := apis[h.key]
	q := a.request()
	q.SetVersion(h.version)
	if h.key == int16(kmsg.ApiVersions) && h.version > a.max {
		return encode(h.id, versionsOf(0, errUnsupportedVersion)), nil
	}
	if _, err := parsed[h.key].check(h.key, h.version, body, c.s.l.Entries); err != nil {
		return nil, bad("%s v%d: %s", kmsg.NameForKey(h.key), h.version, err)
	}
	if err := q.ReadFrom(body); err != nil {
		return nil, bad("%s v%d: %s", kmsg.NameForKey(h.key), h.version, err)
	}
	if fetch, ok := q.(*kmsg.FetchRequest); ok {
		return c.fetch(ctx, h, fetch)
	}
	r, err := a.serve(ctx, c, q)
	if err != nil {
		return nil, err
	}
	return encode(h.id, r), c.login.failed
}

// allowed says why a request is not served at all.
func (c *conn) allowed(h header) error {
	a := apis[h.key]
	switch {
	case a == nil:
		return bad("request %d (%s) is not served", h.key, kmsg.NameForKey(h.key))
	case h.version < a.min, h.version > a.max && h.key != int16(kmsg.ApiVersions):
		return bad("%s v%d is not served; v%d to v%d are", kmsg.NameForKey(h.key), h.version, a.min, a.max)
	case a.open:
		return nil
	}
	return c.login.check(h, c.s.now())
}

// encode makes the answer to the request of a correlation ID.
func encode(id int32, r kmsg.Response) *answer {
	b := make([]byte, 0, 256)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	if r.IsFlexible() && r.Key() != int16(kmsg.ApiVersions) { // whose header is the old one (KIP-511)
		b = append(b, 0)
	}
	b = r.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return &answer{bytes: b}
}

// apiVersions tells which requests are served.
func apiVersions(_ context.Context, c *conn, q *kmsg.ApiVersionsRequest, r *kmsg.ApiVersionsResponse) error {
	if q.Version >= 3 {
		c.software = clip(q.ClientSoftwareName+" "+q.ClientSoftwareVersion, 80)
	}
	*r = *versionsOf(q.Version, 0)
	return nil
}

func versionsOf(version int16, code int16) *kmsg.ApiVersionsResponse {
	r := kmsg.NewPtrApiVersionsResponse()
	r.SetVersion(version)
	r.ErrorCode = code
	for key := range int16(100) {
		if a := apis[key]; a != nil {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MinVersion, k.MaxVersion = key, a.min, a.max
			r.ApiKeys = append(r.ApiKeys, k)
		}
	}
	return r
}

// clip is a text of a client for the log: no longer than n, and without control characters.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
