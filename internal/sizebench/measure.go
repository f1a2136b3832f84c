package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/internal/listbench/crowd"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// size is what was measured when the table had so many rows.
type size struct {
	rows  int64
	disk  string // table and indexes
	calls []string
	took  map[string][]time.Duration // until the answer was there
	cpu   map[string][]time.Duration // of the processor in the server
}

// erased is how many actions one step of the retention takes here.
const erased = 20

// measure times every call, as often as it was told to, in turns with the others:
// what else uses the machine then meets all alike.
func (b *bench) measure(ctx context.Context) error {
	db := b.store.DB()
	now := size{took: map[string][]time.Duration{}, cpu: map[string][]time.Duration{}}
	var server int
	if err := db.NewRaw("SELECT pg_backend_pid()").Scan(ctx, &server); err != nil {
		return err
	}
	err := db.NewRaw("SELECT reltuples::bigint, pg_size_pretty(pg_relation_size(oid)) || ' + ' || pg_size_pretty(pg_indexes_size(oid)) FROM pg_class WHERE oid = ?::regclass",
		b.cfg.table).Scan(ctx, &now.rows, &now.disk)
	if err != nil {
		return err
	}
	s, err := b.subjects(ctx)
	if err != nil {
		return err
	}
	const warm = 3 // rounds that do not count
	for i := range b.cfg.times + warm {
		for _, c := range b.calls(s, i) {
			if c.seldom && i%10 != 0 {
				continue
			}
			before, err1 := crowd.Processor(server)
			begun := time.Now()
			err := c.run(ctx)
			took := time.Since(begun)
			after, err2 := crowd.Processor(server)
			if err := errors.Join(err, err1, err2); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if !slices.Contains(now.calls, c.name) {
				now.calls = append(now.calls, c.name)
			}
			if i >= warm {
				now.took[c.name] = append(now.took[c.name], took)
				now.cpu[c.name] = append(now.cpu[c.name], after-before)
			}
		}
	}
	b.sizes = append(b.sizes, now)
	return nil
}

// subjects is what the calls are about; a place in it for each round.
type subjects struct {
	live   []model.ActionID
	people []model.UserID
	epoch  model.Cursor
	xid    model.XID // of the crowd's log rows
}

func (b *bench) subjects(ctx context.Context) (subjects, error) {
	var s subjects
	db := b.store.DB()
	var live []struct{ ID model.ActionID }
	err := db.NewRaw("SELECT id FROM actions WHERE status IN ('open', 'in_progress') AND next_at > now() + interval '1 day' ORDER BY md5(id::text) LIMIT 1000").Scan(ctx, &live)
	if err != nil {
		return s, fmt.Errorf("look for live actions: %w", err)
	}
	var people []struct{ ID model.UserID }
	if err := db.NewRaw("SELECT id FROM users ORDER BY md5(id::text) LIMIT 1000").Scan(ctx, &people); err != nil {
		return s, fmt.Errorf("look for people: %w", err)
	}
	for _, r := range live {
		s.live = append(s.live, r.ID)
	}
	for _, r := range people {
		s.people = append(s.people, r.ID)
	}
	if err := db.NewRaw("SELECT xid::text FROM action_logs WHERE action_id = ? AND seq = 1", s.live[0]).Scan(ctx, &s.xid); err != nil {
		return s, fmt.Errorf("look for the crowd's place in the stream: %w", err)
	}
	s.epoch, err = b.store.StreamEnd(ctx)
	return s, err
}

// call is one thing that is asked for.
type call struct {
	name   string
	run    func(context.Context) error
	seldom bool // every tenth round
}

