package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/producer/client"
)

// sendIntake is an intake that refuses events of hospital NOPE.
type sendIntake struct {
	mu     sync.Mutex
	events []map[string]any
	body   string // of the last call
	calls  int
	status int // of whole requests; 0: taken
}

func (in *sendIntake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.calls++
	if in.status != 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(in.status)
		_, _ = fmt.Fprintf(w, `{"type":"urn:px:problem:key-unknown","title":"This API key is not known","status":%d}`, in.status)
		return
	}
	var b client.Batch
	body, _ := io.ReadAll(r.Body)
	in.body = string(body)
	for line := range bytes.Lines(body) {
		var e map[string]any
		_ = json.Unmarshal(line, &e)
		in.events = append(in.events, e)
		id, _ := e["event_id"].(string)
		it := client.Receipt{EventID: id, Status: client.StatusAccepted, Code: 202}
		if e["hospital"] == "NOPE" {
			it.Status, it.Problem = client.StatusError, &client.Problem{Title: "invalid", Status: 422, Errors: []client.FieldError{{Field: "hospital", Message: "a code"}}}
		}
		b.Items = append(b.Items, it)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(b)
}

func sendTo(t *testing.T, in *sendIntake, name, format, content string) (sum sendSummary, out, errs string, err error) {
	t.Helper()
	s := httptest.NewServer(in)
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, "px_key", client.WithRetry(1, time.Nanosecond, time.Nanosecond))
	require.NoError(t, err)
	var o, e bytes.Buffer
	a := sendArgs{File: "-", Format: format, Client: c, In: strings.NewReader(content), Out: &o, Err: &e}
	if name != "" {
		a.File = filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(a.File, []byte(content), 0o600))
	}
	sum, err = runSend(t.Context(), a)
	return sum, o.String(), e.String(), err
}

func TestSendTellsOfEachLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, format, content string
		sum                         sendSummary
		errs                        string
	}{
		{"lines", "e.ndjson", "", "{\"event_id\":\"1\"}\r\n\n{\"event_id\":\n[]\n{\"event_id\":\"2\",\"hospital\":\"NOPE\"}\n{\"event_id\":\"3\"}",
			sendSummary{Accepted: 2, Failed: 3}, "line 3: not JSON, at byte 12\nline 4: a JSON object is expected\nline 5: event 2: hospital: a code\n"},
		{"lines from a pipe, with a mark", "", "", "\xef\xbb\xbf {\"event_id\":\"1\"}\n", sendSummary{Accepted: 1}, ""},
		{"a line too long", "e.jsonl", "", "{\"text\":\"" + strings.Repeat("x", sendMaxLine+1) + "\"}\n{}\n", sendSummary{Accepted: 1, Failed: 1}, "line 1: an event has at most 1048576 bytes\n"},
		{"an array", "e.json", "", ` [{"event_id":"1"},{"event_id":"2","hospital":"NOPE"}]`, sendSummary{Accepted: 1, Failed: 1}, "event 2: event 2: hospital: a code\n"},
		{"one object", "e.json", "", "\n {\n\"event_id\":\"1\"\n}\n", sendSummary{Accepted: 1}, ""},
		{"one object over lines from a pipe", "", "", "{\n  \"event_id\": \"1\"\n}\n", sendSummary{Accepted: 1}, ""},
		{"a long object over lines from a pipe", "", "", "{\n\"event_id\": \"1\",\n\"text\": \"" + strings.Repeat("x", 100_000) + "\"\n}", sendSummary{Accepted: 1}, ""},
		{"a broken line first", "", "", "{\"event_id\":1,,}\n{\"event_id\":\"2\"}\n", sendSummary{Accepted: 1, Failed: 1}, "line 1: not JSON, at byte 15\n"},
		{"a table", "e.csv", "", "event_id,source_type,hospital,text\n1,complaint,RUH,\"two\nlines\"\n2,complaint,NOPE,\n3,complaint\n4,complaint,RUH,x\n",
			sendSummary{Accepted: 2, Failed: 2}, "line 5: wrong number of fields\nline 4: event 2: hospital: a code\n"},
		{"a table with semicolons from a pipe", "", "", "event_id;source_type;hospital\n1;complaint;RUH\n", sendSummary{Accepted: 1}, ""},
		{"a table with a record in Latin-1", "e.csv", "", "event_id,source_type,hospital,text\n1,complaint,RUH,p\xe8re\n2,complaint,RUH,père\n",
			sendSummary{Accepted: 1, Failed: 1}, "line 2: text: not UTF-8; write the file as UTF-8\n"},
		{"nothing", "", "", "", sendSummary{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sum, out, errs, err := sendTo(t, &sendIntake{}, tt.file, tt.format, tt.content)
			require.NoError(t, err)
			assert.Equal(t, tt.sum, sum)
			assert.Equal(t, tt.errs, errs)
			assert.Equal(t, fmt.Sprintf("accepted %d, duplicates 0, quarantined 0, failed %d\n", sum.Accepted, sum.Failed), out)
		})
	}
}

