// Package files keeps the files of actions outside the database: in a folder, or
// with a service that speaks S3. It knows keys and bytes; which row a file
// belongs to is its caller's to know.
package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gabriel-vasile/mimetype"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"

	"github.com/pxactions/px/model"
)

const (
	// partSize is how much of a file S3 is sent at a time, one part after the
	// other: what an upload holds in memory, whatever the file's size.
	partSize = 5 << 20
	// cleanTimeout (machine time) is how long the end of a failed write may take.
	cleanTimeout = 10 * time.Second
	// folderMode is that of folders made here: patients' files are nobody else's.
	folderMode = 0o700
)

// Bucket is where files are kept. It is safe for concurrent use; Close ends it.
type Bucket struct {
	open func(context.Context) (*blob.Bucket, error)
	page int // objects listed at a time
	// there tells what the opened bucket does not: that its folder has gone. Nil: nothing to tell.
	there func() error

	patience time.Duration // machine time

	mu     sync.Mutex
	bucket *blob.Bucket // nil: not opened yet
}

// New takes where the files are:
//
//	file:///srv/px-files                                  a folder, made when missing
//	file:px-files                                         the same, in the working directory
//	s3://bucket?region=eu-central-1                       S3
//	s3://bucket?region=r&endpoint=https://s3.example.org  what speaks S3
//
// S3's credentials come from where its tools look for them (AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, or the machine's role), never from the URL. Nothing is
// opened before it is used. The error says what is wrong and does not quote the
// URL.
func New(where string) (*Bucket, error) {
	u, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("must be a URL: file:///folder or s3://bucket?region=…")
	}
	mimetype.SetLimit(headSize) // always the same
	switch u.Scheme {
	case "file":
		return newFolder(u)
	case "s3":
		return newS3(u)
	default:
		return nil, errors.New("must begin with file: or s3://")
	}
}

func newFolder(u *url.URL) (*Bucket, error) {
	dir := u.Path
	if u.Opaque != "" {
		dir = u.Opaque
	}
	if dir == "" || u.Host != "" || u.RawQuery != "" {
		return nil, errors.New("must name a folder and nothing else: file:///srv/px-files, or file:px-files in the working directory")
	}
	dir = filepath.FromSlash(dir)
	return &Bucket{
		// A page costs a walk of the folder.
		page: 50_000, patience: patience,
		there: func() error {
			if st, err := os.Stat(dir); err != nil || !st.IsDir() {
				return errors.New("no such folder, or no access")
			}
			return nil
		},
		open: func(context.Context) (*blob.Bucket, error) {
			return fileblob.OpenBucket(dir, &fileblob.Options{
				CreateDir: true, DirFileMode: folderMode,
				NoTempDir: true, // one volume, so that a finished file is renamed into its place
				Metadata:  fileblob.MetadataDontWrite,
			})
		},
	}, nil
}

func newS3(u *url.URL) (*Bucket, error) {
	endpoint, err := url.Parse(u.Query().Get("endpoint"))
	switch {
	case u.Host == "" || (u.Path != "" && u.Path != "/"):
		return nil, errors.New("must name the bucket and no path: s3://bucket?region=…&prefix=folder/")
	case err != nil || endpoint.String() != "" && endpoint.Host == "":
		return nil, errors.New("endpoint must be a URL: endpoint=https://s3.hospital.example")
	case u.User != nil || endpoint.User != nil:
		return nil, errors.New("must hold no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	if endpoint.Host != "" {
		u.RawQuery = compatible(u.Query()).Encode()
	}
	mux := new(blob.URLMux)
	mux.RegisterBucket(s3blob.Scheme, new(s3blob.URLOpener))
	b := &Bucket{
		page: 1000, patience: patience,
		open: func(ctx context.Context) (*blob.Bucket, error) { return mux.OpenBucketURL(ctx, u) },
	}
	// This asks nobody: what is wrong with the parameters is told now.
	if _, err := b.get(context.Background()); err != nil {
		return nil, errors.New("has a parameter that is unknown or wrong; region, endpoint, use_path_style, prefix and the like are known")
	}
	return b, nil
}

// compatible gives parameters that are not set what others than AWS understand.
func compatible(q url.Values) url.Values {
	for name, value := range map[string]string{
		"use_path_style": "true", "request_checksum_calculation": "when_required", "response_checksum_validation": "when_required",
	} {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	return q
}

// get opens the bucket at its first use: a folder whose volume comes late is
// found when it is there.
func (b *Bucket) get(ctx context.Context) (*blob.Bucket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bucket == nil {
		opened, err := b.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("open the storage: %w: %w", model.ErrUnavailable, err)
		}
		b.bucket = opened
	}
	if b.there != nil {
		// Else a volume that has gone would be written to beneath its place, and listed as empty.
		if err := b.there(); err != nil {
			return nil, fmt.Errorf("open the storage: %w: %w", model.ErrUnavailable, err)
		}
	}
	return b.bucket, nil
}

// Close ends the bucket; calls made afterwards fail.
func (b *Bucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bucket == nil {
		return nil
	}
	return b.bucket.Close()
}

// Check reports whether the storage answers.
func (b *Bucket) Check(ctx context.Context) error {
	bucket, err := b.get(ctx)
	if err != nil {
		return err
	}
	ok, err := bucket.IsAccessible(ctx)
	if err == nil && !ok {
		err = errors.New("no such bucket or folder, or no access")
	}
	return storageErr("reach the storage", err)
}

// Stored is what was kept.
type Stored struct {
	Size   int64 // bytes
	SHA256 []byte
	Type   string // as sniffed, one of Types
}

// Put keeps what r gives under a key, without holding it in memory. Errors:
// model.FieldErrors on file when it is empty, larger than limit (bytes) or of a
// type that is not kept; model.ErrUnavailable when the storage does not take it;
// else r's own, or the context's. After an error nothing is kept, unless the
// storage was away: then a walk finds what was.
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader, limit int64) (Stored, error) {
	src := &source{r: r, left: limit, limit: limit}
	head, err := src.head()
	if err != nil {
		return Stored{}, err
	}
	typ, ok := sniff(head)
	if !ok {
		return Stored{}, fieldError("type", "a file of one of these kinds: "+kindNames())
	}
	bucket, err := b.get(ctx)
	if err != nil {
		return Stored{}, err
	}
	wctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	opened, err := bucket.NewWriter(wctx, key, &blob.WriterOptions{ContentType: typ, BufferSize: partSize, MaxConcurrency: 1})
	if err != nil {
		return Stored{}, storageErr("store the file", err)
	}
	w := patient{WriteCloser: opened, most: b.patience, abort: abort}
	sum := sha256.New()
	if _, err = sum.Write(head); err == nil {
		_, err = w.Write(head)
	}
	size := int64(len(head))
	if err == nil {
		var n int64
		n, err = io.Copy(io.MultiWriter(sum, w), src)
		size += n
	}
	if err != nil {
		err = cause(wctx, err)
		abort(nil) // before Close, so that it keeps nothing
		_ = w.Close()
		if src.err != nil {
			return Stored{}, src.err
		}
		return Stored{}, storageErr("store the file", err)
	}
	if err := w.Close(); err != nil {
		b.clean(ctx, key)
		return Stored{}, storageErr("store the file", cause(wctx, err))
	}
	return Stored{Size: size, SHA256: sum.Sum(nil), Type: typ}, nil
}

