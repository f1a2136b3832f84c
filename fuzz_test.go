package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/producer/client"
)

// taking is an intake in memory that takes every event, one object a line.
type taking struct{ lines [][]byte }

func (in *taking) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var b client.Batch
	for line := range bytes.Lines(body) {
		in.lines = append(in.lines, bytes.TrimRight(line, "\n"))
		b.Items = append(b.Items, client.Receipt{Status: client.StatusAccepted, Code: http.StatusAccepted})
	}
	answer, err := json.Marshal(b)
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: http.StatusAccepted, Header: header, Body: io.NopCloser(bytes.NewReader(answer)), Request: r}, err
}

// fuzzSend sends a file as px send does.
func fuzzSend(t *testing.T, format string, file []byte) (in *taking, sum sendSummary, told string, err error) {
	t.Helper()
	in = &taking{}
	c, err := client.New("http://intake.example", "px_key", client.WithHTTPClient(&http.Client{Transport: in}), client.WithRetry(1, 1, 1))
	require.NoError(t, err)
	var out, complaints bytes.Buffer
	sum, err = runSend(t.Context(), sendArgs{File: "-", Format: format, Client: c, In: bytes.NewReader(file), Out: &out, Err: &complaints})
	return in, sum, complaints.String(), err
}

// What px send may say of a file. None of it quotes the file, but for names of
// columns, which look like names.
var (
	sayable = regexp.MustCompile(`^(line|event) \d+: (an event has at most 1048576 bytes|not JSON, at byte \d+|a JSON object is expected|` +
		name + `: not UTF-8; write the file as UTF-8|wrong number of fields|(bare|extraneous or missing) " in (non-)?quoted[- ]field)$`)
	sayableAtEnd = regexp.MustCompile(`^(read events: (event \d+ is not JSON, near byte \d+|the array does not end|the object is not JSON, near byte \d+|` +
		`something stands behind the (array, near byte \d+|object; one object per line is the format ndjson)|a JSON object or an array of them is expected)|` +
		`read the header: (EOF|(record on line \d+; )?parse error on line \d+, column \d+: [a-z" -]+)|` +
		`header: (not UTF-8; write the file as UTF-8|column ` + name + ` is (there twice|missing)|no column is named "` + name + `"; known are [a-z_., ]+ and metadata\.…))$`)
)

const name = `([A-Za-z_][A-Za-z0-9_.-]{0,63}|\(a key that is not a name\))`

// FuzzSend looks for files, of any format, that make px send panic, lose an event
// without a word, send what is no JSON object, or quote the file in what it says.
func FuzzSend(f *testing.F) {
	f.Fuzz(func(t *testing.T, kind uint8, file []byte) {
		format := []string{formatNDJSON, formatJSON, formatCSV, ""}[kind%4]
		in, sum, told, err := fuzzSend(t, format, file)
		require.Len(t, in.lines, sum.Accepted)
		for _, line := range in.lines {
			require.True(t, json.Valid(line), "sent %q", line)
		}
		failures := strings.Split(strings.TrimSuffix(told, "\n"), "\n")
		if told == "" {
			failures = nil
		}
		require.Len(t, failures, sum.Failed)
		for _, line := range failures {
			require.Regexp(t, sayable, line)
		}
		if err != nil {
			require.Regexp(t, sayableAtEnd, err.Error())
		}
		if format == formatNDJSON {
			require.NoError(t, err)
			lines := 0
			for line := range bytes.Lines(bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))) {
				if len(bytes.TrimSpace(line)) > 0 {
					lines++
				}
			}
			require.Equal(t, lines, sum.Accepted+sum.Failed, "every line is sent or told of")
		}
	})
}

// FuzzSendCSV looks for words that do not come out of a CSV file as they were
// written into it.
func FuzzSendCSV(f *testing.F) {
	f.Fuzz(func(t *testing.T, separator uint8, id, text, ward string) {
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		w.Comma = []rune{',', ';', '\t'}[separator%3]
		require.NoError(t, w.Write([]string{"event_id", "source_type", "hospital", "text", "metadata.ward"}))
		require.NoError(t, w.Write([]string{id, "complaint", "RUH", text, ward}))
		w.Flush()
		in, sum, told, err := fuzzSend(t, formatCSV, file.Bytes())
		require.NoError(t, err)
		if notUTF8(id) || notUTF8(text) || notUTF8(ward) {
			require.Equal(t, sendSummary{Failed: 1}, sum)
			require.Regexp(t, sayable, strings.TrimSuffix(told, "\n"))
			return
		}
		require.Equal(t, sendSummary{Accepted: 1}, sum, "%s", told)
		var event struct {
			ID       string            `json:"event_id"`
			Text     string            `json:"text"`
			Metadata map[string]string `json:"metadata"`
		}
		require.NoError(t, json.Unmarshal(in.lines[0], &event))
		require.Equal(t, [3]string{kept(id), kept(text), kept(ward)}, [3]string{event.ID, event.Text, event.Metadata["ward"]})
	})
}

// kept is how a cell comes in: CSV ends lines in one way, and an empty cell is
// absent.
func kept(cell string) string {
	if strings.TrimSpace(cell) == "" {
		return ""
	}
	return strings.ReplaceAll(cell, "\r\n", "\n")
}
