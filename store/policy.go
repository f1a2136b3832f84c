package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// ApplyPolicy makes a policy the active one, as a new revision, with what its
// holiday feeds said last. A policy equal to the active one changes nothing: its
// revision is returned with false. Running actions keep the revision they were
// made under. Codes that the directory does not have are model.FieldErrors.
func (s *Store) ApplyPolicy(ctx context.Context, p *sla.Policy, by, note string) (revision int64, changed bool, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		active, err := lockPolicy(ctx, tx)
		if err != nil {
			return err
		}
		p, err := carryFeeds(ctx, tx, p)
		if err != nil {
			return err
		}
		revision, changed, err = revise(ctx, tx, st, active, p, change{by, note, sla.Prepare})
		return err
	})
	return revision, changed, err
}

// lockPolicy returns the active revision, zero for none, and keeps others from
// making another: one at a time, so that the highest revision is also the last
// applied.
func lockPolicy(ctx context.Context, tx bun.Tx) (active model.PolicyRevision, err error) {
	if _, err := tx.ExecContext(ctx, "LOCK TABLE policy_revisions IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return active, fmt.Errorf("wait for other policy changes: %w", err)
	}
	err = tx.NewSelect().Model(&active).OrderExpr("revision DESC").Limit(1).Scan(ctx)
	if err != nil && !isNotFound(mapErr(err)) {
		return active, fmt.Errorf("read the active policy: %w", err)
	}
	return active, nil
}

// change is who makes a revision and why, and how its rules are compiled.
type change struct {
	by, note string
	compile  func(*sla.Policy, int64, *sla.Directory) (*sla.Rules, error)
}

// revise writes a policy as the revision after the active one, unless it is the
// same.
func revise(ctx context.Context, tx bun.Tx, st txState, active model.PolicyRevision, p *sla.Policy, c change) (revision int64, changed bool, err error) {
	doc, err := json.Marshal(p)
	if err != nil {
		return 0, false, fmt.Errorf("write the policy as JSON: %w", err)
	}
	sum := sha256.Sum256(doc)
	if active.Revision > 0 && string(active.SHA256) == string(sum[:]) {
		return active.Revision, false, nil
	}
	revision = active.Revision + 1
	rules, err := c.compile(p, revision, st.Dir)
	if err != nil {
		return 0, false, err
	}
	row := model.PolicyRevision{
		Revision: revision, Document: model.Of(json.RawMessage(doc)), SHA256: sum[:],
		Note: c.note, CreatedBy: c.by, CreatedAt: second(st.Now.Domain),
	}
	if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
		return 0, false, fmt.Errorf("write policy revision %d: %w", revision, err)
	}
	return revision, true, materialise(ctx, tx, st, rules)
}

// materialise writes a revision's SLA configs and routing rules as rows and
// takes those of the revision before out of service.
func materialise(ctx context.Context, tx bun.Tx, st txState, rules *sla.Rules) error {
	now := second(st.Now.Domain)
	for _, table := range []string{"sla_configs", "routing_rules"} {
		if _, err := tx.NewRaw("UPDATE ? SET is_active = false, updated_at = ? WHERE is_active", bun.Ident(table), now).Exec(ctx); err != nil {
			return fmt.Errorf("retire %s: %w", table, err)
		}
	}
	configs, routes := rules.Rows()
	for i := range configs {
		configs[i].CreatedAt, configs[i].UpdatedAt = now, now
	}
	for i := range routes {
		routes[i].CreatedAt, routes[i].UpdatedAt = now, now
	}
	if err := insert(ctx, tx, "SLA configs", configs); err != nil {
		return err
	}
	return insert(ctx, tx, "routing rules", routes)
}

// ActiveRevision is the number of the active policy revision, and how long
// (machine time) it has been active; 0: the built-in policy.
func (s *Store) ActiveRevision(ctx context.Context) (revision int64, since time.Duration, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		revision, since = st.Rules.Revision, 0
		if revision == 0 {
			return nil
		}
		var applied time.Time
		if err := tx.NewRaw("SELECT created_at FROM policy_revisions WHERE revision = ?", revision).Scan(ctx, &applied); err != nil {
			return fmt.Errorf("read when policy revision %d was applied: %w", revision, err)
		}
		since = st.Now.Machine.Sub(st.Now.Clock.Real(applied))
		return nil
	})
	return revision, since, err
}

// Recorded is a policy revision and how much is in it.
type Recorded struct {
	model.PolicyRevision `bun:",extend"` // without the document

	Calendars, Triggers, Routing, SLA int
}

// Revisions lists the policy revisions, newest first, without their documents.
func (s *Store) Revisions(ctx context.Context) ([]Recorded, error) {
	var rows []Recorded
	err := s.db.NewRaw(`SELECT revision, sha256, note, created_by, created_at,
		coalesce(jsonb_array_length(document -> 'calendars'), 0) AS calendars,
		coalesce(jsonb_array_length(document -> 'triggers'), 0) AS triggers,
		coalesce(jsonb_array_length(document -> 'routing'), 0) AS routing,
		coalesce(jsonb_array_length(document -> 'sla'), 0) AS sla
		FROM policy_revisions ORDER BY revision DESC`).Scan(ctx, &rows)
	if err != nil {
		return nil, mapErr(fmt.Errorf("list policy revisions: %w", err))
	}
	return rows, nil
}

// Policy returns a policy revision; 0 means the active one. With no revision
// yet it is the empty policy: the built-in rules.
func (s *Store) Policy(ctx context.Context, revision int64) (*sla.Policy, model.PolicyRevision, error) {
	var row model.PolicyRevision
	q := s.db.NewSelect().Model(&row).OrderExpr("revision DESC").Limit(1)
	if revision != 0 {
		q = q.Where("revision = ?", revision)
	}
	err := mapErr(q.Scan(ctx))
	if isNotFound(err) && revision == 0 {
		return &sla.Policy{}, row, nil
	}
	if err != nil {
		return nil, row, fmt.Errorf("policy revision %d: %w", revision, err)
	}
	var p sla.Policy
	if err := json.Unmarshal(row.Document.V, &p); err != nil {
		return nil, row, fmt.Errorf("read policy revision %d: %w", row.Revision, err)
	}
	return &p, row, nil
}
