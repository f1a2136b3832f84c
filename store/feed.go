package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Feed is a holiday feed of a policy and what is known of it.
type Feed struct {
	Calendar sla.CalendarSpec
	Spec     sla.FeedSpec
	Row      model.CalendarFeed // zero where it was never asked
}

// Fetched reports whether there has been a good answer from where the feed is.
func (f *Feed) Fetched() bool { return f.Row.FetchedAt != nil && f.Row.Source == f.Spec.Source() }

// Feeds lists the feeds of a policy in its order.
func (s *Store) Feeds(ctx context.Context, p *sla.Policy) ([]Feed, error) {
	rows, err := feedRows(ctx, s.db)
	if err != nil {
		return nil, mapErr(err)
	}
	var feeds []Feed
	for _, c := range p.Calendars {
		for _, f := range c.Feeds {
			feeds = append(feeds, Feed{Calendar: c, Spec: f, Row: rows[[2]string{c.Name, f.Name}]})
		}
	}
	return feeds, nil
}

// feedRows reads every row, by the names of calendar and feed.
func feedRows(ctx context.Context, db bun.IDB) (map[[2]string]model.CalendarFeed, error) {
	var rows []model.CalendarFeed
	if err := db.NewSelect().Model(&rows).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the holiday feeds: %w", err)
	}
	by := make(map[[2]string]model.CalendarFeed, len(rows))
	for _, r := range rows {
		by[[2]string{r.Calendar, r.Feed}] = r
	}
	return by, nil
}

// CarryFeeds returns the policy with what its feeds said last, as ApplyPolicy
// would write it. A feed that never gave a good answer keeps the dates that the
// document has.
func (s *Store) CarryFeeds(ctx context.Context, p *sla.Policy) (*sla.Policy, error) {
	p, err := carryFeeds(ctx, s.db, p)
	return p, mapErr(err)
}

