package azureblob

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"weir/internal/connect/objects"
)

const (
	// callTimeout is how long a call may take whose answer is small.
	callTimeout = 2 * time.Minute
	// sendTimeout is how long a call may take that sends a block.
	sendTimeout = 5 * time.Minute
	// blockBytes is how much is sent at once; smaller blobs go in one piece.
	blockBytes = 8 << 20
	// maxBlocks is how many blocks a blob may have.
	maxBlocks = 50_000
	// blocksAtOnce is how many blocks of a blob are on their way.
	blocksAtOnce = 4
)

// store is a container.
type store struct {
	c         *container.Client
	where     string
	scrub     scrubber
	transport *http.Transport
	// fromStart: the service does not know where a listing is to start.
	fromStart atomic.Bool
}

// Where implements objects.Store.
func (s *store) Where() string { return s.where }

// close closes idle connections.
func (s *store) close() { s.transport.CloseIdleConnections() }

// List implements objects.Store.
func (s *store) List(ctx context.Context, prefix, after string) iter.Seq2[objects.Object, error] {
	return func(yield func(objects.Object, error) bool) {
		o := &container.ListBlobsFlatOptions{Prefix: &prefix, ResponseFormat: container.StorageResponseFormatXML}
		if after > prefix && !s.fromStart.Load() {
			o.StartFrom = &after
		}
		pages := s.c.NewListBlobsFlatPager(o)
		for first := true; pages.More(); first = false {
			page, err := s.page(ctx, pages.NextPage)
			if bad := (*failure)(nil); first && o.StartFrom != nil && errors.As(err, &bad) && bad.status == http.StatusBadRequest {
				s.fromStart.Store(true)
				o.StartFrom = nil
				pages = s.c.NewListBlobsFlatPager(o)
				page, err = s.page(ctx, pages.NextPage)
			}
			if err != nil {
				yield(objects.Object{}, err)
				return
			}
			for _, b := range page.Segment.BlobItems {
				if x, ok := objectOf(b); ok && x.Name > after && !yield(x, nil) {
					return
				}
			}
		}
	}
}

// ask asks whether the container is there and lets us in.
func (s *store) ask(ctx context.Context) error {
	pages := s.c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr(int32(1)), ResponseFormat: container.StorageResponseFormatXML})
	_, err := s.page(ctx, pages.NextPage)
	return err
}

// page asks for a page of a listing.
func (s *store) page(ctx context.Context, next func(context.Context) (container.ListBlobsFlatResponse, error)) (container.ListBlobsFlatResponse, error) {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	page, err := next(ctx)
	if err != nil {
		return page, s.scrub.error(err)
	}
	if page.Segment == nil {
		page.Segment = &container.BlobFlatListSegment{}
	}
	return page, nil
}

// objectOf is what a listing says of a blob.
func objectOf(b *container.BlobItem) (objects.Object, bool) {
	if b.Name == nil || b.Properties == nil {
		return objects.Object{}, false
	}
	o := objects.Object{Name: *b.Name}
	if p := b.Properties; p.ContentLength != nil && p.LastModified != nil && p.ETag != nil {
		o.Size, o.Modified, o.ETag = *p.ContentLength, p.LastModified.UTC(), quoted(*p.ETag)
	}
	return o, o.ETag != ""
}

// quoted is an ETag as headers have it: listings leave its quotes out.
func quoted(e azcore.ETag) string {
	if strings.HasPrefix(string(e), `"`) || strings.HasPrefix(string(e), `W/`) {
		return string(e)
	}
	return `"` + string(e) + `"`
}

// Stat implements objects.Store.
func (s *store) Stat(ctx context.Context, name string) (objects.Object, map[string]string, error) {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	p, err := s.c.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return objects.Object{}, nil, s.scrub.error(err)
	}
	o := objects.Object{Name: name}
	if p.ContentLength != nil && p.LastModified != nil && p.ETag != nil {
		o.Size, o.Modified, o.ETag = *p.ContentLength, p.LastModified.UTC(), quoted(*p.ETag)
	}
	meta := map[string]string{}
	for k, v := range p.Metadata {
		if v != nil {
			meta[strings.ToLower(k)] = *v
		}
	}
	return o, meta, nil
}

