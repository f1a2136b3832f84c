package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// ChainFault is a place where the log is not as it was written.
type ChainFault struct {
	Ref  string `json:"action"`        // of the action, or the date of a day
	Seq  int    `json:"seq,omitempty"` // of the log row; 0: the chain as a whole
	What string `json:"what"`          //
}

// The faults of a chain.
const (
	faultGap     = "a row is missing, or rows are out of order"
	faultOutside = "the row is not chained, although rows before it are"
	faultEdited  = "the row was changed, or the row before it"
	faultWords   = "the words were changed"
	faultGone    = "the words are gone, and not by erasure"
	faultEnd     = "the chain does not end as the action says: its last rows were changed or removed"
	faultDay     = "the day's rows are not those that were sealed"
)

// chainRow is a log row with its words, as VerifyChains reads it.
type chainRow struct {
	model.ActionLog `bun:",extend"`
	Words           *string
	Salt            []byte
	HasText         bool
}

// VerifyChains checks the log chains of a batch of actions in the order of their
// ids, under one snapshot. seen is how many actions it read; 0: there are no more.
func (s *Store) VerifyChains(ctx context.Context, after model.ActionID, limit int) (faults []ChainFault, next model.ActionID, seen int, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		faults, next, seen = nil, after, 0
		var as []model.Action
		err := tx.NewSelect().Model(&as).Column("id", "ref", "log_seq", "log_hash").Where("id > ?", after).OrderExpr("id").Limit(int64(limit)).Scan(ctx)
		if err != nil || len(as) == 0 {
			return err
		}
		ids := make([]model.ActionID, len(as))
		for i := range as {
			ids[i] = as[i].ID
		}
		var rows []chainRow
		err = tx.NewSelect().Model(&rows).ColumnExpr("l.*, lt.words, lt.salt, lt.log_id IS NOT NULL AS has_text").
			Join("LEFT JOIN log_texts AS lt ON lt.log_id = l.id").Where("l.action_id IN (?)", bun.List(ids)).OrderExpr("l.action_id, l.seq").Scan(ctx)
		if err != nil {
			return fmt.Errorf("load log rows: %w", err)
		}
		by := make(map[model.ActionID][]chainRow, len(as))
		for _, r := range rows {
			by[r.ActionID] = append(by[r.ActionID], r)
		}
		for i := range as {
			fs, err := chainFaults(&as[i], by[as[i].ID])
			if err != nil {
				return err
			}
			faults = append(faults, fs...)
		}
		next, seen = ids[len(ids)-1], len(ids)
		return nil
	})
	return faults, next, seen, err
}

// ChainsOfToday tells behind which action the part of all begins whose chains are
// to be checked today (machine time): share actions, another part each day.
func (s *Store) ChainsOfToday(ctx context.Context, share int64) (model.ActionID, error) {
	var after model.ActionID
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		after = model.ActionID{}
		n, err := tx.NewSelect().Model((*model.Action)(nil)).Count(ctx)
		if err != nil {
			return fmt.Errorf("count actions: %w", err)
		}
		parts := (n + share - 1) / share
		if parts < 2 {
			return nil
		}
		day := st.Now.Machine.Unix() / int64((24 * time.Hour).Seconds())
		if day%parts == 0 {
			return nil
		}
		return tx.NewSelect().Model((*model.Action)(nil)).Column("id").OrderExpr("id").Offset(day%parts*share-1).Limit(1).Scan(ctx, &after)
	})
	return after, err
}

// chainFaults checks one action's chain: each row against its own hash, each hash
// against the row before, the last against the action.
func chainFaults(a *model.Action, rows []chainRow) ([]ChainFault, error) {
	var faults []ChainFault
	add := func(seq int, what string) { faults = append(faults, ChainFault{a.Ref, seq, what}) }
	var prev []byte
	for i := range rows {
		r := &rows[i]
		if r.Seq != i+1 {
			add(r.Seq, faultGap)
			return faults, nil // the rest follows from it
		}
		if what := textFault(r); what != "" {
			add(r.Seq, what)
		}
		switch {
		case r.Hash == nil && prev != nil:
			add(r.Seq, faultOutside)
			continue
		case r.Hash == nil:
			continue
		case prev == nil:
			prev = model.ChainStart(a.ID, i)
		}
		want, err := model.LogHash(prev, &r.ActionLog)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(want, r.Hash) {
			add(r.Seq, faultEdited)
		}
		prev = r.Hash
	}
	if prev == nil {
		prev = model.ChainStart(a.ID, len(rows))
	}
	if a.LogHash != nil && !bytes.Equal(a.LogHash, prev) || a.LogHash == nil && len(rows) > 0 && rows[len(rows)-1].Hash != nil {
		add(0, faultEnd)
	}
	return faults, nil
}

