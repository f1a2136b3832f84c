package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// CheckNames lists what Verify looks for.
func CheckNames() []string {
	names := []string{planLost, planDiffers, pinMissing}
	for _, c := range checks() {
		names = append(names, c.names()...)
	}
	return names
}

// EvidenceOf is how much evidence the rules are told of when they judge a move.
func (s *Store) EvidenceOf(ctx context.Context, m Move) (n int, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		cases, err := s.loadCases(ctx, tx, st, []model.ActionID{m.ActionID}, lockAll)
		if err != nil {
			return err
		}
		if err := countEvidence(ctx, tx, []Move{m}, []int{0}, cases); err != nil {
			return err
		}
		n = cases[m.ActionID].Evidence
		return nil
	})
	return n, err
}
