package store

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Standing is what decides who may do what at one instant.
type Standing struct {
	Dir     *sla.Directory
	Readers []model.Role // who may have to do with restricted actions
	Now     model.Now
}

// Standing reads the directory, the active policy's readers and the clock.
func (s *Store) Standing(ctx context.Context) (Standing, error) {
	var g Standing
	err := s.inTx(ctx, func(_ context.Context, _ bun.Tx, st txState) error {
		g = Standing{Dir: st.Dir, Readers: st.Rules.Readers(), Now: st.Now}
		return nil
	})
	return g, err
}
