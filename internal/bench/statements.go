package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"
)

// statements adds up how long px waits for each kind of statement. It is a hook
// of bun.
type statements struct {
	mu  sync.Mutex
	all map[string]*statement
}

type statement struct {
	text  string
	times int
	took  time.Duration
}

// BeforeQuery implements bun.QueryHook.
func (s *statements) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

// AfterQuery implements bun.QueryHook.
func (s *statements) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	took := time.Since(e.StartTime)
	text := shape(e.Query)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.all[text]
	if st == nil {
		st = &statement{text: text}
		s.all[text] = st
	}
	st.times++
	st.took += took
}

// shape is enough of a statement to know it by, without its rows.
func shape(query string) string {
	const most = 60
	if i := strings.Index(query, ") UPDATE "); i >= 0 { // the rows stand before it
		query = query[i+len(") "):]
	} else if i := strings.Index(query, " FROM \""); i >= 0 && strings.HasPrefix(query, "SELECT ") {
		query = "SELECT …" + query[i:]
	}
	query, _, _ = strings.Cut(query, " VALUES ")
	text := []rune(strings.Join(strings.Fields(query[:min(len(query), 4*most)]), " "))
	return string(text[:min(len(text), most)])
}

// write lists the statements, the dearest first.
func (s *statements) write(out io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*statement
	var sum time.Duration
	for _, st := range s.all {
		list, sum = append(list, st), sum+st.took
	}
	if sum == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b *statement) int { return cmp.Compare(b.took, a.took) })
	var b strings.Builder
	fmt.Fprintf(&b, "\npx, all measurements: time by statement\n\n| share | times | mean | statement |\n| --- | --- | --- | --- |\n")
	for _, st := range list[:min(len(list), 12)] {
		fmt.Fprintf(&b, "| %.0f %% | %d | %s | `%s` |\n", 100*st.took.Seconds()/sum.Seconds(), st.times, (st.took / time.Duration(st.times)).Round(10*time.Microsecond), st.text)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
