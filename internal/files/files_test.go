package files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/model"
)

const (
	key   = "actions/0/1"
	limit = 1 << 20
)

func folder(t *testing.T) (*files.Bucket, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "made", "when missing")
	return open(t, "file://"+dir), dir
}

func open(t *testing.T, url string) *files.Bucket {
	t.Helper()
	b, err := files.New(url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// kept lists every file under a folder, finished or not.
func kept(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(p, dir+"/"))
		}
		return nil
	})
	require.NoError(t, err)
	return all
}

func TestAFileIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	body := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("Reading. "), 100_000)...)
	stored, err := b.Put(t.Context(), key, iotest.OneByteReader(bytes.NewReader(body[:1000])), limit)
	require.NoError(t, err)
	sum := sha256.Sum256(body[:1000])
	assert.Equal(t, files.Stored{Size: 1000, SHA256: sum[:], Type: "application/pdf"}, stored)

	stored, err = b.Put(t.Context(), key, bytes.NewReader(body), limit) // larger than what the type is judged by
	require.NoError(t, err)
	sum = sha256.Sum256(body)
	assert.Equal(t, files.Stored{Size: int64(len(body)), SHA256: sum[:], Type: "application/pdf"}, stored)
	assert.Equal(t, []string{key}, kept(t, dir), "the file alone, without attributes beside it")
	r, err := b.Open(t.Context(), key)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	assert.True(t, bytes.Equal(body, got))
	there, err := b.Exists(t.Context(), key)
	assert.True(t, there && err == nil)

	require.NoError(t, b.Delete(t.Context(), key))
	require.NoError(t, b.Delete(t.Context(), key), "once more")
	there, err = b.Exists(t.Context(), key)
	assert.True(t, !there && err == nil)
	_, err = b.Open(t.Context(), key)
	require.ErrorIs(t, err, model.ErrNotFound)
}

// failing gives a text and then an error.
func failing(err error) io.Reader {
	return io.MultiReader(strings.NewReader(strings.Repeat("words ", 100_000)), iotest.ErrReader(err))
}

func TestWhatIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("the sender went away")
	tests := []struct {
		name  string
		r     io.Reader
		field string // code of the fault of the field; empty: want
		want  error
	}{
		{"an empty file", strings.NewReader(""), "required", nil},
		{"one byte too many", strings.NewReader(strings.Repeat("x", limit+1)), "size", nil},
		{"far too large", io.MultiReader(strings.NewReader(strings.Repeat("x", limit)), failing(broken)), "size", nil},
		{"a page", strings.NewReader("<!DOCTYPE html><html><script>alert(1)</script></html>"), "type", nil},
		{"a sender that breaks off", failing(broken), "", broken},
		{"a sender that breaks off at once", iotest.ErrReader(broken), "", broken},
		{"a sender cut off", failing(io.ErrUnexpectedEOF), "", io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, dir := folder(t)
			_, err := b.Put(t.Context(), "warm", strings.NewReader("x"), limit)
			require.NoError(t, err)
			_, err = b.Put(t.Context(), key, tt.r, limit)
			var faults model.FieldErrors
			switch {
			case tt.field == "":
				require.ErrorIs(t, err, tt.want)
				require.NotErrorIs(t, err, model.ErrUnavailable, "the storage is not at fault")
			case !errors.As(err, &faults):
				t.Fatalf("error = %v, want a fault of the field", err)
			default:
				assert.Equal(t, []string{"file", tt.field}, []string{faults[0].Field, faults[0].Code})
			}
			assert.Equal(t, []string{"warm"}, kept(t, dir))
		})
	}
}

func TestExactlyTheLimitIsKept(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	stored, err := b.Put(t.Context(), key, strings.NewReader(strings.Repeat("x", limit)), limit)
	require.NoError(t, err)
	assert.EqualValues(t, limit, stored.Size)
}