// clean takes away what a failed end of a write may have kept all the same.
func (b *Bucket) clean(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	_ = b.Delete(ctx, key) // else a walk finds it
}

// Open reads what is under a key; model.ErrNotFound when there is nothing,
// model.ErrUnavailable when the storage does not answer. Close the reader.
func (b *Bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	bucket, err := b.get(ctx)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancelCause(ctx)
	slow := time.AfterFunc(b.patience, func() { end(errSilent) })
	r, err := bucket.NewReader(ctx, key, nil)
	if err == nil && !slow.Stop() {
		err = errSilent
		_ = r.Close()
	}
	if err != nil {
		slow.Stop()
		err = cause(ctx, err)
		end(nil)
		return nil, storageErr("read the file", err)
	}
	return reading{r, end}, nil
}

// Exists tells whether there is anything under a key.
func (b *Bucket) Exists(ctx context.Context, key string) (bool, error) {
	bucket, err := b.get(ctx)
	if err != nil {
		return false, err
	}
	var ok bool
	err = b.ask(ctx, func(ctx context.Context) (err error) {
		ok, err = bucket.Exists(ctx, key)
		return err
	})
	return ok, storageErr("look for the file", err)
}

// Delete takes away what is under a key; nothing being there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	bucket, err := b.get(ctx)
	if err != nil {
		return err
	}
	err = storageErr("delete the file", b.ask(ctx, func(ctx context.Context) error { return bucket.Delete(ctx, key) }))
	if errors.Is(err, model.ErrNotFound) {
		return nil
	}
	return err
}

// Object is something that is kept.
type Object struct {
	Key     string
	Changed time.Time // machine time; of an upload in parts, its beginning
}

// Walk lists all objects whose key begins with prefix, in the order of their
// keys, some at a time. What a killed process had begun to write into a folder
// is among them: its key goes on with a dot and ends in .tmp. visit's error ends
// the walk.
func (b *Bucket) Walk(ctx context.Context, prefix string, visit func([]Object) error) error {
	bucket, err := b.get(ctx)
	if err != nil {
		return err
	}
	for token := blob.FirstPageToken; len(token) > 0; {
		var listed []*blob.ListObject
		err := b.ask(ctx, func(ctx context.Context) (err error) {
			listed, token, err = bucket.ListPage(ctx, token, b.page, &blob.ListOptions{Prefix: prefix})
			return err
		})
		if err != nil {
			return storageErr("list the files", err)
		}
		page := make([]Object, len(listed))
		for i, o := range listed {
			page[i] = Object{Key: o.Key, Changed: o.ModTime}
		}
		if err := visit(page); err != nil {
			return err
		}
	}
	return nil
}

// storageErr maps an error of the storage. Whatever else it says, to the caller
// the storage does not work now.
func storageErr(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", what, err)
	case gcerrors.Code(err) == gcerrors.NotFound:
		return fmt.Errorf("%s: %w", what, model.ErrNotFound)
	default:
		return fmt.Errorf("%s: %w: %w", what, model.ErrUnavailable, err)
	}
}

func fieldError(code, want string) error {
	return model.FieldErrors{{Field: "file", Code: code, Want: want}}
}