func TestSendReadsTables(t *testing.T) {
	t.Parallel()
	in := &sendIntake{}
	sum, _, _, err := sendTo(t, in, "e.csv", "", "event_id,source_type,hospital,score.value,score.max,involved_users,metadata.ward,title\n1,survey,RUH,2,,u-1;u-2,3-12,\n")
	require.NoError(t, err)
	require.Equal(t, 1, sum.Accepted)
	assert.Equal(t, map[string]any{
		"event_id": "1", "source_type": "survey", "hospital": "RUH", "score": map[string]any{"value": "2"},
		"involved_users": []any{"u-1", "u-2"}, "metadata": map[string]any{"ward": "3-12"},
	}, in.events[0])
}

func TestSendLeavesWhatIsNotUTF8ToTheIntake(t *testing.T) {
	t.Parallel()
	in := &sendIntake{}
	_, _, _, err := sendTo(t, in, "e.ndjson", "", "{\"text\":\"p\xe8re\"}\n")
	require.NoError(t, err)
	assert.Equal(t, "{\"text\":\"p\xe8re\"}\n", in.body, "as it stands in the file")
}

func TestSendDoesNotWaitForAPipeToEnd(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	go func() { _, _ = w.Write([]byte("{\"event_id\":\"1\"}\n{")) }()
	assert.False(t, spansLines(bufio.NewReaderSize(r, 64<<10)))
}

func TestSendGoesInChunks(t *testing.T) {
	t.Parallel()
	in := &sendIntake{}
	sum, _, _, err := sendTo(t, in, "e.ndjson", "", strings.Repeat("{}\n", 1200))
	require.NoError(t, err)
	assert.Equal(t, 1200, sum.Accepted)
	assert.Equal(t, 3, in.calls)
}

func TestSendStopsAtWhatConcernsAll(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, format, content string
		status                      int
		want                        string
	}{
		{"a wrong key", "e.ndjson", "", strings.Repeat("{}\n", 1200), 401, "not known"},
		{"an unknown column", "e.csv", "", "event_id,source_type,hospital,hospitl\n", 0, `no column is named "hospitl"`},
		{"a table in UTF-16", "e.csv", "", "\xff\xfee\x00v\x00e\x00n\x00t\x00\n\x00", 0, "header: not UTF-8"},
		{"a column twice", "e.csv", "", "event_id,event_id\n", 0, "event_id is there twice"},
		{"a column missing", "e.csv", "", "event_id,source_type\n", 0, "hospital is missing"},
		{"half an array", "e.json", "", `[{"event_id":"1"},`, 0, "event 2 is not JSON"},
		{"an array without end", "e.json", "", `[{"event_id":"1"}`, 0, "array"},
		{"two arrays", "e.json", "", "[{}]\n[{}]", 0, "something stands behind the array, near byte 6"},
		{"an array and garbage", "e.json", "", "[{}] garbage", 0, "something stands behind the array"},
		{"two objects over lines from a pipe", "", "", "{\n}\n{\n}\n", 0, "something stands behind the object"},
		{"neither object nor array", "e.json", "", `"event_id"`, 0, "a JSON object or an array"},
		{"an empty JSON file", "e.json", "", "", 0, "a JSON object or an array"},
		{"half an object", "e.json", "", `{"event_id":"1"`, 0, "the object is not JSON"},
		{"two objects", "e.json", "", "{}\n{}", 0, "something stands behind the object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := &sendIntake{status: tt.status}
			sum, _, _, err := sendTo(t, in, tt.file, tt.format, tt.content)
			require.ErrorContains(t, err, tt.want)
			assert.Zero(t, sum.Accepted)
			assert.LessOrEqual(t, in.calls, 1)
		})
	}
}

func TestSendTellsHowItIsCalled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args sendArgs
		want string
	}{
		{"no such file", sendArgs{File: filepath.Join(t.TempDir(), "none")}, "no such file"},
		{"a folder", sendArgs{File: t.TempDir()}, "is no file"},
		{"another format", sendArgs{File: "-", Format: "xml", In: strings.NewReader("<a/>")}, `--format: "xml" is none; one of ndjson, json, csv`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := runSend(t.Context(), tt.args)
			require.ErrorContains(t, err, tt.want)
			var usage *usageError
			assert.ErrorAs(t, err, &usage)
		})
	}
}

func TestTableColumnsAreThoseOfAnEvent(t *testing.T) {
	t.Parallel()
	var names []string
	var walk func(prefix string, ty reflect.Type)
	walk = func(prefix string, ty reflect.Type) {
		for f := range ty.NumField() {
			tag, _, _ := strings.Cut(ty.Field(f).Tag.Get("json"), ",")
			inner := ty.Field(f).Type
			if inner.Kind() == reflect.Pointer && inner.Elem().Kind() == reflect.Struct && inner.Elem() != reflect.TypeFor[time.Time]() {
				walk(prefix+tag+".", inner.Elem())
				continue
			}
			if tag != "metadata" {
				names = append(names, prefix+tag)
			}
		}
	}
	walk("", reflect.TypeFor[engine.Event]())
	assert.ElementsMatch(t, names, csvColumns())
}
