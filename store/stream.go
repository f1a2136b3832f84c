package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// Change is one row of an action's story as other programs hear of it: facts,
// never a patient's words.
type Change struct {
	ID           model.Cursor      `json:"id"` // where to go on behind it
	ActionID     model.ActionID    `json:"action_id"`
	Ref          string            `json:"ref"`
	Seq          int               `json:"seq"`                     // gapless from 1 per action
	Type         model.LogType     `json:"type"`                    //
	Move         string            `json:"move,omitempty"`          // empty: the program did it
	At           time.Time         `json:"at"`                      // domain time
	By           string            `json:"by,omitempty"`            // a person's code; empty: the program
	OldStatus    model.Status      `json:"old_status,omitempty"`    //
	NewStatus    model.Status      `json:"new_status,omitempty"`    //
	Message      string            `json:"message"`                 // built from facts
	Facts        model.LogMetadata `json:"facts"`                   //
	Hospital     string            `json:"hospital"`                // its code
	SourceSystem string            `json:"source_system,omitempty"` // of the action's first feedback; empty: made by hand
	EventID      string            `json:"event_id,omitempty"`      // of the same
	Version      int64             `json:"version"`                 // of the action when this was read: that of the change, or a later one
	Shadow       bool              `json:"shadow,omitempty"`        // nobody is told of the action
	Restricted   bool              `json:"restricted,omitempty"`    //
}

// ChangeFilter says which changes are read, and from where on.
type ChangeFilter struct {
	After             model.Cursor       // the zero Cursor: from the beginning
	Hospitals         []model.HospitalID // empty: all
	SourceSystem      string             // only actions whose first feedback came from there; empty: all
	IncludeRestricted bool               //
	Limit             int                // rows looked at, at most; 0: 100
}

// ChangePage is one reading of the stream.
type ChangePage struct {
	Changes []Change
	Next    model.Cursor // behind all that was looked at, also what the filter left out
	More    bool         // there may be more at once
}

// ErrCursorGone is a place in a stream that is not this one any more: the
// database was restored. Whoever follows starts again.
var ErrCursorGone = errors.New("the stream of changes was started again since, because the database was restored: read the actions as they are, and follow from now")

// errStreamMoved is a database in another cluster than its stream.
var errStreamMoved = fmt.Errorf("%w; first an operator has to run px events restart", ErrCursorGone)

// defaultChanges is how many rows a reading looks at.
const defaultChanges = 100

// horizon is what is known of the stream at one instant. All transactions below
// XMin have ended, so no row below it can still appear.
type horizon struct {
	Epoch string
	Home  bool // the cluster is that in which the stream began
	XMin  model.XID
	XMax  model.XID
}

func (s *Store) horizon(ctx context.Context) (horizon, error) {
	var h horizon
	err := s.db.NewRaw(`SELECT epoch, cluster = (SELECT system_identifier FROM pg_control_system()) AS home,
		pg_snapshot_xmin(pg_current_snapshot())::text AS x_min, pg_snapshot_xmax(pg_current_snapshot())::text AS x_max FROM stream`).Scan(ctx, &h)
	if err != nil {
		return h, mapErr(fmt.Errorf("read the stream's end: %w", err))
	}
	if !h.Home {
		return h, errStreamMoved
	}
	return h, nil
}

// end is the place behind all rows that can be read.
func (h horizon) end() model.Cursor { return model.Cursor{Epoch: h.Epoch, XID: h.XMin} }

// StreamEnd is the place from which on a reader sees only changes that are yet
// to come, and perhaps some of this very moment.
func (s *Store) StreamEnd(ctx context.Context) (model.Cursor, error) {
	h, err := s.horizon(ctx)
	return h.end(), err
}

// Changes reads on in the stream, in an order in which nothing is ever skipped
// and each action's changes come by their seq. ErrCursorGone: start again.
func (s *Store) Changes(ctx context.Context, f ChangeFilter) (ChangePage, error) {
	if f.Limit <= 0 {
		f.Limit = defaultChanges
	}
	h, err := s.horizon(ctx)
	if err != nil {
		return ChangePage{}, err
	}
	if f.After.Epoch != "" && f.After.Epoch != h.Epoch || f.After.XID > h.XMax {
		return ChangePage{}, ErrCursorGone
	}
	rows, err := s.changeRows(ctx, f, h)
	if err != nil {
		return ChangePage{}, err
	}
	p := ChangePage{Next: h.end(), More: len(rows) == f.Limit}
	if p.Next.XID < f.After.XID { // a standby that lags
		p.Next = f.After
	}
	for i := range rows {
		if r := &rows[i]; f.fits(r) {
			p.Changes = append(p.Changes, r.change(h.Epoch))
		}
	}
	if p.More {
		p.Next = rows[len(rows)-1].cursor(h.Epoch)
	}
	return p, nil
}

// changeRow is a log row with what a change tells of its action.
type changeRow struct {
	model.ActionLog `bun:",extend"`
	XID             model.XID `bun:"xid,type:xid8"`
	Ref             string
	By              string
	HospitalID      model.HospitalID `bun:"type:uuid"`
	Hospital        string
	SourceSystem    string
	EventID         string
	Version         int64
	Shadow          bool
	Restricted      bool
}