// Open implements objects.Store.
func (s *store) Open(ctx context.Context, name string, offset int64, etag string) (io.ReadCloser, error) {
	o := &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset}}
	if etag != "" {
		o.AccessConditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(etag))}}
	}
	r, err := s.c.NewBlobClient(name).DownloadStream(ctx, o)
	if err != nil {
		return nil, s.scrub.error(err)
	}
	if etag != "" && r.ETag != nil && quoted(*r.ETag) != etag {
		r.Body.Close()
		return nil, fmt.Errorf("%s: %w", name, objects.ErrChanged)
	}
	return &download{r.Body, s}, nil
}

// download is the text of a blob.
type download struct {
	body io.ReadCloser
	s    *store
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	if err != nil && err != io.EOF {
		err = d.s.scrub.error(err)
	}
	return n, err
}

func (d *download) Close() error { return d.body.Close() }

// Delete implements objects.Store.
func (s *store) Delete(ctx context.Context, name string) error {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	_, err := s.c.NewBlobClient(name).Delete(ctx, nil)
	if err = s.scrub.error(err); errors.Is(err, objects.ErrNotExist) {
		return nil
	}
	return err
}

// Put implements objects.Store: a small blob in one piece, a large one in blocks, which are
// seen when their list is committed.
func (s *store) Put(ctx context.Context, name string, body io.ReaderAt, size int64, o objects.PutOptions) error {
	c := s.c.NewBlockBlobClient(name)
	h := &blob.HTTPHeaders{}
	if o.ContentType != "" {
		h.BlobContentType = &o.ContentType
	}
	meta := map[string]*string{}
	for k, v := range o.Metadata {
		meta[k] = &v
	}
	var when *blob.AccessConditions
	if o.IfAbsent {
		when = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	}
	var err error
	if size <= blockBytes {
		ctx, done := context.WithTimeout(ctx, sendTimeout)
		defer done()
		_, err = c.Upload(ctx, section(body, 0, size), &blockblob.UploadOptions{HTTPHeaders: h, Metadata: meta, AccessConditions: when})
	} else {
		var ids []string
		if ids, err = s.blocks(ctx, c, body, size); err == nil {
			ctx, done := context.WithTimeout(ctx, callTimeout)
			defer done()
			_, err = c.CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{HTTPHeaders: h, Metadata: meta, AccessConditions: when})
		}
	}
	if err = s.scrub.error(err); o.IfAbsent && errors.Is(err, objects.ErrChanged) {
		return fmt.Errorf("%s: %w", name, objects.ErrExists)
	}
	return err
}

func section(body io.ReaderAt, off, size int64) io.ReadSeekCloser {
	return streaming.NopCloser(io.NewSectionReader(body, off, size))
}

// blocks sends the blocks of a blob, some at a time.
func (s *store) blocks(ctx context.Context, c *blockblob.Client, body io.ReaderAt, size int64) ([]string, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	each := max(blockBytes, (size+maxBlocks-1)/maxBlocks)
	ids := make([]string, (size+each-1)/each)
	var next atomic.Int64
	var all sync.WaitGroup
	var once sync.Once
	var failed error
	for range min(blocksAtOnce, len(ids)) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(ids)) {
					return
				}
				call, done := context.WithTimeout(ctx, sendTimeout)
				id := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(i)))
				_, err := c.StageBlock(call, id, section(body, i*each, min(each, size-i*each)), nil)
				if done(); err != nil {
					once.Do(func() { failed = err })
					stop()
					return
				}
				ids[i] = id
			}
		})
	}
	all.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return ids, failed
}