// calls are what the program asks for, the i-th time.
func (b *bench) calls(s subjects, i int) []call {
	st, db := b.store, b.store.DB()
	live, person := s.live[i%len(s.live)], s.people[i%len(s.people)]
	email := []model.Channel{model.ChannelEmail}
	var refs []store.MessageRef
	var claimed []store.Claimed
	return []call{
		{name: "append a log row (a note, the whole transaction)", run: func(ctx context.Context) error {
			made, _, err := st.Move(ctx, []store.Move{{ActionID: live, Request: sla.MoveRequest{Move: model.MoveNote, Text: "a note"}}})
			if err == nil {
				err = made[0].Err
			}
			return err
		}},
		{name: "the story of an action", run: func(ctx context.Context) error {
			_, err := st.Story(ctx, live, store.StoryOptions{Words: true})
			return err
		}},
		{name: "100 changes behind a place in the stream", run: func(ctx context.Context) error {
			page, err := st.Changes(ctx, store.ChangeFilter{After: model.Cursor{Epoch: s.epoch.Epoch, XID: s.xid, ActionID: live}, IncludeRestricted: true})
			if err == nil && len(page.Changes) == 0 {
				err = fmt.Errorf("no changes")
			}
			return err
		}},
		{name: "what is new in the stream: nothing", run: func(ctx context.Context) error {
			end, err := st.StreamEnd(ctx)
			if err == nil {
				_, err = st.Changes(ctx, store.ChangeFilter{After: end})
			}
			return err
		}},
		{name: "write 20 messages", run: func(ctx context.Context) error {
			return db.NewRaw(`INSERT INTO messages (id, action_id, action_version, recipient_id, channel, reason, facts, state, not_before, next_try_at, key, created_at)
				SELECT id, ?0, ?1 + n, ?2, 'email', 'reminder', '{}', 'pending', now(), clock_timestamp(), 'px_' || id, now()
				FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 20) n) x RETURNING id, attempts AS attempt`,
				live, 1000*(i+1)+int(time.Now().UnixNano()%1e9)*1000, person).Scan(ctx, &refs)
		}},
		{name: "claim 20 messages", run: func(ctx context.Context) (err error) {
			claimed, err = st.ClaimMessages(ctx, email, refs)
			if err == nil && len(claimed) != 20 {
				err = fmt.Errorf("%d claimed", len(claimed))
			}
			return err
		}},
		{name: "settle 20 messages", run: func(ctx context.Context) error {
			done := make([]store.Settled, len(claimed))
			for i, c := range claimed {
				done[i] = store.Settled{ID: c.ID, Attempts: c.Attempts, State: model.MessageSent}
			}
			_, err := st.SettleMessages(ctx, done)
			return err
		}},
		{name: "the sweep's look for late messages", run: func(ctx context.Context) error {
			_, _, err := st.LateMessages(ctx, email, store.Keyset{}, 100)
			return err
		}},
		{name: "counts for the metrics", run: func(ctx context.Context) error { _, err := st.Counts(ctx); return err }},
		{name: "the log of an hour, as the audit reads it", run: func(ctx context.Context) error {
			_, err := db.NewRaw("SELECT action_id, seq, row_hash FROM action_logs WHERE created_at >= ?0::timestamptz AND created_at < ?0::timestamptz + interval '1 hour' ORDER BY created_at, action_id, seq",
				time.Now().Add(-time.Duration(1+i)*24*time.Hour)).Exec(ctx)
			return err
		}},
		{name: "50 newest messages to a person", run: func(ctx context.Context) error {
			var rows []model.Message
			return db.NewSelect().Model(&rows).Where("recipient_id = ?", person).OrderExpr("created_at DESC").Limit(50).Scan(ctx)
		}},
		{name: "50 newest messages that failed", run: func(ctx context.Context) error {
			var rows []model.Message
			return db.NewSelect().Model(&rows).Where("state = 'failed'").OrderExpr("created_at DESC").Limit(50).Scan(ctx)
		}},
		{name: fmt.Sprintf("erase the words of %d actions", erased), seldom: true, run: func(ctx context.Context) error {
			done, _, _, err := st.EraseEnded(ctx, store.Keyset{}, erased)
			if err == nil && done.Actions != erased {
				err = fmt.Errorf("%d erased", done.Actions)
			}
			return err
		}},
		{name: fmt.Sprintf("drop the messages of %d actions", erased), seldom: true, run: func(ctx context.Context) error {
			dropped, _, _, err := st.DropMessages(ctx, store.Keyset{}, erased)
			if err == nil && dropped == 0 {
				err = fmt.Errorf("none dropped")
			}
			return err
		}},
	}
}

func at(times []time.Duration, percent int) time.Duration {
	return slices.Sorted(slices.Values(times))[(len(times)*percent+99)/100-1]
}

// report prints a table: a row for each call, a column for each size, and how much
// slower the last one is than the first.
func (b *bench) report(ctx context.Context, out io.Writer) error {
	var version, buffers string
	if err := b.store.DB().NewRaw("SELECT current_setting('server_version'), current_setting('shared_buffers')").Scan(ctx, &version, &buffers); err != nil {
		return err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%d CPUs, %s, PostgreSQL %s, shared_buffers %s; %s, %d actions of the crowd, each call %d times\n",
		runtime.NumCPU(), runtime.Version(), version, buffers, b.cfg.table, b.cfg.actions, b.cfg.times)
	for _, z := range b.sizes {
		fmt.Fprintf(&s, "%d rows: %s on disk\n", z.rows, z.disk)
	}
	b.table(&s, "until the answer is there", func(z size) map[string][]time.Duration { return z.took })
	b.table(&s, "of the processor in the server", func(z size) map[string][]time.Duration { return z.cpu })
	_, err := io.WriteString(out, s.String())
	return err
}

func (b *bench) table(s *strings.Builder, what string, of func(size) map[string][]time.Duration) {
	fmt.Fprintf(s, "\nMilliseconds %s, p50 / p95\n\n| call |", what)
	for _, z := range b.sizes {
		fmt.Fprintf(s, " %.1f million |", float64(z.rows)/1e6)
	}
	fmt.Fprintf(s, " ratio |\n| --- |%s --- |\n", strings.Repeat(" --- |", len(b.sizes)))
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	for _, name := range b.sizes[0].calls {
		fmt.Fprintf(s, "| %s |", name)
		for _, z := range b.sizes {
			fmt.Fprintf(s, " %.1f / %.1f |", ms(at(of(z)[name], 50)), ms(at(of(z)[name], 95)))
		}
		first, last := of(b.sizes[0])[name], of(b.sizes[len(b.sizes)-1])[name]
		fmt.Fprintf(s, " %.1f / %.1f |\n", ms(at(last, 50))/ms(at(first, 50)), ms(at(last, 95))/ms(at(first, 95)))
	}
}
