package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/holidays"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

type policyFeedsCmd struct {
	List    policyFeedsListCmd    `cmd:"" default:"1" help:"List the holiday feeds: when each was last fetched, its dates, and what is wrong."`
	Refresh policyFeedsRefreshCmd `cmd:"" help:"Fetch every holiday feed now and tell what has changed; exit code 1 if any fails."`
}

type policyFeedsListCmd struct{}

// nextShown is how many coming holidays of a feed are listed.
const nextShown = 3

// Run lists the feeds of the active policy.
func (policyFeedsListCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		p, _, err := st.Policy(ctx, 0)
		if err != nil {
			return err
		}
		feeds, err := st.Feeds(ctx, p)
		if err != nil {
			return err
		}
		now, err := st.Now(ctx)
		if err != nil {
			return err
		}
		var rows [][]any
		for _, f := range feeds {
			dates, err := store.FeedDates(f.Row)
			if err != nil {
				return err
			}
			var next []string
			for _, e := range sla.HolidaysFrom(dates, f.Calendar.Today(now.Domain)) {
				next = append(next, holidayText(e))
			}
			trouble := f.Row.LastError
			if trouble != "" {
				trouble = fmt.Sprintf("%s, since %s", trouble, instantText(f.Row.FailedSince))
			}
			rows = append(rows, []any{f.Calendar.Name, f.Spec.Name, instantText(f.Row.FetchedAt), sla.CountDates(dates),
				cmp.Or(strings.Join(next[:min(len(next), nextShown)], ", "), "none"), cmp.Or(shortSum(f.Row.SHA256), "-"), cmp.Or(trouble, "-")})
		}
		return table("CALENDAR\tFEED\tFETCHED\tDATES\tNEXT\tSHA-256\tTROUBLE", rows)
	})
}

func instantText(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func shortSum(sum []byte) string {
	text := hex.EncodeToString(sum)
	return text[:min(len(text), 12)]
}

// holidayText writes a holiday for people: 2026-09-23 National Day.
func holidayText(e sla.HolidaySpec) string {
	text := e.Date.String()
	if e.Date.IsZero() {
		text = e.From.String() + " to " + e.To.String()
	}
	return strings.TrimSpace(text + " " + e.Name)
}

type policyFeedsRefreshCmd struct{}

// Run fetches them whole, so that a host's mistake about what has changed does
// not stand.
func (policyFeedsRefreshCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		return withFeeds(s, st, func(e *engine.Engine) error {
			all, err := e.RefreshFeeds(ctx, true)
			failed := printFeeds(os.Stdout, all)
			switch {
			case err != nil:
				return err
			case failed:
				return errFound
			case len(all) == 0:
				fmt.Println("the active policy has no holiday feeds")
			}
			return nil
		})
	})
}

// withFeeds runs fn with an engine that fetches feeds and has no queue: the
// scheduler brings open actions to their calendars. It logs nothing, the command
// tells.
func withFeeds(s *Settings, st *store.Store, fn func(*engine.Engine) error) error {
	fetcher, err := s.fetcher()
	if err != nil {
		return usagef("PX_FEED_ALLOW: %w", err)
	}
	defer fetcher.Close()
	e := engine.New(engine.Options{Store: st, Feeds: fetcher, Log: zerolog.Nop()})
	defer e.Close()
	return fn(e)
}

// printFeeds tells what each answer changed, and reports whether any was bad.
func printFeeds(w io.Writer, all []store.FeedRecord) (failed bool) {
	for _, rec := range all {
		failed = failed || rec.Row.LastError != "" && !rec.Stale
		_, _ = fmt.Fprintln(w, feedText(&rec))
		for _, e := range rec.Added {
			_, _ = fmt.Fprintf(w, "  + %s\n", holidayText(e))
		}
		for _, e := range rec.Removed {
			_, _ = fmt.Fprintf(w, "  - %s\n", holidayText(e))
		}
	}
	return failed
}

// feedText tells what became of a feed in one line.
func feedText(rec *store.FeedRecord) string {
	text := fmt.Sprintf("%s, feed %s: ", rec.Row.Calendar, rec.Row.Feed)
	n := sla.CountDates(rec.Dates)
	switch {
	case rec.Stale:
		return text + "another refresh was later, its answer stands"
	case rec.Row.LastError != "":
		return text + rec.Row.LastError + "; " + lastGood(rec.Row.FetchedAt, n)
	}
	text += fmt.Sprintf("%d dates", n)
	if rec.Row.Timed > 0 {
		text += fmt.Sprintf(", %d events left out that are not all day", rec.Row.Timed)
	}
	if len(rec.Added)+len(rec.Removed) == 0 {
		text += ", nothing has changed"
	}
	if rec.Revision > 0 {
		text += fmt.Sprintf(", revision %d is active", rec.Revision)
	}
	return text
}

func lastGood(at *time.Time, dates int) string {
	if at == nil {
		return "it has no holidays until it can be fetched"
	}
	return fmt.Sprintf("its %d dates of %s stay", dates, instantText(at))
}

// fetchFeeds asks the feeds of a policy that is to be applied and that were
// never fetched. One that fails is a warning: the policy counts all the same.
func fetchFeeds(ctx context.Context, s *Settings, st *store.Store, p *sla.Policy) error {
	return withFeeds(s, st, func(e *engine.Engine) error {
		all, err := e.FetchFeeds(ctx, p)
		for _, rec := range all {
			if rec.Row.LastError != "" {
				_, _ = fmt.Fprintln(os.Stderr, "warning: "+feedText(&rec))
				continue
			}
			fmt.Println(feedText(&rec))
		}
		return err
	})
}

// readFeedFiles puts the dates of those feeds into a policy that are files, and
// returns which of them cannot be read here. Nothing is fetched. A policy without
// such feeds comes back as it is.
func readFeedFiles(ctx context.Context, p *sla.Policy, at time.Time) (*sla.Policy, model.FieldErrors, error) {
	isFile := func(f sla.FeedSpec) bool { return f.File != "" }
	if !slices.ContainsFunc(p.Calendars, func(c sla.CalendarSpec) bool { return slices.ContainsFunc(c.Feeds, isFile) }) {
		return p, nil, nil
	}
	fetcher, err := holidays.NewFetcher(holidays.Settings{})
	if err != nil {
		return nil, nil, err
	}
	var faults model.FieldErrors
	p = p.WithFeeds()
	for i := range p.Calendars {
		for j := range p.Calendars[i].Feeds {
			f := &p.Calendars[i].Feeds[j]
			if !isFile(*f) {
				continue
			}
			answer, err := fetcher.Fetch(ctx, holidays.Feed{File: f.File})
			if err == nil {
				f.Dates, _, err = engine.ReadFeed(answer.Body, at)
			}
			if err != nil {
				faults.Add(fmt.Sprintf("calendars[%d].feeds[%d].file", i, j), "unreadable", err.Error())
			}
		}
	}
	return p, faults, nil
}
