package s3

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"weir/internal/connect/objects"
)

const (
	// partSize is how many bytes of an object go into one request. Larger ones are sent in parts.
	partSize = 64 << 20
	// maxParts is how many parts an object may have, as S3 has it.
	maxParts = 10_000
	// pageSize is how many objects a page of a listing has, as S3 has it.
	pageSize = 1000
	// abortTimeout is how long an upload that failed may take to be taken back.
	abortTimeout = 10 * time.Second
)

// store is a bucket.
type store struct {
	core      minio.Core
	transport *http.Transport
	bucket    string
	where     string
	secrets   []string // that no error may show
	part      int64    // bytes
}

// Where implements objects.Store.
func (s *store) Where() string { return s.where }

// Close drops the connections.
func (s *store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// List implements objects.Store.
func (s *store) List(ctx context.Context, prefix, after string) iter.Seq2[objects.Object, error] {
	return s.list(ctx, prefix, after, pageSize)
}

func (s *store) list(ctx context.Context, prefix, after string, page int) iter.Seq2[objects.Object, error] {
	return func(yield func(objects.Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, Recursive: true, MaxKeys: page}) {
			if o.Err != nil {
				yield(objects.Object{}, s.explain("list", prefix, o.Err))
				return
			}
			if o.Key <= after { // some servers know no start-after
				continue
			}
			if !yield(objectOf(o), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil { // the library ends in silence then
			yield(objects.Object{}, err)
		}
	}
}

func objectOf(o minio.ObjectInfo) objects.Object {
	return objects.Object{Name: o.Key, Size: o.Size, Modified: o.LastModified, ETag: strings.Trim(o.ETag, `"`)}
}

// Stat implements objects.Store.
func (s *store) Stat(ctx context.Context, name string) (objects.Object, map[string]string, error) {
	o, err := s.core.StatObject(ctx, s.bucket, name, minio.StatObjectOptions{})
	if err != nil {
		return objects.Object{}, nil, s.explain("look at", name, err)
	}
	meta := make(map[string]string, len(o.UserMetadata))
	for k, v := range o.UserMetadata {
		meta[strings.ToLower(k)] = v
	}
	o.Key = cmp.Or(o.Key, name)
	return objectOf(o), meta, nil
}

// Open implements objects.Store.
func (s *store) Open(ctx context.Context, name string, offset int64, etag string) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	if offset > 0 {
		if err := o.SetRange(offset, 0); err != nil {
			return nil, err
		}
	}
	if etag != "" {
		if err := o.SetMatchETag(etag); err != nil {
			return nil, err
		}
	}
	body, info, _, err := s.core.GetObject(ctx, s.bucket, name, o)
	if err != nil && offset > 0 && codeOf(err) == "InvalidRange" {
		return s.end(ctx, name, offset, etag)
	}
	if err != nil {
		return nil, s.explain("read", name, err)
	}
	if etag != "" && strings.Trim(info.ETag, `"`) != etag { // some servers know no if-match
		body.Close()
		return nil, fmt.Errorf("read %s: %w", s.place(name), objects.ErrChanged)
	}
	return &reader{s, name, body}, nil
}

// end is what is read behind the last byte of an object.
func (s *store) end(ctx context.Context, name string, offset int64, etag string) (io.ReadCloser, error) {
	o, _, err := s.Stat(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case etag != "" && o.ETag != etag, o.Size < offset:
		return nil, fmt.Errorf("read %s: %w", s.place(name), objects.ErrChanged)
	}
	return http.NoBody, nil
}

// reader is an object that is read. Its errors have the words of the store.
type reader struct {
	s    *store
	name string
	body io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && err != io.EOF {
		err = r.s.explain("read", r.name, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }

// Put implements objects.Store. With IfAbsent it looks first, for servers that know no
// conditions, and sets the condition for those that do.
func (s *store) Put(ctx context.Context, name string, body io.ReaderAt, size int64, o objects.PutOptions) error {
	if o.IfAbsent {
		_, _, err := s.Stat(ctx, name)
		if err == nil {
			return fmt.Errorf("write %s: %w", s.place(name), objects.ErrExists)
		}
		// Who may not list is told that he may not look at what is not there.
		if f := (*fault)(nil); !errors.Is(err, objects.ErrNotExist) && !(errors.As(err, &f) && f.code == minio.AccessDenied) {
			return err
		}
	}
	from := &source{ReaderAt: body}
	err := s.put(ctx, name, from, size, o)
	if failed := from.err.Load(); failed != nil {
		return *failed
	}
	if o.IfAbsent && codeOf(err) == "NotImplemented" {
		o.IfAbsent = false
		err = s.put(ctx, name, from, size, o)
	}
	if o.IfAbsent && codeOf(err) == minio.PreconditionFailed {
		return fmt.Errorf("write %s: %w", s.place(name), objects.ErrExists)
	}
	if err != nil {
		return s.explain("write", name, err)
	}
	return nil
}

func (s *store) put(ctx context.Context, name string, body io.ReaderAt, size int64, o objects.PutOptions) error {
	po := minio.PutObjectOptions{ContentType: o.ContentType, UserMetadata: o.Metadata, DisableContentSha256: true}
	var condition minio.PutObjectOptions
	if o.IfAbsent {
		condition.SetMatchETagExcept("*")
	}
	if size <= s.part {
		if o.IfAbsent {
			po.SetMatchETagExcept("*")
		}
		sum, err := sumOf(body, 0, size)
		if err != nil {
			return err
		}
		_, err = s.core.PutObject(ctx, s.bucket, name, io.NewSectionReader(body, 0, size), size, "", sum, po)
		return err
	}
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, name, po)
	if err != nil {
		return err
	}
	parts, err := s.parts(ctx, name, id, body, size)
	if err == nil {
		_, err = s.core.CompleteMultipartUpload(ctx, s.bucket, name, id, parts, condition)
	}
	if err != nil {
		// Best effort: what is left costs money until the bucket's lifecycle removes it.
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		_ = s.core.AbortMultipartUpload(again, s.bucket, name, id)
	}
	return err
}

// source is what an object is written from. It keeps its error: that is none of the service.
type source struct {
	io.ReaderAt
	err atomic.Pointer[error]
}

func (r *source) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF {
		r.err.Store(&err)
	}
	return n, err
}

// parts sends the parts of an object.
func (s *store) parts(ctx context.Context, name, id string, body io.ReaderAt, size int64) ([]minio.CompletePart, error) {
	each := max(s.part, (size+maxParts-1)/maxParts)
	var list []minio.CompletePart
	for off := int64(0); off < size; off += each {
		n := min(each, size-off)
		sum, err := sumOf(body, off, n)
		if err != nil {
			return nil, err
		}
		p, err := s.core.PutObjectPart(ctx, s.bucket, name, id, len(list)+1, io.NewSectionReader(body, off, n), n, minio.PutObjectPartOptions{Sha256Hex: sum, DisableContentSha256: true})
		if err != nil {
			return nil, err
		}
		list = append(list, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag})
	}
	return list, nil
}

// sumOf is the checksum of some bytes, which the server compares. That a request has it from its
// start is understood by all servers; checksums between or behind the bytes are not.
func sumOf(body io.ReaderAt, off, n int64) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(body, off, n)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Delete implements objects.Store.
func (s *store) Delete(ctx context.Context, name string) error {
	err := s.core.RemoveObject(ctx, s.bucket, name, minio.RemoveObjectOptions{})
	if err != nil {
		return s.explain("delete", name, err)
	}
	return nil
}

func (s *store) place(name string) string {
	if name == "" {
		return s.where
	}
	return s.where + "/" + name
}