// textFault compares the words of a row with their hash. Erased words are gone,
// and their salt with them or not; that is no fault.
func textFault(r *chainRow) string {
	switch {
	case r.TextHash == nil && r.HasText:
		return faultWords
	case r.TextHash == nil:
		return ""
	case !r.HasText:
		return faultGone
	case r.Words == nil:
		return ""
	}
	if sum := sha256.Sum256([]byte(string(r.Salt) + *r.Words)); !bytes.Equal(sum[:], r.TextHash) {
		return faultWords
	}
	return ""
}

// AuditDay is what the log rows of one day (UTC, domain time) came to.
type AuditDay struct {
	Day  time.Time
	Rows int64
	Hash []byte // SHA-256 over that of the day before (the first: none) and the hashes of the rows, by instant, action and seq
}

// sealAfter is how long (domain time) after its end a day is sealed: longer than
// any transaction may take.
const sealAfter = time.Hour

// SealDays notes what the days came to that are over and were not sealed yet, in
// their order, and returns them. A day without rows is sealed, too.
func (s *Store) SealDays(ctx context.Context) ([]AuditDay, error) {
	var sealed []AuditDay
	for {
		var day *AuditDay
		err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
			day = nil
			if _, err := tx.ExecContext(ctx, "LOCK TABLE audit_days IN SHARE ROW EXCLUSIVE MODE"); err != nil {
				return fmt.Errorf("wait for others who seal: %w", err)
			}
			var last AuditDay
			err := tx.NewRaw("SELECT day, rows, hash FROM audit_days ORDER BY day DESC LIMIT 1").Scan(ctx, &last)
			if err != nil && !isNotFound(mapErr(err)) {
				return fmt.Errorf("read the last sealed day: %w", err)
			}
			next := last.Day.AddDate(0, 0, 1)
			if last.Day.IsZero() {
				var first *time.Time
				if err := tx.NewRaw("SELECT min(created_at) FROM action_logs WHERE row_hash IS NOT NULL").Scan(ctx, &first); err != nil || first == nil {
					return err
				}
				next = first.UTC().Truncate(24 * time.Hour)
			}
			if st.Now.Domain.Before(next.AddDate(0, 0, 1).Add(sealAfter)) {
				return nil
			}
			d, err := sumDay(ctx, tx, next, last.Hash)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "INSERT INTO audit_days (day, rows, hash, created_at) VALUES (?, ?, ?, ?)", d.Day, d.Rows, d.Hash, second(st.Now.Domain))
			day = &d
			return err
		})
		if err != nil || day == nil {
			return sealed, err
		}
		sealed = append(sealed, *day)
	}
}

// sumDay reads the hashes of a day's rows one by one.
func sumDay(ctx context.Context, tx bun.Tx, day time.Time, before []byte) (AuditDay, error) {
	d := AuditDay{Day: day}
	h := sha256.New()
	h.Write(before)
	rows, err := tx.QueryContext(ctx, `SELECT row_hash FROM action_logs WHERE created_at >= ? AND created_at < ? AND row_hash IS NOT NULL
		ORDER BY created_at, action_id, seq`, day, day.AddDate(0, 0, 1))
	if err != nil {
		return d, fmt.Errorf("read the rows of %s: %w", day.Format(time.DateOnly), err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var hash []byte
		if err := rows.Scan(&hash); err != nil {
			return d, fmt.Errorf("read the rows of %s: %w", day.Format(time.DateOnly), err)
		}
		h.Write(hash)
		d.Rows++
	}
	d.Hash = h.Sum(nil)
	return d, rows.Err()
}

// AuditDays lists the sealed days in their order.
func (s *Store) AuditDays(ctx context.Context) ([]AuditDay, error) {
	var days []AuditDay
	err := s.db.NewRaw("SELECT day, rows, hash FROM audit_days ORDER BY day").Scan(ctx, &days)
	return days, mapErr(err)
}

// VerifyDay sums a sealed day again. before is the hash of the day before it.
func (s *Store) VerifyDay(ctx context.Context, d AuditDay, before []byte) (*ChainFault, error) {
	var fault *ChainFault
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		fault = nil
		now, err := sumDay(ctx, tx, d.Day.UTC(), before)
		if err == nil && (now.Rows != d.Rows || !bytes.Equal(now.Hash, d.Hash)) {
			fault = &ChainFault{Ref: d.Day.Format(time.DateOnly), What: faultDay}
		}
		return err
	})
	return fault, err
}
