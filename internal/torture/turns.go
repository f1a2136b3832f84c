package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// ledger is all that became of the feedback, read in one go.
type ledger struct {
	feedback map[string]model.Feedback // by event id
	actions  []model.Action
	logs     map[model.ActionID][]logRow
	events   map[model.ActionID][]model.DeadlineEvent
	messages []model.Message
	asOf     time.Time                           // domain time of the reading
	commits  map[model.DeadlineEventID]time.Time // real, of the events
}

// logRow is a line of an action's story and its transaction.
type logRow struct {
	model.ActionLog `bun:",extend"`
	XID             int64 `bun:"xid"`
}

func (c *cluster) read(ctx context.Context) (*ledger, error) {
	l := &ledger{feedback: map[string]model.Feedback{}, logs: map[model.ActionID][]logRow{}, events: map[model.ActionID][]model.DeadlineEvent{}}
	var fs []model.Feedback
	var es []model.DeadlineEvent
	for _, rows := range []any{&fs, &l.actions, &es, &l.messages} {
		if err := c.store.DB().NewSelect().Model(rows).OrderExpr("id").Scan(ctx); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
	}
	var logs []logRow
	err := c.store.DB().NewSelect().Model(&logs).ColumnExpr("l.*").OrderExpr("action_id, seq").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	for _, f := range fs {
		l.feedback[f.EventID] = f
	}
	for _, row := range logs {
		l.logs[row.ActionID] = append(l.logs[row.ActionID], row)
	}
	for _, e := range es {
		l.events[e.ActionID] = append(l.events[e.ActionID], e)
	}
	l.asOf = c.now()
	var commits []struct {
		ID model.DeadlineEventID
		At time.Time
	}
	l.commits = map[model.DeadlineEventID]time.Time{}
	err = c.store.DB().NewRaw("SELECT id, pg_xact_commit_timestamp(xmin) AS at FROM deadline_events").Scan(ctx, &commits)
	for _, row := range commits {
		l.commits[row.ID] = row.At
	}
	return l, err
}

// recorded is one transaction of an action as its log tells it.
type recorded struct {
	at      time.Time
	request string // of a person's move; empty: the program's own
	move    string
	events  []event
}

// turns groups the rows of a log by transaction, and finds the events of each
// among those recorded.
func turns(rows []logRow, es []model.DeadlineEvent) ([]recorded, error) {
	byKey := map[slotKey]model.DeadlineEvent{}
	for _, e := range es {
		k := slotKey{e.Period, string(e.Kind), e.Stage}
		if _, twice := byKey[k]; twice {
			return nil, fmt.Errorf("%v recorded twice", k)
		}
		byKey[k] = e
	}
	var all []recorded
	var xid, gen int64
	for i, row := range rows {
		m := row.Metadata.V
		k, isEvent := eventOf(m)
		e, found := byKey[k]
		if isEvent && !found {
			return nil, fmt.Errorf("log row %d tells of %v, which is not recorded", row.Seq, k)
		}
		request, _ := m["request_id"].(string)
		cur := len(all) - 1
		fresh := i == 0 || row.XID != xid || !row.CreatedAt.Equal(all[cur].at) ||
			isEvent && gen != 0 && e.Gen != gen || request != "" && all[cur].request != "" && request != all[cur].request
		if fresh {
			all = append(all, recorded{at: row.CreatedAt.UTC()})
			cur, xid, gen = cur+1, row.XID, 0
		}
		if isEvent {
			gen = e.Gen
			delete(byKey, k)
			all[cur].events = append(all[cur].events, event{k.kind, k.period, k.stage, e.Planned.UTC(), e.Fired.UTC(), string(e.Done)})
		}
		if name, _ := m["move"].(string); request != "" && name != "" && all[cur].request == "" {
			all[cur].request, all[cur].move = request, name
		}
	}
	for k := range byKey {
		return nil, fmt.Errorf("%v is recorded and the log does not tell of it", k)
	}
	return all, nil
}

// eventOf reads which event a row's facts tell of; false: of none.
func eventOf(m model.LogMetadata) (slotKey, bool) {
	kind, ok := m["kind"].(string)
	_, planned := m["planned"]
	stage, _ := m["stage"].(float64)
	period, _ := m["period"].(float64)
	return slotKey{int(period), kind, int(stage)}, ok && planned
}

// sameEvents compares what a turn took with what it was to take. The fired
// instant is the turn's.
func sameEvents(want, got []event) bool {
	return slices.EqualFunc(want, got, func(a, b event) bool {
		return a.kind == b.kind && a.period == b.period && a.stage == b.stage && a.planned.Equal(b.planned) && a.fired.Equal(b.fired) && a.done == b.done
	})
}

func describe(es []event) string {
	if len(es) == 0 {
		return "nothing"
	}
	slices.SortStableFunc(es, func(a, b event) int { return cmp.Compare(a.period, b.period) })
	s := ""
	for i, e := range es {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %d of period %d, planned %s, taken %s (%s)", e.kind, e.stage, e.period,
			e.planned.Format(time.DateTime), e.fired.Format(time.DateTime), e.done)
	}
	return s
}
