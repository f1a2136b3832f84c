package files_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/model"
)

// s3 speaks as much of S3 as the storage uses, for one bucket. It is told no
// secret and checks none.
type s3 struct {
	mu      sync.Mutex
	objects map[string][]byte
	uploads map[string]map[int][]byte // by upload id: parts by number
	page    int                       // objects in one answer, at most
	refuse  bool
}

func startS3(t *testing.T) (*s3, *files.Bucket) {
	t.Helper()
	s := &s3{objects: map[string][]byte{}, uploads: map[string]map[int][]byte{}, page: 2}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, open(t, "s3://bucket?region=test&anonymous=true&prefix=px/&endpoint="+srv.URL)
}

func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := content(r)
	name, inside := strings.CutPrefix(r.URL.Path, "/bucket/")
	q := r.URL.Query()
	switch {
	case s.refuse:
		fault(w, http.StatusForbidden, "AccessDenied")
	case err != nil: // a sender that breaks off
		fault(w, http.StatusBadRequest, "IncompleteBody")
	case !inside || name == "":
		s.list(w, q.Get("prefix"), q.Get("continuation-token"))
	case q.Has("uploads"):
		id := strconv.Itoa(len(s.uploads) + 1)
		s.uploads[id] = map[int][]byte{}
		answer(w, "InitiateMultipartUploadResult", "<UploadId>"+id+"</UploadId>")
	case q.Has("uploadId"):
		s.part(w, r, name, body)
	case r.Method == http.MethodPut:
		s.objects[name] = body
	case r.Method == http.MethodDelete:
		delete(s.objects, name)
		w.WriteHeader(http.StatusNoContent)
	case s.objects[name] == nil:
		fault(w, http.StatusNotFound, "NoSuchKey")
	default:
		w.Header().Set("Last-Modified", time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.objects[name]))
	}
}

