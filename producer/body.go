package producer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/pxactions/px/internal/problem"
)

// body is what one request sends.
type body struct {
	single bool     // one object, answered as such
	events [][]byte // JSON, or what should be
	lines  []int    // of NDJSON: the line of each event, from 1
	held   int64    // bytes of the intake's budget, to be freed when it is answered
}

// readBody reads a request up to the limits, whole: nothing is accepted of a
// request that is refused. Else the caller frees what is held for it.
func (p *Producer) readBody(w http.ResponseWriter, r *http.Request) (*body, *Problem) {
	kind, refused := mediaType(r)
	if refused != nil {
		return nil, refused
	}
	if r.ContentLength > p.MaxBody {
		w.Header().Set("Connection", "close")
		return nil, p.tooLarge()
	}
	held := p.MaxBody // of a body that does not say how long it is
	if r.ContentLength >= 0 {
		held = r.ContentLength
	}
	if !p.load.bytes.take(held) {
		w.Header().Set("Connection", "close")
		return nil, p.overloaded("bytes")
	}
	b, refused := p.readWhole(w, r, kind)
	var rest int64
	if refused == nil {
		rest = b.held
	}
	if !p.load.bytes.take(rest - held) {
		p.load.bytes.free(held)
		return nil, p.overloaded("bytes")
	}
	return b, refused
}

// readWhole reads a body and says what it is to hold.
func (p *Producer) readWhole(w http.ResponseWriter, r *http.Request, kind string) (*body, *Problem) {
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, p.MaxBody)); err != nil {
		var max *http.MaxBytesError
		if errors.As(err, &max) {
			return nil, p.tooLarge()
		}
		return nil, problem.New(http.StatusBadRequest, problem.Truncated, "The request did not arrive whole", "")
	}
	b, refused := p.split(kind, bytes.TrimPrefix(buf.Bytes(), []byte("\xef\xbb\xbf")))
	if refused == nil {
		b.held = int64(buf.Len()) + EventBytes*int64(len(b.events))
	}
	return b, refused
}

// split finds the events of a body.
func (p *Producer) split(kind string, raw []byte) (*body, *Problem) {
	if kind == ndjson {
		return p.splitLines(raw)
	}
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		return nil, unreadable("the body is empty", 0)
	case trimmed[0] == '[':
		return p.splitArray(raw)
	default:
		return &body{single: true, events: [][]byte{raw}}, nil
	}
}

const (
	jsonType = problem.JSONType
	ndjson   = "application/x-ndjson"
)

// mediaType says how a body is to be read.
func mediaType(r *http.Request) (string, *Problem) {
	wrong := problem.New(http.StatusUnsupportedMediaType, problem.MediaType, "The request is of a type that is not read here",
		"Content-Type: "+jsonType+" or "+ndjson+", in UTF-8 and not compressed")
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return "", wrong
	}
	t, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || (params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8")) {
		return "", wrong
	}
	switch t {
	case jsonType:
		return jsonType, nil
	case ndjson, "application/ndjson", "application/jsonl":
		return ndjson, nil
	default:
		return "", wrong
	}
}

func unreadable(why string, offset int64) *Problem {
	p := problem.New(http.StatusBadRequest, problem.Unreadable, "The request cannot be read", why)
	p.Offset = &offset
	return p
}

func (p *Producer) tooLarge() *Problem {
	return problem.New(http.StatusRequestEntityTooLarge, problem.TooLarge, "The request is too large", fmt.Sprintf("at most %d bytes; send several", p.MaxBody))
}

func (p *Producer) tooMany() *Problem {
	return problem.New(http.StatusRequestEntityTooLarge, codeTooMany, "The request has too many events", fmt.Sprintf("at most %d; send several", p.MaxItems))
}

// splitLines takes NDJSON apart; empty lines are no events. A line that cannot
// be read fails alone, later.
func (p *Producer) splitLines(raw []byte) (*body, *Problem) {
	b := &body{}
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(b.events) == p.MaxItems {
			return nil, p.tooMany()
		}
		b.events, b.lines = append(b.events, line), append(b.lines, n)
	}
	if len(b.events) == 0 {
		return nil, unreadable("the body is empty", 0)
	}
	return b, nil
}

// splitArray takes a JSON array apart. One that cannot be read is refused
// whole: nobody can say where its events end.
func (p *Producer) splitArray(raw []byte) (*body, *Problem) {
	b := &body{}
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token() // the bracket
	for d.More() {
		if len(b.events) == p.MaxItems {
			return nil, p.tooMany()
		}
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return nil, badArray(raw)
		}
		b.events = append(b.events, one)
	}
	if _, err := d.Token(); err != nil {
		return nil, badArray(raw)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, unreadable("something stands behind the array", d.InputOffset())
	}
	if len(b.events) == 0 {
		return nil, unreadable("the array is empty", d.InputOffset())
	}
	return b, nil
}

// badArray says where an array cannot be read. The decoder's own offsets are
// off behind a comma, so the whole is looked at again.
func badArray(raw []byte) *Problem {
	var v json.RawMessage
	var se *json.SyntaxError
	if err := json.Unmarshal(raw, &v); errors.As(err, &se) && se.Offset < int64(len(raw)) {
		return unreadable("not JSON: a character that does not belong there", se.Offset)
	}
	return unreadable("not JSON: it ends too early", int64(len(raw)))
}
