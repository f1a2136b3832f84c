package store

import (
	"context"
	"fmt"
)

// Empty reports whether the database holds nothing of anybody's: no schema yet,
// or one without people, places, policy, keys, feedback and actions, whatever
// their state.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var schema, empty bool
	if err := s.db.NewRaw("SELECT to_regclass('actions') IS NOT NULL").Scan(ctx, &schema); err != nil {
		return false, mapErr(fmt.Errorf("look for a schema: %w", err))
	}
	if !schema {
		return true, nil
	}
	err := s.db.NewRaw(`SELECT NOT (EXISTS (SELECT 1 FROM hospitals) OR EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM surveys)
		OR EXISTS (SELECT 1 FROM policy_revisions) OR EXISTS (SELECT 1 FROM api_keys)
		OR EXISTS (SELECT 1 FROM feedback) OR EXISTS (SELECT 1 FROM actions))`).Scan(ctx, &empty)
	if err != nil {
		return false, mapErr(fmt.Errorf("look for data: %w", err))
	}
	return empty, nil
}
