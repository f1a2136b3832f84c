package engine

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/holidays"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// RefreshFeeds asks each holiday feed of the active policy, and returns what
// each answer changed. A feed that gives no good answer is part of that and no
// error; its last good dates stay. With whole it asks for the whole content, also
// where a host would say that nothing has changed. An engine without Feeds asks
// nobody.
func (e *Engine) RefreshFeeds(ctx context.Context, whole bool) ([]store.FeedRecord, error) {
	p, _, err := e.Store.Policy(ctx, 0)
	if err != nil {
		return nil, err
	}
	return e.askFeeds(ctx, p, func(*store.Feed) bool { return true }, whole)
}

// FetchFeeds asks those feeds of a policy that have never given a good answer
// from where they are now, so that a policy which is then applied has their dates
// from its first revision on. The rest is as of RefreshFeeds.
func (e *Engine) FetchFeeds(ctx context.Context, p *sla.Policy) ([]store.FeedRecord, error) {
	return e.askFeeds(ctx, p, func(f *store.Feed) bool { return !f.Fetched() }, true)
}

func (e *Engine) askFeeds(ctx context.Context, p *sla.Policy, which func(*store.Feed) bool, whole bool) ([]store.FeedRecord, error) {
	if e.Feeds == nil {
		return nil, nil
	}
	feeds, err := e.Store.Feeds(ctx, p)
	if err != nil {
		return nil, err
	}
	var all []store.FeedRecord
	for i := range feeds {
		if !which(&feeds[i]) {
			continue
		}
		answer, err := e.askFeed(ctx, &feeds[i], whole)
		if err != nil {
			return all, err
		}
		rec, err := e.Store.RecordFeed(ctx, answer)
		if err != nil {
			return all, err
		}
		e.tellFeed(&rec)
		all = append(all, rec)
	}
	return all, nil
}

// askFeed asks one feed. The error is the context's, or the store's.
func (e *Engine) askFeed(ctx context.Context, f *store.Feed, whole bool) (store.FeedAnswer, error) {
	now, err := e.Store.Now(ctx)
	if err != nil {
		return store.FeedAnswer{}, err
	}
	answer := store.FeedAnswer{
		Calendar: f.Calendar.Name, Feed: f.Spec.Name, Source: f.Spec.Source(),
		Asked: now.Domain, Today: f.Calendar.Today(now.Domain),
	}
	feed := holidays.Feed{URL: f.Spec.URL, File: f.Spec.File}
	if last := f.Row.FetchedAt; !whole && f.Fetched() {
		// What the host calls unchanged was read for another span in another year.
		if last.UTC().Year() == now.Domain.UTC().Year() {
			feed.ETag, feed.LastModified = f.Row.ETag, f.Row.LastModified
		}
	}
	got, err := e.Feeds.Fetch(ctx, feed)
	if ctx.Err() != nil {
		return answer, ctx.Err()
	}
	if err != nil || got.Unchanged {
		answer.Unchanged = got.Unchanged
		answer.Fault = faultText(err)
		return answer, nil
	}
	dates, timed, err := ReadFeed(got.Body, now.Domain)
	sum := sha256.Sum256(got.Body)
	answer.Fault, answer.Dates, answer.Timed = faultText(err), dates, timed
	answer.SHA256, answer.ETag, answer.LastModified = sum[:], got.ETag, got.LastModified
	return answer, nil
}

// ReadFeed reads the holidays that a feed has around an instant, and how many
// events it left out because they are not all day.
func ReadFeed(body []byte, at time.Time) (dates []sla.HolidaySpec, timed int, err error) {
	from, to := holidays.Span(at)
	content, err := holidays.Parse(body, from, to)
	if err != nil {
		return nil, 0, err
	}
	names := make(map[sla.Date]string, len(content.Days))
	for _, d := range content.Days {
		names[sla.DateOf(d.Date)] = d.Name
	}
	return sla.Holidays(names), content.Timed, nil
}

func faultText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// tellFeed counts an answer and tells what an operator should know: what has
// changed, and a failure once, however long it lasts.
func (e *Engine) tellFeed(rec *store.FeedRecord) {
	row, was := &rec.Row, &rec.Was
	tell := func(l *zerolog.Event) *zerolog.Event { return l.Str("calendar", row.Calendar).Str("feed", row.Feed) }
	outcome := "unchanged"
	switch {
	case rec.Stale:
		outcome = "stale"
	case row.LastError != "" && row.LastError == was.LastError:
		outcome = "failed"
		tell(e.Log.Debug()).Str("reason", row.LastError).Msg("holiday feed still fails")
	case row.LastError != "":
		outcome = "failed"
		tell(e.Log.Warn()).Str("reason", row.LastError).Msg("holiday feed fails: its last good dates stay")
	case was.LastError != "":
		tell(e.Log.Info()).Msg("holiday feed answers again")
	}
	if row.LastError == "" && len(rec.Added)+len(rec.Removed) > 0 {
		outcome = "changed"
		tell(e.Log.Info()).Int("added", sla.CountDates(rec.Added)).Int("removed", sla.CountDates(rec.Removed)).Int64("revision", rec.Revision).Msg("holidays changed")
	}
	e.Metrics.Feeds.WithLabelValues(outcome).Inc()
}
