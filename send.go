package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/pxactions/px/producer/client"
)

const (
	sendChunk      = 500     // events of one request
	sendChunkBytes = 4 << 20 // and their bytes
	sendMaxLine    = 1 << 20 // what the intake takes of one event
)

// The formats that px send reads.
const (
	formatNDJSON = "ndjson" // one object per line
	formatJSON   = "json"   // one object, or an array of them
	formatCSV    = "csv"    // a header of dotted names: score.value
)

// sendArgs is what px send is told.
type sendArgs struct {
	File   string         // a path; - or empty: In
	Format string         // ndjson, json or csv; empty: by the file's name, else by its first character
	Client *client.Client // to the intake
	In     io.Reader      // standard input
	Out    io.Writer      // the summary
	Err    io.Writer      // a line per event that failed, and the progress on a terminal
}

// sendSummary is what became of all events.
type sendSummary struct{ Accepted, Duplicates, Quarantined, Failed int }

// runSend streams a file of events to the intake and tells of each that failed,
// by its line and field. What cannot be read is told of and not sent. The error
// is what ended it early (a wrong key, an intake that stays away, a header that
// is none); failed events alone are no error: the caller looks at
// sendSummary.Failed for its exit code.
func runSend(ctx context.Context, a sendArgs) (sendSummary, error) {
	in, size, err := openSend(a)
	if err != nil {
		return sendSummary{}, err
	}
	defer func() { _ = in.Close() }()
	s := &sender{args: a, bar: sendBar(a.Err, size)}
	r := bufio.NewReaderSize(io.TeeReader(in, s.bar), 64<<10)
	if bom, _ := r.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3)
	}
	switch s.format(r) {
	case formatCSV:
		err = s.csv(ctx, r)
	case formatJSON:
		err = s.json(ctx, r)
	case formatNDJSON:
		err = s.ndjson(ctx, r)
	default:
		return s.sum, usagef("--format: %q is none; one of %s, %s, %s", a.Format, formatNDJSON, formatJSON, formatCSV)
	}
	if err == nil {
		err = s.flush(ctx)
	}
	_ = s.bar.Finish()
	fmt.Fprintf(a.Out, "accepted %d, duplicates %d, quarantined %d, failed %d\n", s.sum.Accepted, s.sum.Duplicates, s.sum.Quarantined, s.sum.Failed)
	return s.sum, err
}

func openSend(a sendArgs) (io.ReadCloser, int64, error) {
	if a.File == "" || a.File == "-" {
		return io.NopCloser(a.In), -1, nil
	}
	f, err := os.Open(a.File)
	if err != nil {
		return nil, 0, usagef("open events: %w", err)
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		_ = f.Close()
		return nil, 0, usagef("open events: %s is no file", a.File)
	}
	return f, info.Size(), nil
}

// sendBar shows progress on a terminal, and nothing anywhere else.
func sendBar(w io.Writer, size int64) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progressbar.DefaultBytesSilent(size)
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("sending"), progressbar.OptionClearOnFinish())
}

// sender gathers events into requests.
type sender struct {
	args   sendArgs
	bar    *progressbar.ProgressBar
	sum    sendSummary
	events [][]byte
	places []string // "line 17"
	size   int
}

func (s *sender) format(r *bufio.Reader) string {
	if s.args.Format != "" {
		return s.args.Format
	}
	switch strings.ToLower(filepath.Ext(s.args.File)) {
	case ".csv", ".tsv":
		return formatCSV
	case ".ndjson", ".jsonl":
		return formatNDJSON
	case ".json":
		return formatJSON
	}
	switch c := first(r); {
	case c == '[', c == '{' && spansLines(r):
		return formatJSON
	case c == 0, c == '{':
		return formatNDJSON
	default:
		return formatCSV
	}
}

// spansLines reports whether an object is written over several lines, as by a
// pretty printer, instead of one object a line. It reads no further than it
// must, as a pipe may stay open.
func spansLines(r *bufio.Reader) bool {
	for {
		head, _ := r.Peek(r.Buffered())
		line, _, whole := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
		if whole {
			if json.Valid(line) {
				return false
			}
			var object json.RawMessage
			err := json.NewDecoder(bytes.NewReader(head)).Decode(&object)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				return err == nil
			}
		}
		if _, err := r.Peek(len(head) + 1); err != nil {
			return whole && errors.Is(err, bufio.ErrBufferFull)
		}
	}
}