func (s *s3) part(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	id := r.URL.Query().Get("uploadId")
	switch r.Method {
	case http.MethodPut:
		n, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		s.uploads[id][n] = body
		w.Header().Set("ETag", fmt.Sprintf("%q", id+"-"+strconv.Itoa(n)))
	case http.MethodPost:
		var all []byte
		for n := 1; n <= len(s.uploads[id]); n++ {
			all = append(all, s.uploads[id][n]...)
		}
		s.objects[name] = all
		delete(s.uploads, id)
		answer(w, "CompleteMultipartUploadResult", `<ETag>"x"</ETag>`)
	case http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *s3) list(w http.ResponseWriter, prefix, after string) {
	var names []string
	for name := range s.objects {
		if strings.HasPrefix(name, prefix) && name > after {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := "<IsTruncated>false</IsTruncated>"
	if len(names) > s.page {
		names = names[:s.page]
		out = "<IsTruncated>true</IsTruncated><NextContinuationToken>" + names[s.page-1] + "</NextContinuationToken>"
	}
	for _, name := range names {
		out += "<Contents><Key>" + name + "</Key><LastModified>2026-01-02T03:04:05Z</LastModified><Size>1</Size></Contents>"
	}
	answer(w, "ListBucketResult", out)
}

func answer(w http.ResponseWriter, root, inner string) {
	_, _ = io.WriteString(w, xml.Header+"<"+root+">"+inner+"</"+root+">")
}

func fault(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	answer(w, "Error", "<Code>"+code+"</Code><Message>no</Message>")
}

// content is a request's body, out of the chunks with checksums that S3's client
// may send it in.
func content(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return body, err
	}
	var out []byte
	for len(body) > 0 {
		head, rest, _ := bytes.Cut(body, []byte("\r\n"))
		size, _, _ := strings.Cut(string(head), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n == 0 {
			return out, err
		}
		out, body = append(out, rest[:n]...), rest[n+2:]
	}
	return out, nil
}

func TestS3KeepsFiles(t *testing.T) {
	t.Parallel()
	s, b := startS3(t)
	require.NoError(t, b.Check(t.Context()))
	for name, size := range map[string]int{"one part": 1000, "parts": 12 << 20} {
		body := []byte(strings.Repeat("Called the family.\n", size/19))
		stored, err := b.Put(t.Context(), key, bytes.NewReader(body), 25<<20)
		require.NoError(t, err, name)
		sum := sha256.Sum256(body)
		assert.Equal(t, files.Stored{Size: int64(len(body)), SHA256: sum[:], Type: "text/plain"}, stored)
		assert.True(t, bytes.Equal(body, s.objects["px/"+key]), "%s: kept under the prefix as it is", name)
		r, err := b.Open(t.Context(), key)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		assert.True(t, bytes.Equal(body, got), name)
	}
	require.NoError(t, b.Delete(t.Context(), key))
	require.NoError(t, b.Delete(t.Context(), key), "once more")
	_, err := b.Open(t.Context(), key)
	require.ErrorIs(t, err, model.ErrNotFound)
	there, err := b.Exists(t.Context(), key)
	assert.True(t, !there && err == nil)
}

func TestS3KeepsNothingOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	s, b := startS3(t)
	for name, size := range map[string]int{"within the first part": 1 << 20, "within a later part": 12 << 20} {
		_, err := b.Put(t.Context(), key, strings.NewReader(strings.Repeat("x", size+1)), int64(size))
		var faults model.FieldErrors
		require.ErrorAs(t, err, &faults, name)
		_, err = b.Put(t.Context(), key, io.MultiReader(strings.NewReader(strings.Repeat("x", size)), failing(io.ErrClosedPipe)), 25<<20)
		require.ErrorIs(t, err, io.ErrClosedPipe, name)
		s.mu.Lock()
		assert.Empty(t, s.objects, name)
		assert.Empty(t, s.uploads, "%s: no part is left", name)
		s.mu.Unlock()
	}
}

func TestS3IsWalkedByPages(t *testing.T) {
	t.Parallel()
	_, b := startS3(t)
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("actions/%d/1", i))
		_, err := b.Put(t.Context(), want[i], strings.NewReader("x"), limit)
		require.NoError(t, err)
	}
	_, err := b.Put(t.Context(), "other", strings.NewReader("x"), limit)
	require.NoError(t, err)
	var got []string
	err = b.Walk(t.Context(), "actions/", func(page []files.Object) error {
		for _, o := range page {
			got = append(got, o.Key)
			assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), o.Changed.UTC())
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestS3ThatRefusesIsUnavailable(t *testing.T) {
	t.Parallel()
	s, b := startS3(t)
	s.mu.Lock()
	s.refuse = true
	s.mu.Unlock()
	_, err := b.Put(t.Context(), key, strings.NewReader("x"), limit)
	require.ErrorIs(t, err, model.ErrUnavailable)
	_, err = b.Open(t.Context(), key)
	require.ErrorIs(t, err, model.ErrUnavailable)
	require.ErrorIs(t, b.Check(t.Context()), model.ErrUnavailable)
}

// TestS3ThatHangsIsUnavailable takes requests and never answers.
func TestS3ThatHangsIsUnavailable(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-over
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(over) })
	b := open(t, "s3://bucket?region=test&anonymous=true&endpoint="+srv.URL)
	files.Impatient(b, 100*time.Millisecond)
	for what, ask := range map[string]func() error{
		"put": func() error { _, err := b.Put(t.Context(), key, strings.NewReader("x"), limit); return err },
		"put in parts": func() error {
			_, err := b.Put(t.Context(), key, strings.NewReader(strings.Repeat("x", 12<<20)), 13<<20)
			return err
		},
		"open":   func() error { _, err := b.Open(t.Context(), key); return err },
		"look":   func() error { _, err := b.Exists(t.Context(), key); return err },
		"delete": func() error { return b.Delete(t.Context(), key) },
		"list":   func() error { return b.Walk(t.Context(), "", func([]files.Object) error { return nil }) },
	} {
		start := time.Now()
		require.ErrorIs(t, ask(), model.ErrUnavailable, what)
		assert.Less(t, time.Since(start), 10*time.Second, what)
	}
}
