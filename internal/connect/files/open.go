package files

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"weir/internal/connect"
	"weir/internal/connect/objects"
	"weir/internal/disk"
)

// OpenDirectory opens an output over a directory, which is made if it is not there. The
// configuration has the settings of Fields, and manifest.
func OpenDirectory(directory string, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	s, err := settingsOf(c, env)
	if err != nil {
		return nil, err
	}
	d, err := disk.Shared(filepath.Clean(directory))
	if err != nil {
		return nil, err
	}
	return openSink(d, nil, s, env)
}

// OpenStore opens an output over a store. The configuration has the settings of StoreFields.
// It asks nothing of the store, which is the sink's from now on: a store that is an io.Closer is
// closed with it, or at once after an error.
func OpenStore(_ context.Context, store objects.Store, c connect.Config, env connect.SinkEnv) (sink connect.Sink, err error) {
	s, err := settingsOf(c, env)
	if err == nil {
		sink, err = openSink(nil, newUploads(store), s, env)
	}
	if closer, ok := store.(io.Closer); ok && err != nil {
		err = errors.Join(err, closer.Close())
	}
	return sink, err
}