// first is the first character that is no blank, still to be read; 0: there is
// none within 4 KiB.
func first(r *bufio.Reader) byte {
	for n := 1; n <= 4096; n++ {
		head, err := r.Peek(n)
		if err != nil {
			break
		}
		if c := head[n-1]; !strings.ContainsRune(" \t\r\n", rune(c)) {
			return c
		}
	}
	return 0
}

// fail tells of an event that was not accepted.
func (s *sender) fail(place, why string) {
	s.sum.Failed++
	_ = s.bar.Clear()
	fmt.Fprintf(s.args.Err, "%s: %s\n", place, why)
}

func (s *sender) add(ctx context.Context, place string, event []byte) error {
	if len(event) > sendMaxLine {
		s.fail(place, fmt.Sprintf("an event has at most %d bytes", sendMaxLine))
		return nil
	}
	if s.size+len(event) > sendChunkBytes {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	s.events, s.places, s.size = append(s.events, event), append(s.places, place), s.size+len(event)
	if len(s.events) < sendChunk {
		return nil
	}
	return s.flush(ctx)
}

// flush sends what is gathered.
func (s *sender) flush(ctx context.Context) error {
	if len(s.events) == 0 {
		return nil
	}
	b, err := s.args.Client.SendLines(ctx, s.events)
	for i, it := range b.Items {
		switch it.Status {
		case client.StatusAccepted:
			s.sum.Accepted++
		case client.StatusDuplicate:
			s.sum.Duplicates++
		case client.StatusQuarantined:
			s.sum.Quarantined++
		default:
			if it.Problem != nil { // else err says why, for all of them
				s.fail(s.places[i], reasons(it))
			}
		}
	}
	if err != nil {
		return fmt.Errorf("send events from %s on: %w", s.places[0], err)
	}
	s.events, s.places, s.size = nil, nil, 0
	return nil
}

// reasons says why an event was refused, field by field.
func reasons(it client.Receipt) string {
	var b strings.Builder
	if it.EventID != "" {
		fmt.Fprintf(&b, "event %s: ", it.EventID)
	}
	if len(it.Problem.Errors) == 0 {
		b.WriteString(it.Problem.Title)
	}
	for i, e := range it.Problem.Errors {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %s", e.Field, e.Message)
	}
	return b.String()
}

func (s *sender) ndjson(ctx context.Context, r *bufio.Reader) error {
	for n := 1; ; n++ {
		line, tooLong, err := readLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read events: %w", err)
		}
		place := fmt.Sprintf("line %d", n)
		line = bytes.TrimSpace(line)
		switch {
		case tooLong:
			s.fail(place, fmt.Sprintf("an event has at most %d bytes", sendMaxLine))
		case len(line) == 0:
		case notObject(line) != "":
			s.fail(place, notObject(line))
		default:
			if err := s.add(ctx, place, line); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// readLine reads one line of its own memory; of one that is too long, only that
// it is.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > sendMaxLine+2; !tooLong {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

// notObject says why a line is no event; empty when it may be one.
func notObject(line []byte) string {
	var m json.RawMessage
	var se *json.SyntaxError
	if err := json.Unmarshal(line, &m); errors.As(err, &se) {
		return fmt.Sprintf("not JSON, at byte %d", se.Offset)
	}
	if line[0] != '{' {
		return "a JSON object is expected"
	}
	return ""
}

// json reads one object, or an array of them.
func (s *sender) json(ctx context.Context, r *bufio.Reader) error {
	d := json.NewDecoder(r)
	if first(r) == '{' {
		return s.one(ctx, d)
	}
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("read events: a JSON object or an array of them is expected")
	}
	for n := 1; d.More(); n++ {
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return fmt.Errorf("read events: event %d is not JSON, near byte %d", n, d.InputOffset())
		}
		if err := s.add(ctx, fmt.Sprintf("event %d", n), one); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("read events: the array does not end")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read events: something stands behind the array, near byte " + strconv.FormatInt(d.InputOffset(), 10))
	}
	return nil
}

// one reads a single object with nothing behind it.
func (s *sender) one(ctx context.Context, d *json.Decoder) error {
	var event json.RawMessage
	if err := d.Decode(&event); err != nil {
		return fmt.Errorf("read events: the object is not JSON, near byte %d", d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read events: something stands behind the object; one object per line is the format " + formatNDJSON)
	}
	return s.add(ctx, "event 1", event)
}