func carryFeeds(ctx context.Context, db bun.IDB, p *sla.Policy) (*sla.Policy, error) {
	rows, err := feedRows(ctx, db)
	if err != nil {
		return nil, err
	}
	p = p.WithFeeds()
	for i := range p.Calendars {
		c := &p.Calendars[i]
		for j := range c.Feeds {
			row := rows[[2]string{c.Name, c.Feeds[j].Name}]
			if row.FetchedAt == nil {
				continue
			}
			if c.Feeds[j].Dates, err = FeedDates(row); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// FeedDates reads the dates of a row.
func FeedDates(row model.CalendarFeed) ([]sla.HolidaySpec, error) {
	if row.FetchedAt == nil {
		return nil, nil
	}
	var dates []sla.HolidaySpec
	if err := json.Unmarshal(row.Dates.V, &dates); err != nil {
		return nil, fmt.Errorf("read the dates of feed %q of calendar %q: %w", row.Feed, row.Calendar, err)
	}
	return dates, nil
}

// FeedAnswer is what came of asking a feed.
type FeedAnswer struct {
	Calendar, Feed, Source string
	Asked                  time.Time // domain time
	Today                  sla.Date  // where the calendar is

	Fault     string // why there is no good answer; empty: there is one
	Unchanged bool   // the last good answer stands; nothing below is set

	Dates              []sla.HolidaySpec
	Timed              int
	SHA256             []byte
	ETag, LastModified string
}

// FeedRecord is what an answer has changed.
type FeedRecord struct {
	Was, Row       model.CalendarFeed // before and now; Was is zero for the first answer
	Dates          []sla.HolidaySpec  // now
	Added, Removed []sla.HolidaySpec
	Revision       int64 // that they made; 0: none
	Stale          bool  // another was asked later and is recorded already: this one counts for nothing
}

// RecordFeed notes an answer. A good one whose dates differ from those of the
// active policy makes a new revision of it, by the name of the feed; a bad one,
// and one without any date where there were some, leaves the last good one as it
// is. Past dates stay, see sla.KeepPast.
func (s *Store) RecordFeed(ctx context.Context, a FeedAnswer) (FeedRecord, error) {
	var rec FeedRecord
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		rec = FeedRecord{}
		active, err := lockPolicy(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := feedRows(ctx, tx)
		if err != nil {
			return err
		}
		rec.Was = rows[[2]string{a.Calendar, a.Feed}]
		if err := rec.take(a); err != nil || rec.Stale {
			return err
		}
		q := tx.NewInsert().Model(&rec.Row).On("CONFLICT (calendar, feed) DO UPDATE")
		for _, column := range []string{"source", "dates", "timed", "sha256", "etag", "last_modified", "fetched_at", "last_error", "failed_since"} {
			q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
		}
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("note what feed %q of calendar %q said: %w", a.Feed, a.Calendar, err)
		}
		if rec.Row.LastError != "" || active.Revision == 0 {
			return nil
		}
		return rec.revise(ctx, tx, st, active)
	})
	return rec, err
}

// take decides what becomes of the row.
func (rec *FeedRecord) take(a FeedAnswer) error {
	was := rec.Was
	row := was
	row.Calendar, row.Feed = a.Calendar, a.Feed
	last, err := FeedDates(was)
	if err != nil {
		return err
	}
	rec.Row, rec.Dates = was, last
	if rec.Stale = was.FetchedAt != nil && !a.Asked.After(*was.FetchedAt); rec.Stale {
		return nil
	}
	if rec.Stale = a.Unchanged && a.Source != was.Source; rec.Stale { // of another source than is known by now
		return nil
	}
	if a.Fault == "" && !a.Unchanged && len(a.Dates) == 0 && len(last) > 0 {
		a.Fault = fmt.Sprintf("has no holiday any more, and had %d", sla.CountDates(last))
	}
	switch {
	case a.Fault != "":
		row.LastError = a.Fault
		if row.FailedSince == nil {
			row.FailedSince = &a.Asked
		}
		if row.FetchedAt == nil {
			row.Source = a.Source
		}
	case a.Unchanged:
		row.FetchedAt, row.LastError, row.FailedSince = &a.Asked, "", nil
	default:
		row = model.CalendarFeed{
			Calendar: a.Calendar, Feed: a.Feed, Source: a.Source, Timed: a.Timed, SHA256: a.SHA256,
			ETag: a.ETag, LastModified: a.LastModified, FetchedAt: &a.Asked,
		}
		rec.Dates = sla.KeepPast(last, a.Dates, a.Today)
		rec.Added, rec.Removed = sla.CompareHolidays(last, rec.Dates)
	}
	if rec.Dates == nil {
		rec.Dates = []sla.HolidaySpec{}
	}
	doc, err := json.Marshal(rec.Dates)
	if err != nil {
		return fmt.Errorf("write the dates of feed %q as JSON: %w", a.Feed, err)
	}
	row.Dates = model.Of(json.RawMessage(doc))
	if row.SHA256 == nil {
		row.SHA256 = []byte{}
	}
	rec.Row = row
	return nil
}

// revise brings the active policy to what the feed says, if it has the feed.
func (rec *FeedRecord) revise(ctx context.Context, tx bun.Tx, st txState, active model.PolicyRevision) error {
	var p sla.Policy
	if err := json.Unmarshal(active.Document.V, &p); err != nil {
		return fmt.Errorf("read policy revision %d: %w", active.Revision, err)
	}
	f := p.Feed(rec.Row.Calendar, rec.Row.Feed)
	if f == nil || f.Source() != rec.Row.Source {
		return nil
	}
	f.Dates = rec.Dates
	// The policy was checked when a person applied it: a check that came later
	// must not keep a holiday from it.
	c := change{by: "feed " + rec.Row.Feed, compile: sla.Restore, note: fmt.Sprintf("calendar %s: %d dates new or renamed, %d gone",
		rec.Row.Calendar, sla.CountDates(rec.Added), sla.CountDates(rec.Removed))}
	revision, changed, err := revise(ctx, tx, st, active, &p, c)
	if changed {
		rec.Revision = revision
	}
	return err
}