func (s *Store) changeRows(ctx context.Context, f ChangeFilter, h horizon) ([]changeRow, error) {
	var rows []changeRow
	next := s.db.NewSelect().Table("action_logs").Where("xid < ?::xid8", h.XMin).
		Where("(xid, action_id, seq) > (?::xid8, ?::uuid, ?)", f.After.XID, f.After.ActionID, f.After.Seq).
		OrderExpr("xid, action_id, seq").Limit(int64(f.Limit))
	err := s.db.NewSelect().Model(&rows).ModelTableExpr("(?) AS l", next).
		ColumnExpr("l.*, a.ref, a.hospital_id, a.version, a.shadow, a.restricted, h.code AS hospital, coalesce(u.code, '') AS by").
		ColumnExpr("coalesce(f.source_system, '') AS source_system, coalesce(f.event_id, '') AS event_id").
		Join("JOIN actions AS a ON a.id = l.action_id").Join("JOIN hospitals AS h ON h.id = a.hospital_id").
		Join("LEFT JOIN feedback AS f ON f.id = a.feedback_id").Join("LEFT JOIN users AS u ON u.id = l.created_by").
		OrderExpr("l.xid, l.action_id, l.seq").Scan(ctx)
	if err != nil {
		return nil, mapErr(fmt.Errorf("read changes: %w", err))
	}
	return rows, nil
}

func (f *ChangeFilter) fits(r *changeRow) bool {
	return (!r.Restricted || f.IncludeRestricted) &&
		(f.SourceSystem == "" || f.SourceSystem == r.SourceSystem) &&
		(len(f.Hospitals) == 0 || slices.Contains(f.Hospitals, r.HospitalID))
}

func (r *changeRow) cursor(epoch string) model.Cursor {
	return model.Cursor{Epoch: epoch, XID: r.XID, ActionID: r.ActionID, Seq: r.Seq}
}

func (r *changeRow) change(epoch string) Change {
	move, _ := r.Metadata.V["move"].(string)
	return Change{
		ID: r.cursor(epoch), ActionID: r.ActionID, Ref: r.Ref, Seq: r.Seq, Type: r.LogType, Move: move, At: r.CreatedAt.UTC(), By: r.By,
		OldStatus: r.OldStatus, NewStatus: r.NewStatus, Message: r.Message, Facts: r.Metadata.V, Hospital: r.Hospital,
		SourceSystem: r.SourceSystem, EventID: r.EventID, Version: r.Version, Shadow: r.Shadow, Restricted: r.Restricted,
	}
}

// StreamRestart is what RestartStream did.
type StreamRestart struct {
	Kept    int64 // rows of the other cluster that hooks have yet to hear of
	Dropped int64 // its other rows, which left the stream
	Hooks   int64 // that go on under the new epoch
}

// RestartStream makes the stream one of the cluster that the database is in now,
// under a new epoch: every cursor given out before is ErrCursorGone, and hooks
// go on behind what they took, perhaps with repeats. For a restored database,
// before any other process works on it.
func (s *Store) RestartStream(ctx context.Context) (StreamRestart, error) {
	var r StreamRestart
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		if _, err := tx.ExecContext(ctx, "LOCK TABLE hooks IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return fmt.Errorf("wait for hooks: %w", err)
		}
		var err error
		do := func(n *int64, query string) {
			if err != nil {
				return
			}
			res, e := tx.ExecContext(ctx, query)
			if err = e; err == nil {
				*n, err = res.RowsAffected()
			}
		}
		// What others wrote here is below the end of every snapshot that sees it,
		// so what is above it was written elsewhere. Rows that a hook has yet to
		// hear of take the place of this transaction, together: they keep their
		// order within each action.
		const foreign = "xid >= pg_snapshot_xmax(pg_current_snapshot())"
		do(&r.Kept, `UPDATE action_logs SET xid = pg_current_xact_id() WHERE `+foreign+`
			AND (xid, action_id, seq) > (SELECT cursor_xid, cursor_action_id, cursor_seq FROM hooks WHERE deleted_at IS NULL
				ORDER BY cursor_xid, cursor_action_id, cursor_seq LIMIT 1)`)
		do(&r.Dropped, "UPDATE action_logs SET xid = NULL WHERE "+foreign+" AND xid <> pg_current_xact_id()")
		var one int64
		do(&one, "UPDATE stream SET epoch = left(md5(gen_random_uuid()::text), 8), cluster = (SELECT system_identifier FROM pg_control_system())")
		do(&one, `UPDATE hooks SET cursor_xid = pg_current_xact_id(), cursor_action_id = '00000000-0000-0000-0000-000000000000', cursor_seq = 0
			WHERE cursor_`+foreign)
		do(&r.Hooks, `UPDATE hooks SET cursor_epoch = (SELECT epoch FROM stream), claims = claims + 1, claimed_until = NULL, next_try_at = NULL
			WHERE deleted_at IS NULL`)
		return err
	})
	return r, err
}