func TestASenderThatLeavesLeavesNothing(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	ctx, leave := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader(strings.Repeat("words ", 100_000)), readerFunc(func([]byte) (int, error) {
		leave()
		return 0, io.EOF // the body ends as if it were whole
	}))
	_, err := b.Put(ctx, key, r, limit)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, kept(t, dir))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAFileIsNotHeldInMemory(t *testing.T) {
	b, _ := folder(t) // not parallel: it measures
	const size = 64 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := b.Put(t.Context(), key, io.LimitReader(endless{}, size), size)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	if held := after.TotalAlloc - before.TotalAlloc; held > 8<<20 {
		t.Errorf("%d MiB allocated for %d MiB, want a few", held>>20, size>>20)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestAStorageThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a file")
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	b := open(t, "file://"+dir)
	_, err := b.Put(t.Context(), key, strings.NewReader("x"), limit)
	require.ErrorIs(t, err, model.ErrUnavailable)
	_, err = b.Open(t.Context(), key)
	require.ErrorIs(t, err, model.ErrUnavailable)
	_, err = b.Exists(t.Context(), key)
	require.ErrorIs(t, err, model.ErrUnavailable)
	require.ErrorIs(t, b.Delete(t.Context(), key), model.ErrUnavailable)
	require.ErrorIs(t, b.Check(t.Context()), model.ErrUnavailable)
	require.ErrorIs(t, b.Walk(t.Context(), "", func([]files.Object) error { return nil }), model.ErrUnavailable)

	// It is found when it comes.
	require.NoError(t, os.Remove(dir))
	_, err = b.Put(t.Context(), key, strings.NewReader("x"), limit)
	require.NoError(t, err)
	require.NoError(t, b.Check(t.Context()))

	// Nor is its place written to when it has gone.
	require.NoError(t, os.Rename(dir, dir+".gone"))
	require.ErrorIs(t, b.Check(t.Context()), model.ErrUnavailable)
	_, err = b.Put(t.Context(), key, strings.NewReader("x"), limit)
	require.ErrorIs(t, err, model.ErrUnavailable)
	require.NoDirExists(t, dir)
	require.NoError(t, os.Rename(dir+".gone", dir))
	require.NoError(t, b.Check(t.Context()))
}

func TestAWalkSeesEverythingInOrder(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	for _, k := range []string{"actions/b/1", "actions/a/2", "actions/a/1", "other"} {
		_, err := b.Put(t.Context(), k, strings.NewReader("x"), limit)
		require.NoError(t, err)
	}
	old := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "actions/a/2"), old, old))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "actions/a/3.18a.tmp"), []byte("half"), 0o600)) // of a killed process
	var keys []string
	err := b.Walk(t.Context(), "actions/", func(page []files.Object) error {
		for _, o := range page {
			keys = append(keys, o.Key)
			assert.Equal(t, o.Key == "actions/a/2", o.Changed.Equal(old))
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"actions/a/1", "actions/a/2", "actions/a/3.18a.tmp", "actions/b/1"}, keys)
	stop := errors.New("enough")
	require.ErrorIs(t, b.Walk(t.Context(), "", func([]files.Object) error { return stop }), stop)
}

func TestWhereFilesMayBe(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		"file:///srv/px-files", "file:px-files", "s3://b?region=r", "s3://b/?region=r&prefix=px/",
		"s3://b?region=r&endpoint=https://s3.hospital.example&use_path_style=true",
	} {
		_, err := files.New(ok)
		assert.NoError(t, err, ok)
	}
	for bad, want := range map[string]string{
		"":                                     "must begin with",
		"px-files":                             "must begin with",
		"mem://":                               "must begin with",
		"file:":                                "must name a folder",
		"file://host/Secret":                   "must name a folder",
		"file:///Secret?no_tmp_dir=1":          "must name a folder",
		"s3://?region=r":                       "must name the bucket",
		"s3://b/Secret?region=r":               "must name the bucket",
		"s3://k:Secret@b?region=r":             "no credentials",
		"s3://b?endpoint=https://k:Secret@h":   "no credentials",
		"s3://b?endpoint=Secret":               "endpoint must be a URL",
		"s3://b?region=r&secret_key=Secret":    "parameter",
		"s3://b?region=r&use_path_style=Secre": "parameter",
		"s3://b:Secret@\x7f":                   "must be a URL",
	} {
		_, err := files.New(bad)
		require.ErrorContains(t, err, want, bad)
		assert.NotContains(t, err.Error(), "Secre", bad)
	}
}

func TestTypesAreListedOnce(t *testing.T) {
	t.Parallel()
	types := files.Types()
	slices.Sort(types)
	assert.Equal(t, slices.Compact(slices.Clone(types)), types)
}
