package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pxactions/px/model"
)

// csvColumns are the names that a header may have; metadata.* besides.
func csvColumns() []string {
	return []string{
		"event_id", "source_type", "source_ref", "source_object.content_type", "source_object.object_id", "subject", "hospital", "department",
		"survey", "kind", "score.value", "score.min", "score.max", "score.better", "score.metric", "sentiment", "kpi.name", "kpi.value",
		"kpi.target", "kpi.better", "category", "severity", "title", "text", "involved_users", "restricted", "occurred_at", "received_at", "mode",
	}
}

func (s *sender) csv(ctx context.Context, r *bufio.Reader) error {
	c := csv.NewReader(r)
	c.Comma = separator(r)
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	if err := checkHeader(header); err != nil {
		return err
	}
	for {
		record, err := c.Read()
		var pe *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &pe):
			s.fail(fmt.Sprintf("line %d", pe.StartLine), pe.Err.Error())
			continue
		case err != nil:
			return fmt.Errorf("read events: %w", err)
		}
		line, _ := c.FieldPos(0)
		place := fmt.Sprintf("line %d", line)
		if i := slices.IndexFunc(record, notUTF8); i >= 0 {
			s.fail(place, model.FieldName(header[i])+": not UTF-8; write the file as UTF-8")
			continue
		}
		event, err := json.Marshal(fromRecord(header, record))
		if err != nil {
			return fmt.Errorf("write an event as JSON: %w", err)
		}
		if err := s.add(ctx, place, event); err != nil {
			return err
		}
	}
}

func notUTF8(s string) bool { return !utf8.ValidString(s) }

// separator is what stands between the columns of the first line: a semicolon
// in much of Europe.
func separator(r *bufio.Reader) rune {
	head, _ := r.Peek(r.Size())
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	for _, c := range []rune{',', ';', '\t'} {
		if bytes.ContainsRune(head, c) {
			return c
		}
	}
	return ','
}

func checkHeader(header []string) error {
	seen := map[string]bool{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		header[i] = name
		switch {
		case notUTF8(name):
			return errors.New("header: not UTF-8; write the file as UTF-8")
		case seen[name]:
			return fmt.Errorf("header: column %s is there twice", model.FieldName(name))
		case !slices.Contains(csvColumns(), name) && (!strings.HasPrefix(name, "metadata.") || name == "metadata."):
			return fmt.Errorf("header: no column is named %q; known are %s and metadata.…", model.FieldName(name), strings.Join(csvColumns(), ", "))
		}
		seen[name] = true
	}
	for _, name := range []string{"event_id", "source_type", "hospital"} {
		if !seen[name] {
			return fmt.Errorf("header: column %s is missing", name)
		}
	}
	return nil
}

// fromRecord makes an event of a record; empty cells are absent.
func fromRecord(header, record []string) map[string]any {
	event := map[string]any{}
	for i, name := range header {
		v := record[i]
		if strings.TrimSpace(v) == "" {
			continue
		}
		if name == "involved_users" {
			event[name] = strings.Split(v, ";")
			continue
		}
		part, field, nested := strings.Cut(name, ".")
		if !nested {
			event[name] = v
			continue
		}
		inner, ok := event[part].(map[string]any)
		if !ok {
			inner = map[string]any{}
			event[part] = inner
		}
		inner[field] = v
	}
	return event
}
