package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/pxactions/px/model"
)

// LogExport is a log row as an auditor gets it: its facts, and what proves that
// they are as they were written (see model.LogHash). The words are not in it.
type LogExport struct {
	Ref      string            `json:"ref"`
	Action   model.ActionID    `json:"action"`
	Seq      int               `json:"seq"`
	Type     model.LogType     `json:"type"`
	Message  string            `json:"message"`
	By       *model.UserID     `json:"created_by"`         // nil: the program
	ByCode   string            `json:"created_by_code"`    // as the directory has it now; empty: the program
	Old      model.Status      `json:"old_status"`         //
	New      model.Status      `json:"new_status"`         //
	Metadata model.LogMetadata `json:"metadata"`           //
	TextHash string            `json:"text_hash"`          // hex; empty: no words
	At       time.Time         `json:"created_at"`         //
	Previous string            `json:"previous,omitempty"` // hex
	Hash     string            `json:"hash,omitempty"`     // hex; empty: older than the chain
}

// exportPage is how many rows are read at a time.
const exportPage = 1000

// ExportLog hands out the log rows of [from, to) in the order in which days are
// sealed: by instant, action and seq.
func (s *Store) ExportLog(ctx context.Context, from, to time.Time, each func(LogExport) error) error {
	dir, err := s.Directory(ctx)
	if err != nil {
		return err
	}
	last := model.ActionLog{CreatedAt: from, Seq: -1}
	for {
		var rows []struct {
			model.ActionLog `bun:",extend"`
			Ref             string
			Previous        []byte
		}
		err := s.db.NewSelect().Model(&rows).ColumnExpr("l.*, a.ref, b.row_hash AS previous").
			Join("JOIN actions AS a ON a.id = l.action_id").
			Join("LEFT JOIN action_logs AS b ON b.action_id = l.action_id AND b.seq = l.seq - 1").
			Where("(l.created_at, l.action_id, l.seq) > (?, ?::uuid, ?)", last.CreatedAt, last.ActionID, last.Seq).Where("l.created_at < ?", to).
			OrderExpr("l.created_at, l.action_id, l.seq").Limit(int64(exportPage)).Scan(ctx)
		if err != nil {
			return mapErr(fmt.Errorf("export the log: %w", err))
		}
		for i := range rows {
			r := &rows[i]
			x := LogExport{
				Ref: r.Ref, Action: r.ActionID, Seq: r.Seq, Type: r.LogType, Message: r.Message, By: r.CreatedBy, Old: r.OldStatus, New: r.NewStatus,
				Metadata: r.Metadata.V, TextHash: hex.EncodeToString(r.TextHash), At: r.CreatedAt.UTC(), Hash: hex.EncodeToString(r.Hash),
			}
			if u := dir.Users[model.Deref(r.CreatedBy)]; u != nil {
				x.ByCode = u.Code
			}
			if r.Hash != nil {
				if r.Previous == nil {
					r.Previous = model.ChainStart(r.ActionID, r.Seq-1)
				}
				x.Previous = hex.EncodeToString(r.Previous)
			}
			if err := each(x); err != nil {
				return err
			}
		}
		if len(rows) < exportPage {
			return nil
		}
		last = rows[len(rows)-1].ActionLog
	}
}
