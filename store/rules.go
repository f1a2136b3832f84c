package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// rulesCache holds the directory and the policy revisions that it was compiled
// with. A transaction names the versions it read; the cache loads what it does
// not have, inside that transaction, so nobody ever sees half of one.
type rulesCache struct {
	mu     sync.Mutex
	server time.Time // of which the rest is, by its start
	dir    *sla.Directory
	rules  map[int64]*sla.Rules // by revision, compiled with dir
}

func newRulesCache() *rulesCache { return &rulesCache{} }

// directory returns the snapshot of the given version, or of a later one where
// the directory changes meanwhile. With another server, or one that was started
// again, the cache begins anew: where it has taken the place of one whose last
// commits it lacks, it gives the same versions to something else.
func (c *rulesCache) directory(ctx context.Context, db bun.IDB, server time.Time, version int64) (*sla.Directory, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.server.Equal(server) {
		c.server, c.dir, c.rules = server, nil, nil
	}
	if c.dir != nil && c.dir.Version == version {
		return c.dir, nil
	}
	dir, err := loadDirectory(ctx, db, version)
	if err != nil {
		return nil, err
	}
	for {
		// Each statement sees what is committed by then: the tables belong
		// together only if the version has not moved while they were read.
		var after int64
		if err := db.NewRaw("SELECT version FROM directory_version").Scan(ctx, &after); err != nil {
			return nil, fmt.Errorf("read the directory's version: %w", err)
		}
		if after == dir.Version {
			break
		}
		if dir, err = loadDirectory(ctx, db, after); err != nil {
			return nil, err
		}
	}
	if c.dir == nil || c.dir.Version < dir.Version {
		c.dir, c.rules = dir, map[int64]*sla.Rules{}
	}
	return dir, nil
}

func loadDirectory(ctx context.Context, db bun.IDB, version int64) (*sla.Directory, error) {
	var hs []model.Hospital
	var ds []model.Department
	var us []model.User
	var ss []model.Survey
	for _, rows := range []any{&hs, &ds, &us, &ss} {
		if err := db.NewSelect().Model(rows).OrderExpr("code").Scan(ctx); err != nil {
			return nil, fmt.Errorf("load the directory: %w", err)
		}
	}
	return sla.NewDirectory(version, hs, ds, us, ss), nil
}

// revision returns the compiled rules of a policy revision; 0 is the built-in
// policy.
func (c *rulesCache) revision(ctx context.Context, db bun.IDB, revision int64, dir *sla.Directory) (*sla.Rules, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	same := c.dir == dir
	if r := c.rules[revision]; r != nil && same {
		return r, nil
	}
	rules := sla.BuiltIn(dir)
	if revision != 0 {
		doc, err := loadPolicy(ctx, db, revision)
		if err != nil {
			return nil, err
		}
		if rules, err = sla.Restore(doc, revision, dir); err != nil {
			return nil, fmt.Errorf("compile policy revision %d: %w", revision, err)
		}
	}
	if same {
		c.rules[revision] = rules
	}
	return rules, nil
}

func loadPolicy(ctx context.Context, db bun.IDB, revision int64) (*sla.Policy, error) {
	var row model.PolicyRevision
	if err := db.NewSelect().Model(&row).Where("revision = ?", revision).Scan(ctx); err != nil {
		return nil, fmt.Errorf("load policy revision %d: %w", revision, err)
	}
	var p sla.Policy
	if err := json.Unmarshal(row.Document.V, &p); err != nil {
		return nil, fmt.Errorf("read policy revision %d: %w", revision, err)
	}
	return &p, nil
}
