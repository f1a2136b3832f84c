package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The pages in which values are read, so that a large one is never in memory as
// a whole: bytes of a text, entries of everything else.
const (
	searchBytes   = 64 << 10
	searchEntries = 200
)

// Search looks for a text in every key and value of this Redis database, in
// upper or lower case, also as JSON escapes it, and calls found with each key
// whose value has it, and with an empty one where its name has it. It reads in bounded pages and changes nothing. What cannot be read
// (of a type that a module brought) is an error. The error is
// model.ErrUnavailable, or says what was not read, and never has the text.
func (q *Queue) Search(ctx context.Context, text string, found func(key string)) error {
	s := search{q: q, needles: needles(text)}
	return q.scan(ctx, "*", func(keys []string) error {
		has, err := s.values(ctx, keys)
		for _, key := range keys {
			if s.in(key) {
				found("")
			} else if has[key] {
				found(key)
			}
		}
		return err
	})
}

// needles are the forms in which a text may stand in Redis.
func needles(text string) []string {
	quoted, _ := json.Marshal(text) // a string cannot fail
	forms := []string{text, string(quoted[1 : len(quoted)-1]), strings.Trim(strconv.QuoteToASCII(text), `"`)}
	for i := range forms {
		forms[i] = strings.ToLower(forms[i])
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

type search struct {
	q       *Queue
	needles []string
}

func (s *search) in(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(s.needles, func(n string) bool { return strings.Contains(text, n) })
}

// place is where the reading of a key's value stands.
type place struct{ key, kind, cursor string }

// values tells which of the keys have the text in their value: a page of every
// value in each round trip, until all are read.
func (s *search) values(ctx context.Context, keys []string) (map[string]bool, error) {
	has := map[string]bool{}
	places, err := s.begin(ctx, keys)
	for len(places) > 0 && err == nil {
		cmds, perr := s.q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, at := range places {
				p.Do(ctx, at.ask()...)
			}
			return nil
		})
		if perr != nil && len(cmds) == 0 {
			return has, unavailable("read values", perr)
		}
		var next []place
		for i, cmd := range cmds {
			at := places[i]
			v, err := cmd.(*redis.Cmd).Result()
			switch {
			case errors.Is(err, redis.Nil), err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"): // another value now
				continue
			case err != nil:
				return has, unavailable("read values", err)
			}
			values, cursor := at.read(v, s.overlap())
			has[at.key] = has[at.key] || slices.ContainsFunc(values, s.in)
			if cursor != "" && !has[at.key] {
				next = append(next, place{at.key, at.kind, cursor})
			}
		}
		places = next
	}
	return has, err
}

// overlap is how much of a page's end the next begins with.
func (s *search) overlap() int {
	longest := 0
	for _, n := range s.needles {
		longest = max(longest, len(n))
	}
	return longest
}

// begin is the first page of each key that is still there.
func (s *search) begin(ctx context.Context, keys []string) ([]place, error) {
	cmds, err := s.q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Type(ctx, key)
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("ask for the types of keys", err)
	}
	places := make([]place, 0, len(keys))
	for i, cmd := range cmds {
		switch kind := cmd.(*redis.StatusCmd).Val(); kind {
		case "none": // gone meanwhile
		case "string", "list", "hash", "set", "zset":
			places = append(places, place{keys[i], kind, "0"})
		case "stream":
			places = append(places, place{keys[i], kind, "-"})
		default:
			err = fmt.Errorf("a value of type %s cannot be searched", kind)
		}
	}
	return places, err
}

func (at place) ask() []any {
	offset, _ := strconv.Atoi(at.cursor)
	switch at.kind {
	case "string":
		return []any{"GETRANGE", at.key, offset, offset + searchBytes - 1}
	case "list":
		return []any{"LRANGE", at.key, offset, offset + searchEntries - 1}
	case "stream":
		return []any{"XRANGE", at.key, at.cursor, "+", "COUNT", searchEntries}
	}
	scan := map[string]string{"hash": "HSCAN", "set": "SSCAN", "zset": "ZSCAN"}[at.kind]
	return []any{scan, at.key, at.cursor, "COUNT", searchEntries}
}

// read takes the texts of a page from an answer, and where the next begins;
// empty: there is none.
func (at place) read(v any, overlap int) (values []string, cursor string) {
	offset, _ := strconv.Atoi(at.cursor)
	switch at.kind {
	case "string":
		values = flatten(values, v)
		if len(values) == 1 && len(values[0]) == searchBytes {
			cursor = strconv.Itoa(offset + searchBytes - overlap)
		}
	case "list":
		if values = flatten(values, v); len(values) == searchEntries {
			cursor = strconv.Itoa(offset + searchEntries)
		}
	case "stream":
		entries, _ := v.([]any)
		values = flatten(values, v)
		if len(entries) == searchEntries {
			last, _ := entries[len(entries)-1].([]any)
			cursor = "(" + fmt.Sprint(last[0])
		}
	default:
		page, _ := v.([]any)
		values = flatten(values, page[1:])
		if cursor = fmt.Sprint(page[0]); cursor == "0" {
			cursor = ""
		}
	}
	return values, cursor
}

// flatten adds every text in an answer.
func flatten(all []string, v any) []string {
	switch v := v.(type) {
	case string:
		return append(all, v)
	case []any:
		for _, e := range v {
			all = flatten(all, e)
		}
	case map[any]any:
		for k, e := range v {
			all = flatten(flatten(all, k), e)
		}
	}
	return all
}
