package cosmos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"weir/internal/vec"
)

// systemFields are those that the service adds to documents.
var systemFields = []string{"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn"}

// readItem reads the document that has the id of another one.
func (w *writer) readItem(ctx context.Context, d *document) (r azcosmos.ItemResponse, f *fault) {
	f = w.request(ctx, func(ctx context.Context) (float32, *fault) {
		var err error
		r, err = w.target.ReadItem(ctx, w.key(d), string(d.id), nil)
		return r.RequestCharge, w.target.fault(err)
	})
	return r, f
}

// create adds a document. One that is there and has the same fields is ours: it was written, and
// the answer did not come, or a crash came before the epoch was noted.
func (w *writer) create(ctx context.Context, d *document) *fault {
	f := w.request(ctx, func(ctx context.Context) (float32, *fault) {
		r, err := w.target.CreateItem(ctx, w.key(d), d.doc, nil)
		return r.RequestCharge, w.target.fault(err)
	})
	if f == nil || f.status != http.StatusConflict {
		return f
	}
	there, readFault := w.readItem(ctx, d)
	switch {
	case readFault != nil && readFault.status == http.StatusNotFound: // another field must be unique
		return f
	case readFault != nil:
		return readFault
	case sameDocument(there.Value, d.doc):
		return nil
	}
	return &fault{status: http.StatusConflict, culprit: -1, text: fmt.Sprintf("there is a document with the id %q", d.id)}
}

// sameDocument reports whether a document of the container is one of ours.
func sameDocument(there, ours []byte) bool {
	a, err := vec.ParseJSON(there)
	if err != nil {
		return false
	}
	b, err := vec.ParseJSON(ours)
	if err != nil {
		return false
	}
	return equal(withoutSystem(a), withoutSystem(b))
}

// equal compares values as JSON does: the order of fields does not count, and 1 is 1.0.
func equal(a, b vec.Value) bool {
	if a.Kind.IsNumber() && b.Kind.IsNumber() && a.Kind != vec.Bit && b.Kind != vec.Bit {
		return number(a) == number(b)
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case vec.Record:
		if len(a.Rec.Names) != len(b.Rec.Names) {
			return false
		}
		for i, name := range a.Rec.Names {
			at := slices.Index(b.Rec.Names, name)
			if at < 0 || !equal(a.Rec.Vals[i], b.Rec.Vals[at]) {
				return false
			}
		}
		return true
	case vec.Array:
		return slices.EqualFunc(a.Rec.Vals, b.Rec.Vals, equal)
	}
	return a.String() == b.String()
}

func number(v vec.Value) float64 {
	if v.Kind == vec.Int {
		return float64(v.Int)
	}
	return v.Float
}

// withoutSystem is a document without the fields that the service adds.
func withoutSystem(v vec.Value) vec.Value {
	if v.Kind != vec.Record {
		return v
	}
	r := &vec.Rec{}
	for i, name := range v.Rec.Names {
		if !slices.Contains(systemFields, name) {
			r.Names, r.Vals = append(r.Names, name), append(r.Vals, v.Rec.Vals[i])
		}
	}
	return vec.RecordValue(r)
}

// maxMergeTries is how often a document that others change meanwhile is merged.
const maxMergeTries = 20

// merge lays the fields of a document over the one that is there, or adds it.
func (w *writer) merge(ctx context.Context, d *document) *fault {
	var f *fault
	for range maxMergeTries {
		there, readFault := w.readItem(ctx, d)
		switch {
		case readFault != nil && readFault.status == http.StatusNotFound:
			f = w.request(ctx, func(ctx context.Context) (float32, *fault) {
				r, err := w.target.CreateItem(ctx, w.key(d), d.doc, nil)
				return r.RequestCharge, w.target.fault(err)
			})
		case readFault != nil:
			return readFault
		default:
			doc, err := mergeDocuments(there.Value, d.doc)
			if err != nil {
				return &fault{status: http.StatusBadRequest, culprit: -1, text: fmt.Sprintf("merge into the document %q: %v", d.id, err)}
			}
			f = w.request(ctx, func(ctx context.Context) (float32, *fault) {
				r, err := w.target.ReplaceItem(ctx, w.key(d), string(d.id), doc, &azcosmos.ItemOptions{IfMatchEtag: etagOf(there)})
				return r.RequestCharge, w.target.fault(err)
			})
		}
		if f == nil || f.status != http.StatusConflict && f.status != http.StatusPreconditionFailed && f.status != http.StatusNotFound {
			return f
		}
	}
	return &fault{culprit: -1, text: fmt.Sprintf("the document %q is changed by others all the time: %s", d.id, f.text)}
}

func etagOf(r azcosmos.ItemResponse) *azcore.ETag {
	if r.ETag == "" {
		return nil
	}
	return &r.ETag
}

// mergeDocuments lays the fields of one document over another. Records in both are merged
// likewise; all else is replaced (jobmodel.md 7).
func mergeDocuments(old, fresh []byte) ([]byte, error) {
	a, err := vec.ParseJSON(old)
	if err != nil {
		return nil, err
	}
	b, err := vec.ParseJSON(fresh)
	if err != nil {
		return nil, err
	}
	if a.Kind != vec.Record || b.Kind != vec.Record {
		return nil, errors.New("a document is an object")
	}
	merged := vec.AppendJSON(nil, mergeValues(withoutSystem(a), b))
	if len(merged) > MaxDocument {
		return nil, errors.New("it would be larger than 2 MiB")
	}
	return merged, nil
}

func mergeValues(a, b vec.Value) vec.Value {
	if a.Kind != vec.Record || b.Kind != vec.Record {
		return b
	}
	names, vals := slices.Clone(a.Rec.Names), slices.Clone(a.Rec.Vals)
	for i, name := range b.Rec.Names {
		if at := slices.Index(names, name); at >= 0 {
			vals[at] = mergeValues(vals[at], b.Rec.Vals[i])
			continue
		}
		names, vals = append(names, name), append(vals, b.Rec.Vals[i])
	}
	return vec.RecordValue(&vec.Rec{Names: names, Vals: vals})
}
